package llapi

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// OpenDelayCreate is the open flag O_LOV_DELAY_CREATE, for Begin of a restore:
// the volatile file gets no objects until SetLayout, and takes no data (EBADF).
const OpenDelayCreate = 0x2100

// A CopyAction is an action that was begun. It may be used from several
// goroutines at once. It must be ended or abandoned, exactly once.
type CopyAction struct {
	ct      *Copytool
	restore bool

	mu  sync.Mutex // guards hcp: the library's handle is not for two threads
	hcp *C.struct_hsm_copyaction_private
}

// Begin tells the coordinator that the action starts, and opens the file that
// has the data (archive) or creates a nameless one for it (restore).
//
// mdtIndex and openFlags matter for a restore only: the metadata server of the
// file ([Copytool.MDTIndex]) and OpenDelayCreate or 0. Else pass -1 and 0.
//
// After an error the coordinator has in general been told nothing: call Fail.
// Errors: ENOENT, the file or the action is gone; ECANCELED, it was cancelled
// before it began; EBUSY, ErrClosed.
//
// Implements:
//
//	int llapi_hsm_action_begin(struct hsm_copyaction_private **phcp,
//	                           const struct hsm_copytool_private *ct,
//	                           const struct hsm_action_item *hai,
//	                           int restore_mdt_index, int restore_open_flags,
//	                           bool is_error);
func (c *Copytool) Begin(item ActionItem, mdtIndex, openFlags int) (*CopyAction, error) {
	return c.begin(item, mdtIndex, openFlags, false)
}

func (c *Copytool) begin(item ActionItem, mdtIndex, openFlags int, failed bool) (*CopyAction, error) {
	if err := c.enter(); err != nil {
		return nil, err
	}
	// A restore that is sent again can carry the FID of the volatile file of
	// its first try, and a removal after the unlink carries none.
	if item.Action == ActionRestore || item.DFID.IsZero() {
		item.DFID = item.FID
	}
	if item.Action == ActionRestore {
		defer lockRoot()() // the library looks for the parent directory
	}
	header := item.header(0)
	isError := C.int(0)
	if failed {
		isError = 1
	}
	var hcp *C.struct_hsm_copyaction_private
	rc := C.shim_begin(&hcp, c.ct, unsafe.Pointer(&header[0]), C.int(mdtIndex), C.int(openFlags), isError)
	if err := check("llapi_hsm_action_begin", int(rc)); err != nil {
		c.leave()
		return nil, err
	}
	return &CopyAction{ct: c, restore: item.Action == ActionRestore && !failed, hcp: hcp}, nil
}

// Fail ends an action that was not begun, or could not be, with errno. An
// action that the coordinator does not know any more is failed already: nil.
// With EndRetry it may be sent again, as after [CopyAction.End].
// Zero would claim a success that never was, and is sent as EIO.
//
// Implements:
//
//	int llapi_hsm_action_begin(..., is_error = true);
//	int llapi_hsm_action_end(struct hsm_copyaction_private **phcp,
//	                         const struct hsm_extent *he, int hp_flags,
//	                         int errval);
func (c *Copytool) Fail(item ActionItem, flags EndFlags, errno syscall.Errno) error {
	if errno == 0 {
		errno = syscall.EIO
	}
	a, err := c.begin(item, -1, 0, true)
	if err != nil {
		return err
	}
	if err := a.End(Extent{}, flags, errno); err != nil && !errors.Is(err, syscall.ENOENT) {
		return err
	}
	return nil
}

// File returns the file to copy from (archive) or into (restore). The caller
// closes it, at any time. Errors: EINVAL for other actions, ErrClosed.
//
// Implements:
//
//	int llapi_hsm_action_get_fd(const struct hsm_copyaction_private *hcp);
func (a *CopyAction) File() (*os.File, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hcp == nil {
		return nil, ErrClosed
	}
	fd, err := a.dup()
	if err != nil {
		return nil, err
	}
	// Archive's file was opened with O_NONBLOCK, to not hang on a lease. Reads
	// should wait, and Go should not try to poll it.
	if err := unix.SetNonblock(fd, false); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), "lustre HSM data"), nil
}

// dup asks the library for a new descriptor, which comes without O_CLOEXEC.
func (a *CopyAction) dup() (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd := int(C.shim_action_fd(a.hcp))
	if err := check("llapi_hsm_action_get_fd", fd); err != nil {
		return -1, err
	}
	unix.CloseOnExec(fd)
	return fd, nil
}

// DataFID returns the FID of the file that File returns: of a restore that of
// the volatile file.
//
// Implements:
//
//	int llapi_hsm_action_get_dfid(const struct hsm_copyaction_private *hcp,
//	                              struct lu_fid *fid);
func (a *CopyAction) DataFID() (FID, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hcp == nil {
		return FID{}, ErrClosed
	}
	return a.dataFID()
}

func (a *CopyAction) dataFID() (FID, error) {
	var b [fidSize]byte
	rc := C.shim_action_dfid(a.hcp, unsafe.Pointer(&b[0]))
	return getFID(b[:]), check("llapi_hsm_action_get_dfid", int(rc))
}

