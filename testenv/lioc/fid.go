package lioc

import "fmt"

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
