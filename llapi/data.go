package llapi

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// DataVersionFlags say what is done before a data version is read.
type DataVersionFlags uint64

// Data version flags; 0 reads it as it is.
const (
	ReadFlush  DataVersionFlags = 1 // other clients write their data back
	WriteFlush DataVersionFlags = 2 // and drop their caches
)

// DataVersion returns a number that changes whenever the data of the file, or
// where they lie, change; metadata do not touch it. Only equality has a
// meaning. A file without objects has 0.
//
// Implements:
//
//	int llapi_get_data_version(int fd, uint64_t *data_version,
//	                           uint64_t flags);
func DataVersion(fd int, flags DataVersionFlags) (uint64, error) {
	if err := Load(); err != nil {
		return 0, err
	}
	var dv C.__u64
	rc := C.shim_data_version(C.int(fd), &dv, C.__u64(flags))
	return uint64(dv), check("llapi_get_data_version", int(rc))
}

// SetArchivedVersion writes a data version into the file's HSM attribute, so
// that its present data count as those that were archived. Errors: ENOSYS
// before 2.16.
//
// Implements:
//
//	int llapi_hsm_data_version_set(int fd, uint64_t data_version);
func SetArchivedVersion(fd int, dv uint64) error {
	if err := Load(); err != nil {
		return err
	}
	rc := C.shim_data_version_set(C.int(fd), C.__u64(dv))
	return check("llapi_hsm_data_version_set", int(rc))
}

// Layouts travel as the raw bytes of this attribute.
const layoutAttr = "lustre.lov"

// GetLayout returns the layout of an open file as raw bytes, for SetLayout of
// another. Errors: ENODATA when it has none (yet).
func GetLayout(fd int) ([]byte, error) {
	lov, err := ReadXattr(func(buf []byte) (int, error) { return unix.Fgetxattr(fd, layoutAttr, buf) })
	return lov, os.NewSyscallError("fgetxattr "+layoutAttr, err)
}

// SetLayout gives a layout, in the form of GetLayout, to an open file that has none
// yet (OpenDelayCreate). What GetLayout returned can order the OSTs that the file had:
// see struct lov_user_md, lmm_stripe_offset. Errors: EEXIST, EINVAL.
func SetLayout(fd int, lov []byte) error {
	return os.NewSyscallError("fsetxattr "+layoutAttr,
		unix.Fsetxattr(fd, layoutAttr, lov, unix.XATTR_CREATE))
}

// ImportStat is what an imported file looks like.
type ImportStat struct {
	UID, GID   uint32
	Mode       uint32 // st_mode, with the type of the file
	Size       int64  // bytes
	ModTime    time.Time
	AccessTime time.Time
}

// Striping says how an imported file will be striped; the zero value leaves it
// to the file system's default.
type Striping struct {
	Size  uint64 // bytes per stripe
	Count int    // stripes; -1: over all OSTs
	Pool  string
}

// Import creates dst as a released file whose data archive archiveID has, and
// returns its FID, under which the archive must know the data from then on. It
// needs root. Errors: EEXIST; after any other, dst has been removed again.
//
// Implements:
//
//	int llapi_hsm_import(const char *dst, int archive,
//	                     const struct stat *st,
//	                     unsigned long long stripe_size,
//	                     int stripe_offset, int stripe_count,
//	                     int stripe_pattern, char *pool_name,
//	                     struct lu_fid *newfid);
func Import(dst string, archiveID uint32, st ImportStat, s Striping) (FID, error) {
	if err := Load(); err != nil {
		return FID{}, err
	}
	cdst := C.CString(dst)
	defer C.free(unsafe.Pointer(cdst))
	var pool *C.char
	if s.Pool != "" {
		pool = C.CString(s.Pool)
		defer C.free(unsafe.Pointer(pool))
	}
	cst := C.struct_shim_stat{
		uid: C.uint(st.UID), gid: C.uint(st.GID), mode: C.uint(st.Mode), size: C.longlong(st.Size),
		atime: C.longlong(st.AccessTime.Unix()), atime_ns: C.long(st.AccessTime.Nanosecond()),
		mtime: C.longlong(st.ModTime.Unix()), mtime_ns: C.long(st.ModTime.Nanosecond()),
	}
	var b [fidSize]byte
	rc := C.shim_import(cdst, C.int(archiveID), &cst, C.ulonglong(s.Size), C.int(s.Count), pool, unsafe.Pointer(&b[0]))
	if err := check("llapi_hsm_import", int(rc)); err != nil {
		return FID{}, err
	}
	return getFID(b[:]), nil
}
