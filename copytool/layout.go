package copytool

import (
	"encoding/binary"
	"slices"
)

// layoutXattr is the stripe layout as raw bytes.
const layoutXattr = "lustre.lov"

// What is needed of struct lov_user_md: little endian, the first four bytes
// say which form it is.
const (
	lovMagicV1   = 0x0BD10BD0
	lovMagicV3   = 0x0BD30BD0
	lovSizeV1    = 32
	lovSizeV3    = 48
	lovPattern   = 4 // offset of a u32
	lovReleased  = 0x80000000
	lovOverMDT   = 0x100 // data on the metadata target
	lovMagicSize = 4
)

// layoutTemplate makes of a file's layout the one for a new file: the same
// stripes, on whatever targets there are. Layouts in several components are
// kept as they are. Nil means there is nothing worth restoring.
func layoutTemplate(lov []byte) []byte {
	if len(lov) < lovMagicSize {
		return nil
	}
	var size int
	switch binary.LittleEndian.Uint32(lov) {
	case lovMagicV1:
		size = lovSizeV1
	case lovMagicV3:
		size = lovSizeV3
	default:
		return slices.Clone(lov)
	}
	if len(lov) < size {
		return nil
	}
	t := slices.Clone(lov[:size])
	pattern := binary.LittleEndian.Uint32(t[lovPattern:])
	if pattern&lovOverMDT != 0 {
		return nil
	}
	binary.LittleEndian.PutUint32(t[lovPattern:], pattern&^lovReleased)
	return t
}
