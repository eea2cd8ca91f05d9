package lioc

import (
	"encoding/binary"
	"fmt"
)

// Extent is a range of a file (struct hsm_extent). A whole file is {0, 2^64-1}.
type Extent struct{ Offset, Length uint64 }

// UserState answers HSMStateGet (struct hsm_user_state).
type UserState struct {
	States, ArchiveID                 uint32
	InProgressState, InProgressAction uint32
	InProgress                        Extent
}

// StateSet is the argument of HSMStateSet (struct hsm_state_set). Valid tells
// which of the other fields count.
type StateSet struct {
	Valid, ArchiveID   uint32
	SetMask, ClearMask uint64
}

// CurrentAction answers HSMAction (struct hsm_current_action). While an action
// runs, Location.Length is the number of bytes moved.
type CurrentAction struct {
	State, Action uint32
	Location      Extent
}

// KernelComm is the argument of HSMCTStart (struct lustre_kernelcomm); Count
// archive ids of 32 bits follow it.
type KernelComm struct {
	WriteFD, ReadFD uint32
	PID, Group      uint32
	Count, Flags    uint32
}

// Item is an action as a copytool sees it (struct hsm_action_item) without its
// opaque data. Len counts the data as well.
type Item struct {
	Len, Action uint32
	FID, DFID   FID
	Extent      Extent
	Cookie, GID uint64
}

// Copy is the argument of HSMCopyStart and HSMCopyEnd (struct hsm_copy).
type Copy struct {
	DataVersion  uint64
	Flags, Errno uint16
	_            uint32
	Item         Item
}

// Progress is the argument of HSMProgress (struct hsm_progress).
type Progress struct {
	FID          FID
	Cookie       uint64
	Extent       Extent
	Flags, Errno uint16
	_            uint32
}

// RequestHeader heads a user request (struct hsm_request); Items structs
// UserItem and DataLen opaque bytes follow it.
type RequestHeader struct {
	Action, ArchiveID uint32
	Flags             uint64
	Items, DataLen    uint32
}

// UserItem is one file of a user request (struct hsm_user_item).
type UserItem struct {
	FID    FID
	Extent Extent
}

// UserImport is the argument of HSMImport (struct hsm_user_import).
type UserImport struct {
	Size                      uint64
	Atime, Mtime              uint64
	AtimeNsec, MtimeNsec      uint32
	UID, GID, Mode, ArchiveID uint32
}

// DataVersionArg is the argument of DataVersion and HSMDataVersion (struct
// ioc_data_version).
type DataVersionArg struct {
	Version              uint64
	LayoutVersion, Flags uint32
}

// SwapLayoutsArg is the argument of SwapLayouts (struct lustre_swap_layouts).
// FD is the other file, in the caller.
type SwapLayoutsArg struct {
	Flags    uint64
	FD, GID  uint32
	DV1, DV2 uint64
}

// FutimesArg is the argument of Futimes3 (struct ll_futimes_3).
type FutimesArg struct {
	Atime, AtimeNsec uint64
	Mtime, MtimeNsec uint64
	Ctime, CtimeNsec uint64
}

// FID2PathArg heads the argument of FID2Path (struct getinfo_fid2path); a
// buffer of PathLen bytes follows it.
type FID2PathArg struct {
	FID             FID
	RecNo           uint64
	LinkNo, PathLen uint32
}

// GetParentArg heads the argument of GetParent (struct getparent); a buffer of
// NameSize bytes follows it. The FID goes in as the file's and comes back as
// the parent's.
type GetParentArg struct {
	FID              FID
	LinkNo, NameSize uint32
}

// StatxTime is struct statx_timestamp.
type StatxTime struct {
	Sec  int64
	Nsec uint32
	_    int32
}

// Statx is struct statx, 256 bytes.
type Statx struct {
	Mask, Blksize              uint32
	Attributes                 uint64
	Nlink, UID, GID            uint32
	Mode                       uint16
	_                          uint16
	Ino, Size, Blocks          uint64
	AttributesMask             uint64
	Atime, Btime, Ctime, Mtime StatxTime
	RdevMajor, RdevMinor       uint32
	DevMajor, DevMinor         uint32
	_                          [14]uint64
}

// FileInfo answers GetFileInfo (struct lov_user_mds_data_v2); LmmSize bytes of
// layout follow it.
type FileInfo struct {
	FID     FID
	Stat    Statx
	Flags   uint64
	LmmSize uint32
	_       uint32
}

// HSMAttr is the value of the xattr trusted.hsm (struct hsm_attrs).
type HSMAttr struct {
	Compat, Flags         uint32
	ArchiveID, ArchiveVer uint64
}

// LMA is the value of the xattr trusted.lma (struct lustre_mdt_attrs).
type LMA struct {
	Compat, Incompat uint32
	FID              FID
}

// LovUserMD is a plain layout of one stripe (struct lov_user_md_v1).
type LovUserMD struct {
	Magic, Pattern            uint32
	ObjectID, ObjectSeq       uint64
	StripeSize                uint32
	StripeCount, StripeOffset uint16
}

// LovObject is one stripe of a layout (struct lov_user_ost_data_v1).
type LovObject struct {
	ObjectID, ObjectSeq uint64
	Gen, OST            uint32
}

// Header heads every message on a copytool's pipe (struct kuc_hdr). Len counts
// the header.
type Header struct {
	Magic            uint16
	Transport, Flags uint8
	Type, Len        uint16
}

// ListHeader heads an action list (struct hsm_action_list); the file system
// name and the items follow it.
type ListHeader struct {
	Version, Count uint32
	CompoundID     uint64
	Flags          uint64
	ArchiveID      uint32
	_              uint32
}

// Struct is any of the fixed-size structs.
type Struct interface {
	FID | Extent | UserState | StateSet | CurrentAction | KernelComm | Item | Copy | Progress |
		RequestHeader | UserItem | UserImport | DataVersionArg | SwapLayoutsArg | FutimesArg |
		FID2PathArg | GetParentArg | Statx | FileInfo | HSMAttr | LMA | LovUserMD | LovObject |
		Header | ListHeader
}

// Size is the number of bytes of T.
func Size[T Struct]() int {
	var v T
	return binary.Size(v)
}

// Decode reads a T from the start of b. A b that is too short is an error.
func Decode[T Struct](b []byte) (T, error) {
	var v T
	if _, err := binary.Decode(b, binary.NativeEndian, &v); err != nil {
		return v, fmt.Errorf("decode %T: %d bytes of %d", v, len(b), binary.Size(v))
	}
	return v, nil
}

// Encode is the inverse of Decode.
func Encode[T Struct](v T) []byte {
	b, err := binary.Append(make([]byte, 0, binary.Size(v)), binary.NativeEndian, v)
	if err != nil {
		panic(err) // only a Struct that is not of fixed size
	}
	return b
}
