package llapi

import (
	"encoding/binary"
	"fmt"
)

// ActionItem is one action of a list: what to do with which file.
type ActionItem struct {
	Action Action
	FID    FID    // the Lustre file
	DFID   FID    // the file that holds the data; FID, or zero, or stale
	Extent Extent // the whole file in practice
	Cookie uint64 // the action's number on its metadata server
	GID    uint64 // group lock; always 0
	Data   []byte // the requester's opaque bytes, perhaps with a NUL at the end
}

// ActionList is what the coordinator sends in one message. Its items may be of
// different kinds.
type ActionList struct {
	FSName    string
	ArchiveID uint32
	Flags     RequestFlags // of one of the items
	Items     []ActionItem
}

// Sizes and offsets of struct hsm_action_list and struct hsm_action_item. The
// list's items start behind the file system's name; each part starts at a
// multiple of 8 from the start.
const (
	listVersion    = 1
	listHeaderSize = 32
	itemSize       = 72
	maxFSName      = 8
)

// DecodeActionList decodes a struct hsm_action_list as the kernel wrote it.
// Lengths and counts are believed only within b. The result shares no memory
// with b. The error is ErrTruncated, or names a version that is not known.
func DecodeActionList(b []byte) (ActionList, error) {
	if len(b) < listHeaderSize {
		return ActionList{}, fmt.Errorf("action list of %d bytes: %w", len(b), ErrTruncated)
	}
	if v := binary.NativeEndian.Uint32(b); v != listVersion {
		return ActionList{}, fmt.Errorf("action list: version %d, want %d", v, listVersion)
	}
	name, ok := fsName(b[listHeaderSize:])
	if !ok {
		return ActionList{}, fmt.Errorf("action list: file system name: %w", ErrTruncated)
	}
	l := ActionList{
		FSName:    name,
		Flags:     RequestFlags(binary.NativeEndian.Uint64(b[16:])),
		ArchiveID: binary.NativeEndian.Uint32(b[24:]),
	}
	count := uint64(binary.NativeEndian.Uint32(b[4:]))
	rest := b[min(len(b), listHeaderSize+align8(len(name)+1)):]
	// The count comes from outside: it must not decide how much is allocated.
	if count > uint64(len(rest)/itemSize) {
		return ActionList{}, fmt.Errorf("action list: %d items in %d bytes: %w", count, len(rest), ErrTruncated)
	}
	l.Items = make([]ActionItem, count)
	for i := range l.Items {
		size, err := l.Items[i].decode(rest)
		if err != nil {
			return ActionList{}, fmt.Errorf("action list: item %d: %w", i, err)
		}
		rest = rest[min(len(rest), align8(size)):]
	}
	return l, nil
}

// fsName returns the NUL-terminated name at the head of b.
func fsName(b []byte) (string, bool) {
	for i, c := range b[:min(len(b), maxFSName+1)] {
		if c == 0 {
			return string(b[:i]), true
		}
	}
	return "", false
}

// decode decodes the item at the head of b and returns its size unpadded.
func (it *ActionItem) decode(b []byte) (int, error) {
	if len(b) < itemSize {
		return 0, ErrTruncated
	}
	size := binary.NativeEndian.Uint32(b)
	if size < itemSize || uint64(size) > uint64(len(b)) {
		return 0, ErrTruncated
	}
	*it = ActionItem{
		Action: Action(binary.NativeEndian.Uint32(b[4:])),
		FID:    getFID(b[8:]),
		DFID:   getFID(b[24:]),
		Extent: getExtent(b[40:]),
		Cookie: binary.NativeEndian.Uint64(b[56:]),
		GID:    binary.NativeEndian.Uint64(b[64:]),
	}
	if size > itemSize {
		it.Data = append([]byte(nil), b[itemSize:size]...)
	}
	return int(size), nil
}

// header encodes the fixed part of the item, with the given data length.
func (it *ActionItem) header(data int) (b [itemSize]byte) {
	binary.NativeEndian.PutUint32(b[0:], uint32(itemSize+data))
	binary.NativeEndian.PutUint32(b[4:], uint32(it.Action))
	putFID(b[8:], it.FID)
	putFID(b[24:], it.DFID)
	putExtent(b[40:], it.Extent)
	binary.NativeEndian.PutUint64(b[56:], it.Cookie)
	binary.NativeEndian.PutUint64(b[64:], it.GID)
	return b
}

// Encode returns the struct hsm_action_list that DecodeActionList decodes into
// l. A name of more than 8 bytes is cut.
func (l ActionList) Encode() []byte {
	name := l.FSName[:min(len(l.FSName), maxFSName)]
	b := make([]byte, listHeaderSize+align8(len(name)+1))
	binary.NativeEndian.PutUint32(b[0:], listVersion)
	binary.NativeEndian.PutUint32(b[4:], uint32(len(l.Items)))
	binary.NativeEndian.PutUint64(b[16:], uint64(l.Flags))
	binary.NativeEndian.PutUint32(b[24:], l.ArchiveID)
	copy(b[listHeaderSize:], name)
	for i := range l.Items {
		it := &l.Items[i]
		header := it.header(len(it.Data))
		b = append(b, header[:]...)
		b = append(b, it.Data...)
		b = append(b, make([]byte, align8(len(b))-len(b))...)
	}
	return b
}

func align8(n int) int { return (n + 7) &^ 7 }
