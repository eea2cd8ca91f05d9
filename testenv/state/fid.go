package state

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"syscall"
)

// A FID names a file within the file system for as long as it exists, whatever
// its path. It is comparable and can be a map key.
type FID struct {
	Seq uint64
	OID uint32
	Ver uint32
}

// Well-known FIDs.
var (
	RootFID      = FID{0x200000007, 1, 0} // the mount root
	DotLustreFID = FID{0x200000002, 1, 0} // <mount>/.lustre
	FIDDirFID    = FID{0x200000002, 2, 0} // <mount>/.lustre/fid
)

// firstSeq is the sequence of the first client of a fresh Lustre, the one that
// every example in Lustre's manual shows.
const firstSeq = 0x200000401

// oidBits is how much of an inode number belongs to the object id. A sequence
// therefore ends at 2^24 files, far later than a test can reach.
const oidBits = 24

// String gives the bracketed form, "[0x200000401:0x17:0x0]". A zero sequence
// prints "0" and not "0x0", as the kernel's %#llx does.
func (f FID) String() string { return "[" + f.Bare() + "]" }

// Bare gives the same text without brackets, the form of names in .lustre/fid.
func (f FID) Bare() string {
	if f.Seq == 0 {
		return fmt.Sprintf("0:0x%x:0x%x", f.OID, f.Ver)
	}
	return fmt.Sprintf("0x%x:0x%x:0x%x", f.Seq, f.OID, f.Ver)
}

// IsZero reports whether f names nothing.
func (f FID) IsZero() bool { return f == FID{} }

// Ino gives the inode number of f, Lustre's flattened FID: stat(2) shows it,
// and it serves as FUSE node ID (except for the root, whose node ID is 1).
func (f FID) Ino() uint64 { return f.Seq<<oidBits + uint64(f.OID) }

// FIDFromIno undoes [FID.Ino].
func FIDFromIno(ino uint64) FID {
	return FID{Seq: ino >> oidBits, OID: uint32(ino & (1<<oidBits - 1))}
}

// Bytes gives f as struct lu_fid lies in memory: 16 bytes, host order.
func (f FID) Bytes() []byte { return f.append(make([]byte, 0, 16)) }

func (f FID) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, f.Seq)
	b = binary.LittleEndian.AppendUint32(b, f.OID)
	return binary.LittleEndian.AppendUint32(b, f.Ver)
}

// appendBE gives the on-disk form that trusted.link uses.
func (f FID) appendBE(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, f.Seq)
	b = binary.BigEndian.AppendUint32(b, f.OID)
	return binary.BigEndian.AppendUint32(b, f.Ver)
}

// sane says whether f may name a file at all.
func (f FID) sane() bool { return f.Seq >= 0x200000000 && f.OID != 0 && f.Ver == 0 }

// ParseFID reads a FID with or without brackets. Errors are EINVAL.
func ParseFID(s string) (FID, error) {
	if strings.HasPrefix(s, "[") != strings.HasSuffix(s, "]") {
		return FID{}, syscall.EINVAL
	}
	parts := strings.Split(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"), ":")
	if len(parts) != 3 {
		return FID{}, syscall.EINVAL
	}
	seq, err1 := strconv.ParseUint(parts[0], 0, 64)
	oid, err2 := strconv.ParseUint(parts[1], 0, 32)
	ver, err3 := strconv.ParseUint(parts[2], 0, 32)
	if err1 != nil || err2 != nil || err3 != nil {
		return FID{}, syscall.EINVAL
	}
	return FID{Seq: seq, OID: uint32(oid), Ver: uint32(ver)}, nil
}
