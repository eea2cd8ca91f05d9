package llapi

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// RecordType is what a changelog record is about (CL_*).
type RecordType uint32

// Record types that a reader of HSM matters looks for.
const (
	RecordMark   RecordType = 0
	RecordCreate RecordType = 1
	RecordUnlink RecordType = 6
	RecordRename RecordType = 8
	RecordOpen   RecordType = 10
	RecordClose  RecordType = 11
	RecordLayout RecordType = 12
	RecordTrunc  RecordType = 13
	RecordHSM    RecordType = 16
)

var recordTypes = []string{
	"MARK", "CREAT", "MKDIR", "HLINK", "SLINK", "MKNOD", "UNLNK", "RMDIR", "RENME", "RNMTO", "OPEN", "CLOSE",
	"LYOUT", "TRUNC", "SATTR", "XATTR", "HSM", "MTIME", "CTIME", "ATIME", "MIGRT", "FLRW", "RESYNC", "GXATR", "NOPEN",
}

// String returns Lustre's short name, such as "UNLNK".
func (t RecordType) String() string {
	if int64(t) < int64(len(recordTypes)) {
		return recordTypes[t]
	}
	return "type " + strconv.FormatUint(uint64(t), 10)
}

// Flags of UNLNK and RENME records.
const (
	UnlinkLast      = 0x1 // the file's (of a rename: the victim's) last link is gone
	UnlinkHSMExists = 0x2 // and its archive may have a copy
)

// A Record is one change. Fields that the record does not have are zero.
type Record struct {
	Index  uint64
	Prev   uint64 // the record before, of the same file
	Time   time.Time
	Type   RecordType
	Flags  uint16 // low 12 bits, of a meaning by type
	FID    FID    // the file
	Parent FID    // its directory
	Name   string // its name there

	// Of a rename: the file that moved (FID is the one that was overwritten,
	// if any), from where, and its name there. Zero SourceFID: no rename.
	SourceFID    FID
	SourceParent FID
	SourceName   string

	JobID    string
	HasExtra bool   // Extra and what it tells of was recorded
	Extra    uint64 // which of the fields below there are (CLFE_*)
	UID, GID uint64
	NID      NID    // client that made the change
	OpenMode uint32 // of OPEN: 1 read, 2 write, 4 execute, 0x1000 truncate, 0x2000 append
	Xattr    string
}

// Bits of Record.Extra.
const (
	ExtraOwner = 0x01 // UID and GID
	ExtraNID   = 0x02
	ExtraOpen  = 0x04 // OpenMode
	ExtraXattr = 0x08
	extraNIDBE = 0x10 // the NID is in the large form
)

// HSMEvent is what an HSM record is about.
type HSMEvent uint8

// HSM events.
const (
	HSMArchive HSMEvent = 0
	HSMRestore HSMEvent = 1
	HSMCancel  HSMEvent = 2
	HSMRelease HSMEvent = 3
	HSMRemove  HSMEvent = 4
	HSMState   HSMEvent = 5 // flags were changed
)

// HSM unpacks the flags of a record of type RecordHSM: the event, its error
// (0: done; 127: one that does not fit), and whether the file is dirty.
func (r Record) HSM() (event HSMEvent, errno syscall.Errno, dirty bool) {
	return HSMEvent(r.Flags >> 7 & 7), syscall.Errno(r.Flags & 0x7f), r.Flags&0x400 != 0
}

// Layout of struct changelog_rec and of the extensions that follow it in this
// order, each when its flag is set; the name comes last.
const (
	recordHeaderSize = 64

	recordFlagMask = 0x0fff
	recordRename   = 0x2000
	recordJobID    = 0x4000
	recordExtra    = 0x8000

	renameSize     = 32
	jobIDSize      = 32
	extraFlagsSize = 8
	ownerSize      = 16
	nidSize        = 24
	openModeSize   = 4
	xattrNameSize  = 256
)

// recordSize returns the size of the record that b begins, as far as b tells:
// when it is larger than b, b must be extended and asked again.
func recordSize(b []byte) int {
	flags := binary.NativeEndian.Uint16(b[2:])
	size := recordHeaderSize
	if flags&recordRename != 0 {
		size += renameSize
	}
	if flags&recordJobID != 0 {
		size += jobIDSize
	}
	if flags&recordExtra != 0 {
		size += extraFlagsSize
		if size > len(b) {
			return size
		}
		size += extraSize(binary.NativeEndian.Uint64(b[size-extraFlagsSize:]))
	}
	return size + int(binary.NativeEndian.Uint16(b))
}

func extraSize(extra uint64) (size int) {
	for _, e := range []struct {
		flag uint64
		size int
	}{
		{ExtraOwner, ownerSize}, {ExtraNID, nidSize}, {ExtraOpen, openModeSize}, {ExtraXattr, xattrNameSize},
	} {
		if extra&e.flag != 0 {
			size += e.size
		}
	}
	return size
}

