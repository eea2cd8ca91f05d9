package lioc

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Size is the number of bytes of the whole request that h heads. The counts
// are the caller's, so it can be larger than any memory.
func (h RequestHeader) Size() int64 {
	return int64(Size[RequestHeader]()) + int64(h.Items)*int64(Size[UserItem]()) + int64(h.DataLen)
}

// A Request is a whole user request (struct hsm_user_request).
type Request struct {
	Action, ArchiveID uint32
	Flags             uint64
	Items             []UserItem
	Data              []byte
}

// DecodeRequest reads a request with its items and opaque data.
func DecodeRequest(b []byte) (Request, error) {
	h, err := Decode[RequestHeader](b)
	if err != nil {
		return Request{}, err
	}
	if h.Size() > int64(len(b)) {
		return Request{}, fmt.Errorf("decode request: %d items and %d bytes of data in %d bytes", h.Items, h.DataLen, len(b))
	}
	r := Request{Action: h.Action, ArchiveID: h.ArchiveID, Flags: h.Flags}
	b = b[Size[RequestHeader]():]
	for range h.Items {
		it, err := Decode[UserItem](b)
		if err != nil {
			return Request{}, err
		}
		r.Items = append(r.Items, it)
		b = b[Size[UserItem]():]
	}
	r.Data = bytes.Clone(b[:h.DataLen])
	return r, nil
}

// Encode is the inverse of DecodeRequest.
func (r Request) Encode() []byte {
	b := Encode(RequestHeader{
		Action: r.Action, ArchiveID: r.ArchiveID, Flags: r.Flags,
		Items: uint32(len(r.Items)), DataLen: uint32(len(r.Data)),
	})
	for _, it := range r.Items {
		b = append(b, Encode(it)...)
	}
	return append(b, r.Data...)
}

// MaxArchives is how many archive ids one registration can name.
const MaxArchives = 1024

// DecodeArchiveIDs reads the list behind a KernelComm.
func DecodeArchiveIDs(b []byte, count uint32) ([]uint32, error) {
	if count > MaxArchives || int(count)*4 > len(b) {
		return nil, fmt.Errorf("decode archive ids: %d of them in %d bytes", count, len(b))
	}
	ids := make([]uint32, count)
	for i := range ids {
		ids[i] = binary.NativeEndian.Uint32(b[4*i:])
	}
	return ids, nil
}