// Progress reports that e was copied, of total bytes, and so restarts the
// coordinator's timeout. An extent of length 0 only does that.
//
// For a restore it binds the coordinator's record to the volatile file, so
// that no other process can take the action over: [Copytool.ReportProgress]
// does not.
//
// Errors: ECANCELED, stop and End with it; ENOENT, the coordinator has
// forgotten the action: stop and End.
//
// Implements:
//
//	int llapi_hsm_action_progress(struct hsm_copyaction_private *hcp,
//	                              const struct hsm_extent *he,
//	                              uint64_t total, int hp_flags);
func (a *CopyAction) Progress(e Extent, total uint64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hcp == nil {
		return ErrClosed
	}
	rc := C.shim_progress(a.hcp, C.__u64(e.Offset), C.__u64(e.Length), C.__u64(total), 0)
	return check("llapi_hsm_action_progress", int(rc))
}

// End ends the action: with errno 0 the copy of e is complete. It takes effect
// or fails, but the action is ended and its file closed either way; a second
// End returns ErrClosed.
//
// Errors: EBUSY, the file changed while it was archived, and the coordinator
// has recorded that; ENOENT, the coordinator had forgotten the action.
//
// Implements:
//
//	int llapi_hsm_action_end(struct hsm_copyaction_private **phcp,
//	                         const struct hsm_extent *he, int hp_flags,
//	                         int errval);
func (a *CopyAction) End(e Extent, flags EndFlags, errno syscall.Errno) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hcp == nil {
		return ErrClosed
	}
	rc := C.shim_end(a.hcp, C.__u64(e.Offset), C.__u64(e.Length), C.int(flags), C.int(errno))
	a.hcp = nil // freed, whatever it returned
	a.ct.leave()
	return check("llapi_hsm_action_end", int(rc))
}

// Abandon lets go of the action without a word to the coordinators: for one that
// they do not know any more, whose End could hit the same action sent again, or one
// that is to begin anew. The nameless file of a restore is closed, and with that gone:
// what File returned must be closed before. An archive leaves its file open for as long
// as the process lives.
func (a *CopyAction) Abandon() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hcp == nil {
		return
	}
	if a.restore {
		a.closeVolatile()
	}
	// The library has no call for that, and has the handle of calloc; nothing else
	// belongs to it, or knows of it, from 2.12 to 2.17.
	C.free(unsafe.Pointer(a.hcp))
	a.hcp = nil
	a.ct.leave()
}

// closeVolatile closes the library's descriptor of a restore's nameless file. It does
// not tell which that is, but nobody else has one of that file. No file system is asked
// for more than a FID: a stat may wait for an OST that is away.
func (a *CopyAction) closeVolatile() {
	fid, err := a.dataFID()
	if err != nil {
		return
	}
	for fd := range descriptors() {
		if !isVolatile(fd) {
			continue
		}
		if got, err := FDToFID(fd); err == nil && got == fid {
			_ = unix.Close(fd)
		}
	}
}

// volatileName is how the library names what shall have no name, LUSTRE_VOLATILE_HDR.
const volatileName = ".\x0c\x13\x14\x12:VOLATILE"

func isVolatile(fd int) bool {
	name, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	return err == nil && strings.HasPrefix(filepath.Base(name), volatileName)
}

// progressSize is the size of struct hsm_progress.
const progressSize = 48

// ReportProgress reports progress of an action by its file's own FID. It
// counts as Progress does, with the same errors, and needs no CopyAction.
// Unlike Progress it leaves a restore open to be taken over by another process
// if this one dies, so it is the one to use.
func (c *Copytool) ReportProgress(item ActionItem, moved Extent) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	var b [progressSize]byte
	putFID(b[0:], item.FID)
	binary.NativeEndian.PutUint64(b[16:], item.Cookie)
	putExtent(b[24:], moved)
	return ioctl(c.root, "LL_IOC_HSM_PROGRESS", ioctlProgress, b[:])
}

// MDTIndex returns the index of the metadata server that f lives on, which
// Begin of a restore wants.
//
// Implements:
//
//	int llapi_get_mdt_index_by_fid(int fd, const struct lu_fid *fid,
//	                               int *mdt_index);
func (c *Copytool) MDTIndex(f FID) (int, error) {
	if err := c.enter(); err != nil {
		return -1, err
	}
	defer c.leave()
	return MDTIndex(c.root, f)
}

// FIDToPaths is like the function [FIDToPaths] on the copytool's mount, without
// opening it each time.
func (c *Copytool) FIDToPaths(f FID) ([]string, error) {
	if err := c.enter(); err != nil {
		return nil, err
	}
	defer c.leave()
	if !hasFIDToPathAt.Load() {
		return FIDToPaths(c.mount, f)
	}
	return allLinks(func(linkno int) (string, int, error) {
		return fidToPathAt(c.root, f, linkno)
	})
}
