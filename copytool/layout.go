package copytool

import (
	"encoding/binary"
	"iter"
	"slices"
)

// layoutXattr is the stripe layout as raw bytes.
const layoutXattr = "lustre.lov"

// What is needed of struct lov_user_md: little endian, the first four bytes
// say which form it is.
const (
	lovMagicV1        = 0x0BD10BD0
	lovMagicV3        = 0x0BD30BD0
	lovMagicComposite = 0x0BD60BD0
	lovMagicSize      = 4
	lovSizeV1         = 32
	lovSizeV3         = 48
	lovPattern        = 4  // offset of a u32
	lovStripeCount    = 28 // of a u16
	lovFirstTarget    = 30 // offset of a u16; getxattr may give the layout's generation there
	lovRAID0          = 1
	lovOverMDT        = 0x100 // data on the metadata target
	lovReleased       = 0x80000000
	lovAnyTarget      = 0xffff
)

// And of struct lov_comp_md_v1, a layout in several components.
const (
	compCount     = 14 // offset of a u16
	compEntries   = 32 // offset of the first
	compEntrySize = 48
	compEnd       = 16 // in an entry, a u64: where the component's part of the file ends
	compOffset    = 24 // a u32: where in the whole the component's own layout is
)

// layoutTemplate makes of a file's layout the one for a new file: the same
// stripes, on whatever targets there are. Nil means there is nothing worth restoring.
func layoutTemplate(lov []byte) []byte {
	if len(lov) < lovMagicSize {
		return nil
	}
	switch binary.LittleEndian.Uint32(lov) {
	case lovMagicV1:
		return plainTemplate(lov, lovSizeV1)
	case lovMagicV3:
		return plainTemplate(lov, lovSizeV3)
	case lovMagicComposite:
		return compositeTemplate(lov)
	}
	return slices.Clone(lov)
}

func plainTemplate(lov []byte, size int) []byte {
	if len(lov) < size || binary.LittleEndian.Uint32(lov[lovPattern:])&lovOverMDT != 0 {
		return nil
	}
	t := slices.Clone(lov[:size])
	unbind(t)
	return t
}

// compositeTemplate leaves alone what is no component. What is no layout at all Lustre
// will refuse.
func compositeTemplate(lov []byte) []byte {
	t := slices.Clone(lov)
	for _, plain := range components(t) {
		unbind(plain)
	}
	return t
}

// components yields the entries of a layout in several components, each with the
// component's own layout.
func components(lov []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(entry, plain []byte) bool) {
		if len(lov) < compEntries || binary.LittleEndian.Uint32(lov) != lovMagicComposite {
			return
		}
		entries := lov[compEntries:]
		for range binary.LittleEndian.Uint16(lov[compCount:]) {
			if len(entries) < compEntrySize {
				return
			}
			at := binary.LittleEndian.Uint32(entries[compOffset:])
			if at <= uint32(len(lov)) && isPlain(lov[at:]) && !yield(entries[:compEntrySize], lov[at:]) {
				return
			}
			entries = entries[compEntrySize:]
		}
	}
}

// sizeOnMDT is how many bytes of a file the layout puts on the metadata target: only
// the first component can be there.
func sizeOnMDT(lov []byte) uint64 {
	for entry, plain := range components(lov) {
		if binary.LittleEndian.Uint32(plain[lovPattern:])&lovOverMDT == 0 {
			return 0
		}
		return binary.LittleEndian.Uint64(entry[compEnd:])
	}
	return 0
}

// offMDT is the layout with one ordinary stripe in place of what would be on the metadata
// target: its stripe size is that of the component, as Lustre wants of both. One that
// ends before the file does is of no use for it.
func offMDT(lov []byte, size int64) []byte {
	t, end := slices.Clone(lov), uint64(0)
	for entry, plain := range components(t) {
		end = max(end, binary.LittleEndian.Uint64(entry[compEnd:]))
		if binary.LittleEndian.Uint32(plain[lovPattern:])&lovOverMDT != 0 {
			binary.LittleEndian.PutUint32(plain[lovPattern:], lovRAID0)
			binary.LittleEndian.PutUint16(plain[lovStripeCount:], 1)
		}
	}
	if end < uint64(size) {
		return defaultLayout()
	}
	return t
}

func isPlain(lov []byte) bool {
	if len(lov) < lovSizeV1 {
		return false
	}
	magic := binary.LittleEndian.Uint32(lov)
	return magic == lovMagicV1 || magic == lovMagicV3
}

// unbind lets Lustre choose the targets of a plain layout, which is of a file with data.
// Before 2.17 a client shows zero for the first target of a component, and takes that
// for an order when it is set.
func unbind(lov []byte) {
	pattern := binary.LittleEndian.Uint32(lov[lovPattern:])
	binary.LittleEndian.PutUint32(lov[lovPattern:], pattern&^lovReleased)
	binary.LittleEndian.PutUint16(lov[lovFirstTarget:], lovAnyTarget)
}

// defaultLayout leaves everything to the file system.
func defaultLayout() []byte {
	lov := make([]byte, lovSizeV1)
	binary.LittleEndian.PutUint32(lov, lovMagicV1)
	binary.LittleEndian.PutUint32(lov[lovPattern:], lovRAID0)
	binary.LittleEndian.PutUint16(lov[lovFirstTarget:], lovAnyTarget)
	return lov
}