// DecodeRecord decodes a struct changelog_rec with its extensions. The error
// is ErrTruncated.
func DecodeRecord(b []byte) (Record, error) {
	if len(b) < recordHeaderSize || len(b) < recordSize(b) {
		return Record{}, fmt.Errorf("changelog record of %d bytes: %w", len(b), ErrTruncated)
	}
	b = b[:recordSize(b)]
	flags := binary.NativeEndian.Uint16(b[2:])
	stamp := binary.NativeEndian.Uint64(b[24:])
	r := Record{
		Flags:  flags & recordFlagMask,
		Type:   RecordType(binary.NativeEndian.Uint32(b[4:])),
		Index:  binary.NativeEndian.Uint64(b[8:]),
		Prev:   binary.NativeEndian.Uint64(b[16:]),
		Time:   time.Unix(int64(stamp>>30), int64(stamp&(1<<30-1))),
		FID:    getFID(b[32:]),
		Parent: getFID(b[48:]),
	}
	rest := r.decodeExtensions(b[recordHeaderSize:], flags)
	r.decodeNames(string(rest))
	return r, nil
}

// decodeExtensions decodes what is between the header and the name, and
// returns the rest. The caller has checked the lengths.
func (r *Record) decodeExtensions(b []byte, flags uint16) []byte {
	if flags&recordRename != 0 {
		r.SourceFID, r.SourceParent = getFID(b), getFID(b[fidSize:])
		b = b[renameSize:]
	}
	if flags&recordJobID != 0 {
		r.JobID = cString(b[:jobIDSize])
		b = b[jobIDSize:]
	}
	if flags&recordExtra == 0 {
		return b
	}
	r.HasExtra, r.Extra = true, binary.NativeEndian.Uint64(b)
	b = b[extraFlagsSize:]
	if r.Extra&ExtraOwner != 0 {
		r.UID, r.GID = binary.NativeEndian.Uint64(b), binary.NativeEndian.Uint64(b[8:])
		b = b[ownerSize:]
	}
	if r.Extra&ExtraNID != 0 {
		r.NID = decodeNID(b, r.Extra&extraNIDBE != 0)
		b = b[nidSize:]
	}
	if r.Extra&ExtraOpen != 0 {
		r.OpenMode = binary.NativeEndian.Uint32(b)
		b = b[openModeSize:]
	}
	if r.Extra&ExtraXattr != 0 {
		r.Xattr = cString(b[:xattrNameSize])
		b = b[xattrNameSize:]
	}
	return b
}

// decodeNames splits the new and the old name of a rename.
func (r *Record) decodeNames(names string) {
	name, source, _ := strings.Cut(names, "\x00")
	r.Name = name
	if !r.SourceFID.IsZero() {
		r.SourceName, _, _ = strings.Cut(source, "\x00")
	}
}

// NID is a network address of a Lustre node.
type NID struct {
	Type uint8 // of the network: 2 tcp, 5 o2ib, 9 lo
	Num  uint16
	Addr uint32   // IPv4, or a number
	Long [12]byte // what follows Addr, where Size is not 0
	Size uint8    // bytes of address beyond 4
}

// decodeNID decodes the extension for a NID: a 64-bit number in host order, or
// (large) a struct lnet_nid in network order.
func decodeNID(b []byte, large bool) NID {
	if !large {
		n := binary.NativeEndian.Uint64(b)
		return NID{Type: uint8(n >> 48), Num: uint16(n >> 32), Addr: uint32(n)}
	}
	n := NID{
		Size: b[0], Type: b[1], Num: binary.BigEndian.Uint16(b[2:]),
		Addr: binary.BigEndian.Uint32(b[4:]),
	}
	copy(n.Long[:], b[8:20])
	return n
}

// String returns Lustre's text, such as "10.0.2.15@tcp" or "0@lo".
func (n NID) String() string {
	net, known := nidNetworks[n.Type]
	switch {
	case !known:
		return fmt.Sprintf("%x@<%d:%d>", n.Addr, n.Type, n.Num)
	case n.Num != 0:
		net += strconv.Itoa(int(n.Num))
	}
	return n.address() + "@" + net
}

var nidNetworks = map[uint8]string{2: "tcp", 5: "o2ib", nidLoopback: "lo"}

const nidLoopback = 9

func (n NID) address() string {
	var b [16]byte
	binary.BigEndian.PutUint32(b[:], n.Addr)
	copy(b[4:], n.Long[:])
	switch {
	case n.Type == nidLoopback:
		return strconv.FormatUint(uint64(n.Addr), 10)
	case n.Size == uint8(len(n.Long)):
		return netip.AddrFrom16(b).String()
	}
	return netip.AddrFrom4([4]byte(b[:4])).String()
}
