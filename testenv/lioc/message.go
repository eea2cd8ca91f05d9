package lioc

import (
	"bytes"
	"errors"
	"fmt"
)

// Constants of the pipe's framing.
const (
	pipeMagic        = 0x191C
	transportGeneric = 1
	transportHSM     = 2
	typeShutdown     = 1
	typeActionList   = 100
	listVersion      = 1
)

// An ActionItem is an Item with its opaque data.
type ActionItem struct {
	Action      uint32
	FID, DFID   FID
	Extent      Extent
	Cookie, GID uint64
	Data        []byte
}

// An ActionList is what the coordinator sends to an agent in one message.
type ActionList struct {
	FSName    string
	ArchiveID uint32
	Flags     uint64
	Items     []ActionItem
}

// ErrTooLong is the error for a list that no message can hold: its length
// travels in 16 bits.
var ErrTooLong = errors.New("action list does not fit a message")

func align8(n int) int { return (n + 7) &^ 7 }

// Size is the number of bytes of the encoded list, without the pipe's header.
func (l ActionList) Size() int {
	n := Size[ListHeader]() + align8(len(l.FSName)+1)
	for _, it := range l.Items {
		n += ItemSize(len(it.Data))
	}
	return n
}

// ItemSize is the number of bytes an item with so much data takes in a list.
func ItemSize(data int) int { return align8(Size[Item]() + data) }

// Message encodes the list as one message for a copytool's pipe.
func (l ActionList) Message() ([]byte, error) {
	total := Size[Header]() + l.Size()
	if total > 0xffff {
		return nil, fmt.Errorf("%w: %d items, %d bytes", ErrTooLong, len(l.Items), total)
	}
	b := Encode(Header{Magic: pipeMagic, Transport: transportHSM, Type: typeActionList, Len: uint16(total)})
	b = append(b, Encode(ListHeader{
		Version: listVersion, Count: uint32(len(l.Items)), Flags: l.Flags, ArchiveID: l.ArchiveID,
	})...)
	b = pad8(append(b, l.FSName+"\x00"...))
	for _, it := range l.Items {
		b = append(b, Encode(Item{
			Len: uint32(Size[Item]() + len(it.Data)), Action: it.Action, FID: it.FID, DFID: it.DFID,
			Extent: it.Extent, Cookie: it.Cookie, GID: it.GID,
		})...)
		b = pad8(append(b, it.Data...))
	}
	return b, nil
}

// pad8 needs no offset: everything before the padded part is a multiple of 8.
func pad8(b []byte) []byte { return append(b, make([]byte, align8(len(b))-len(b))...) }

// ShutdownMessage is what tells a copytool that its registration has ended.
func ShutdownMessage() []byte {
	return Encode(Header{Magic: pipeMagic, Transport: transportGeneric, Type: typeShutdown, Len: uint16(Size[Header]())})
}

// DecodeMessage is the inverse of Message. It is here for tests: a copytool
// decodes with its own library.
func DecodeMessage(b []byte) (ActionList, error) {
	h, err := Decode[Header](b)
	if err != nil {
		return ActionList{}, err
	}
	if h.Magic != pipeMagic || h.Transport != transportHSM || h.Type != typeActionList || int(h.Len) != len(b) {
		return ActionList{}, fmt.Errorf("decode message: bad header %+v of %d bytes", h, len(b))
	}
	return decodeList(b[Size[Header]():])
}

func decodeList(b []byte) (ActionList, error) {
	h, err := Decode[ListHeader](b)
	if err != nil {
		return ActionList{}, err
	}
	b = b[Size[ListHeader]():]
	end := bytes.IndexByte(b, 0)
	if end < 0 || align8(end+1) > len(b) {
		return ActionList{}, errors.New("decode action list: file system name has no end")
	}
	l := ActionList{FSName: string(b[:end]), ArchiveID: h.ArchiveID, Flags: h.Flags}
	b = b[align8(end+1):]
	for range h.Count {
		it, n, err := decodeItem(b)
		if err != nil {
			return ActionList{}, err
		}
		l.Items = append(l.Items, it)
		b = b[n:]
	}
	return l, nil
}

func decodeItem(b []byte) (ActionItem, int, error) {
	f, err := Decode[Item](b)
	if err != nil {
		return ActionItem{}, 0, err
	}
	fixed := Size[Item]()
	if int64(f.Len) < int64(fixed) || align8(int(f.Len)) > len(b) {
		return ActionItem{}, 0, fmt.Errorf("decode action item: length %d in %d bytes", f.Len, len(b))
	}
	it := ActionItem{
		Action: f.Action, FID: f.FID, DFID: f.DFID, Extent: f.Extent, Cookie: f.Cookie, GID: f.GID,
		Data: bytes.Clone(b[fixed:f.Len]),
	}
	return it, align8(int(f.Len)), nil
}
