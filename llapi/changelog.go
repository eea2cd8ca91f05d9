package llapi

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"io"
	"sync"
	"syscall"
	"unsafe"
)

// ChangelogFlags say how a changelog is read (CHANGELOG_FLAG_*).
type ChangelogFlags int

// Changelog flags.
const (
	ChangelogFollow ChangelogFlags = 0x01 // at the end, wait for more
	ChangelogBlock  ChangelogFlags = 0x02 // of no meaning since 2.10
	ChangelogJobID  ChangelogFlags = 0x04 // with job ids
	ChangelogExtra  ChangelogFlags = 0x08 // with owner, NID, open mode, xattr
	ChangelogNIDBE  ChangelogFlags = 0x10 // NIDs in the large form (2.16)
)

// everyExtra asks for all extra fields (CHANGELOG_EXTRA_FLAG_*).
const everyExtra = 0x0f

// A Changelog reads the changes of one metadata server. One goroutine at a
// time may be in Recv; Close must wait for it.
type Changelog struct {
	mu   sync.Mutex // guards priv
	priv unsafe.Pointer
}

// OpenChangelog opens the changelog of a metadata server, such as
// "lustre-MDT0000", at record start (0: the oldest). It needs root.
//
// Errors: ENOENT when no such server is mounted here.
//
// Implements:
//
//	int llapi_changelog_start(void **priv, enum changelog_send_flag flags,
//	                          const char *mdtname, long long startrec);
//	int llapi_changelog_set_xflags(void *priv,
//	                               enum changelog_send_extra_flag extra);
func OpenChangelog(mdt string, start uint64, flags ChangelogFlags) (*Changelog, error) {
	if err := Load(); err != nil {
		return nil, err
	}
	cmdt := C.CString(mdt)
	defer C.free(unsafe.Pointer(cmdt))
	var priv unsafe.Pointer
	// The library opens the device without O_CLOEXEC.
	syscall.ForkLock.RLock()
	rc := C.shim_changelog_start(&priv, C.int(flags), cmdt, C.longlong(start))
	syscall.ForkLock.RUnlock()
	if err := check("llapi_changelog_start", int(rc)); err != nil {
		return nil, err
	}
	c := &Changelog{priv: priv}
	if flags&ChangelogExtra != 0 {
		rc := C.shim_changelog_set_xflags(priv, everyExtra)
		if err := check("llapi_changelog_set_xflags", int(rc)); err != nil {
			_ = c.Close()
			return nil, err
		}
	}
	return c, nil
}

// Recv returns the next record, and io.EOF after the last one.
//
// Implements:
//
//	int llapi_changelog_recv(void *priv, struct changelog_rec **rech);
//	int llapi_changelog_free(struct changelog_rec **rech);
func (c *Changelog) Recv() (Record, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.priv == nil {
		return Record{}, ErrClosed
	}
	var rec unsafe.Pointer
	rc := int(C.shim_changelog_recv(c.priv, &rec))
	if err := check("llapi_changelog_recv", rc); err != nil {
		return Record{}, err
	}
	if rc > 0 {
		return Record{}, io.EOF
	}
	if rec == nil { // 2.16 and later, short of memory
		return Record{}, &Error{Func: "llapi_changelog_recv", Errno: syscall.ENOMEM}
	}
	defer C.shim_changelog_free(rec)
	return DecodeRecord(recordBytes(rec))
}

// recordBytes returns the memory of a record that the library allocated. Its
// length is nowhere but in itself, so it is looked at piece by piece.
func recordBytes(rec unsafe.Pointer) []byte {
	for n := recordHeaderSize; ; {
		b := unsafe.Slice((*byte)(rec), n)
		next := recordSize(b)
		if next <= n {
			return b
		}
		n = next
	}
}

// Close releases the changelog. A second Close returns ErrClosed.
//
// Implements:
//
//	int llapi_changelog_fini(void **priv);
func (c *Changelog) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.priv == nil {
		return ErrClosed
	}
	rc := C.shim_changelog_fini(c.priv)
	c.priv = nil
	return check("llapi_changelog_fini", int(rc))
}

// ClearChangelog tells a metadata server that the changelog user ("cl1") needs
// no record up to and including end, 0 meaning every one there is now.
//
// Errors: ENOENT, no such user; EINVAL, end is not a record of this user's.
//
// Implements:
//
//	int llapi_changelog_clear(const char *mdtname, const char *idstr,
//	                          long long endrec);
func ClearChangelog(mdt, user string, end uint64) error {
	if err := Load(); err != nil {
		return err
	}
	cmdt, cuser := C.CString(mdt), C.CString(user)
	defer C.free(unsafe.Pointer(cmdt))
	defer C.free(unsafe.Pointer(cuser))
	return check("llapi_changelog_clear", int(C.shim_changelog_clear(cmdt, cuser, C.longlong(end))))
}
