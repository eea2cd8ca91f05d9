package lioc

import (
	"fmt"
	"strconv"
	"strings"
)

// FID names a file within one file system for as long as it exists (struct
// lu_fid, 16 bytes).
type FID struct {
	Seq      uint64
	OID, Ver uint32
}

// String gives the bracketed form that Lustre prints. A zero sequence is "0"
// and not "0x0": that is what printf's %#llx does.
func (f FID) String() string { return "[" + f.Bare() + "]" }

// Bare is String without the brackets.
func (f FID) Bare() string {
	if f.Seq == 0 {
		return fmt.Sprintf("0:0x%x:0x%x", f.OID, f.Ver)
	}
	return fmt.Sprintf("0x%x:0x%x:0x%x", f.Seq, f.OID, f.Ver)
}

// ParseFID reads a FID with or without brackets, its numbers in any base that
// C's strtoull would detect.
func ParseFID(s string) (FID, error) {
	bad := fmt.Errorf("parse FID %q: want [seq:oid:ver]", s)
	t := s
	if strings.HasPrefix(t, "[") != strings.HasSuffix(t, "]") {
		return FID{}, bad
	}
	t = strings.TrimSuffix(strings.TrimPrefix(t, "["), "]")
	parts := strings.Split(t, ":")
	if len(parts) != 3 || strings.ContainsAny(t, "_+-") {
		return FID{}, bad
	}
	var n [3]uint64
	for i, bits := range []int{64, 32, 32} {
		v, err := strconv.ParseUint(parts[i], 0, bits)
		if err != nil {
			return FID{}, bad
		}
		n[i] = v
	}
	return FID{Seq: n[0], OID: uint32(n[1]), Ver: uint32(n[2])}, nil
}
