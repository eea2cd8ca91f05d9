package blobstore

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
)

// nonceSize is the length of a nonce in bytes; with the block's number it makes
// 16, whose base64 is of one length for all blocks, as Azure wants it.
const nonceSize = 12

// nonce marks what belongs to one upload. Azure keeps staged blocks by the name
// of the blob and not by who staged them, so block IDs of two uploads of one
// name must differ.
type nonce [nonceSize]byte

func newNonce() (n nonce) {
	_, _ = rand.Read(n[:]) // never fails
	return n
}

// blockID is the ID of the i-th block of an upload.
func (n nonce) blockID(i int) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(n[:nonceSize:nonceSize], uint32(i)))
}

// blockNumber is the i of blockID.
func blockNumber(id string) (i uint32, ok bool) {
	b, err := base64.StdEncoding.DecodeString(id)
	if err != nil || len(b) != nonceSize+4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(b[nonceSize:]), true
}

// String is how the nonce stands in metadata.
func (n nonce) String() string { return hex.EncodeToString(n[:]) }
