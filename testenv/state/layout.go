package state

import (
	"encoding/binary"
	"slices"
	"syscall"
)

// A layout is what the xattr lustre.lov holds (struct lov_user_md). The model
// has one data object per file whatever the layout says, but gives back what was
// set, since copytools save layouts and set them again at restore.

const (
	lovMagicV1        = 0x0BD10BD0
	lovMagicV3        = 0x0BD30BD0
	lovMagicSpecific  = 0x0BD50BD0
	lovMagicComposite = 0x0BD60BD0

	lovRAID0    = 1
	lovMDT      = 0x100      // in the pattern: data on the metadata target
	lovReleased = 0x80000000 // in the pattern: the data are not here

	lovSizeV1     = 32
	lovSizeV3     = 48
	lovSizeObject = 24
	lovCompHeader = 32
	lovCompEntry  = 48

	defaultStripeSize = 1 << 20
)

var le = binary.LittleEndian

// layoutXattr renders the layout of a file; ENODATA if it has none yet.
func (i *inode) layoutXattr() ([]byte, error) {
	switch {
	case !i.regular() || i.is.noLayout:
		return nil, syscall.ENODATA
	case i.extra != nil && len(i.extra.lov) > 0 && le.Uint32(i.extra.lov) == lovMagicComposite:
		return compositeLayout(i.extra.lov, i.is.hollow), nil
	}
	return i.plainLayout(), nil
}

// plainLayout gives a V1 or V3 layout with the stripes the file pretends to have.
func (i *inode) plainLayout() []byte {
	head, stripes := i.layoutHeader()
	le.PutUint64(head[8:], uint64(i.fid().OID))
	le.PutUint64(head[16:], i.fid().Seq)
	le.PutUint16(head[30:], uint16(i.layout.Load())) // the generation; a stripe offset only when set
	if i.is.hollow {
		le.PutUint32(head[4:], le.Uint32(head[4:])|lovReleased)
		return head
	}
	for n := range stripes {
		object := make([]byte, lovSizeObject)
		le.PutUint64(object, FIDFromIno(i.obj).Seq<<oidBits|uint64(FIDFromIno(i.obj).OID))
		le.PutUint32(object[20:], uint32(n))
		head = append(head, object...)
	}
	return head
}

func (i *inode) layoutHeader() (head []byte, stripes uint16) {
	if i.extra == nil || len(i.extra.lov) == 0 {
		head = make([]byte, lovSizeV1)
		le.PutUint32(head, lovMagicV1)
		le.PutUint32(head[4:], lovRAID0)
		le.PutUint32(head[24:], defaultStripeSize)
		le.PutUint16(head[28:], 1)
		return head, 1
	}
	head = slices.Clone(i.extra.lov)
	if le.Uint32(head[24:]) == 0 {
		le.PutUint32(head[24:], defaultStripeSize)
	}
	stripes = le.Uint16(head[28:])
	if stripes == 0 || stripes > 2000 { // 0xffff asks for all there are
		stripes = 1
	}
	le.PutUint16(head[28:], stripes)
	return head, stripes
}

// compositeLayout marks every component released, or none.
func compositeLayout(lov []byte, hollow bool) []byte {
	lov = slices.Clone(lov)
	for n := range int(le.Uint16(lov[14:])) {
		entry := lov[lovCompHeader+n*lovCompEntry:]
		pattern := lov[le.Uint32(entry[24:])+4:]
		value := le.Uint32(pattern) &^ lovReleased
		if hollow {
			value |= lovReleased
		}
		le.PutUint32(pattern, value)
	}
	return lov
}

// parseLayout checks a layout that a user sets and keeps what counts of it.
func parseLayout(v []byte) ([]byte, error) {
	if len(v) < lovSizeV1 {
		return nil, syscall.EINVAL
	}
	size := lovSizeV1
	switch le.Uint32(v) {
	case lovMagicV1:
	case lovMagicV3, lovMagicSpecific:
		size = lovSizeV3
	case lovMagicComposite:
		return parseComposite(v)
	default:
		return nil, syscall.EINVAL
	}
	if len(v) < size {
		return nil, syscall.EINVAL
	}
	head := slices.Clone(v[:size])
	if size == lovSizeV3 {
		le.PutUint32(head, lovMagicV3) // "specific" only says how the OSTs were chosen
	}
	le.PutUint32(head[4:], le.Uint32(head[4:])&^lovReleased)
	return head, nil
}

func parseComposite(v []byte) ([]byte, error) {
	count := int(le.Uint16(v[14:]))
	if count == 0 || len(v) < lovCompHeader+count*lovCompEntry || int64(le.Uint32(v[4:])) > int64(len(v)) {
		return nil, syscall.EINVAL
	}
	for n := range count {
		entry := v[lovCompHeader+n*lovCompEntry:]
		offset := uint64(le.Uint32(entry[24:]))
		if offset+lovSizeV1 > uint64(len(v)) {
			return nil, syscall.EINVAL
		}
	}
	return slices.Clone(v), nil
}

// sizeOnMDT is how many bytes of the file are on the metadata target, by its layout: only
// the first of several components can put some there.
func (i *inode) sizeOnMDT() uint64 {
	if i.extra == nil || len(i.extra.lov) == 0 || le.Uint32(i.extra.lov) != lovMagicComposite {
		return 0
	}
	entry := i.extra.lov[lovCompHeader:]
	if le.Uint32(i.extra.lov[le.Uint32(entry[24:])+4:])&lovMDT == 0 {
		return 0
	}
	return le.Uint64(entry[16:])
}

// setLayout gives a layout to a file that was created without one. EEXIST for a
// file that has a layout already.
func (fs *FS) setLayout(i *inode, v []byte) error {
	fs.sync(i)
	lov, err := parseLayout(v)
	switch {
	case !i.regular():
		return syscall.EINVAL
	case err != nil:
		return err
	case !i.is.noLayout:
		return syscall.EEXIST
	}
	i.more().lov = lov
	i.is.noLayout = false
	return nil
}
