package llapi

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// State is the HSM state of a file. The zero value is a file that HSM never
// touched.
type State struct {
	Flags     StateFlags
	ArchiveID uint32 // of the last archive, even when Flags are gone; 0: none
}

// Sizes of struct hsm_user_state and struct hsm_current_action.
const (
	userStateSize     = 32
	currentActionSize = 24
)

// DecodeState decodes a struct hsm_user_state.
func DecodeState(b []byte) (State, error) {
	if len(b) < userStateSize {
		return State{}, fmt.Errorf("HSM state of %d bytes: %w", len(b), ErrTruncated)
	}
	return State{
		Flags:     StateFlags(binary.NativeEndian.Uint32(b)),
		ArchiveID: binary.NativeEndian.Uint32(b[4:]),
	}, nil
}

// GetState is GetStateFD of the file at path, which is no symbolic link. It opens the
// file, which the caller must be allowed to read; no restore is triggered by that.
func GetState(path string) (state State, err error) {
	err = onOpen(path, func(fd int) error {
		state, err = GetStateFD(fd)
		return err
	})
	return state, err
}

// onOpen does something with a file that is open for reading. That is enough to ask
// for its HSM state, and to change it: the library's functions that take a path open
// it for writing then, which takes a mount that can be written to, a right to the
// file's data, and a program that nobody runs.
func onOpen(path string, do func(fd int) error) error {
	fd, err := OpenToAsk(unix.AT_FDCWD, path)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written
	return do(fd)
}

// GetStateFD returns the HSM state of an open file, as the metadata server has it.
//
// Errors: ENOTTY when it is not a file of a Lustre.
//
// Implements:
//
//	int llapi_hsm_state_get_fd(int fd, struct hsm_user_state *hus);
func GetStateFD(fd int) (State, error) {
	if err := Load(); err != nil {
		return State{}, err
	}
	var b [userStateSize]byte
	rc := C.shim_state_get_fd(C.int(fd), unsafe.Pointer(&b[0]))
	if err := check("llapi_hsm_state_get_fd", int(rc)); err != nil {
		return State{}, err
	}
	return DecodeState(b[:])
}

// SetState is SetStateFD of the file at path, which is no symbolic link.
func SetState(path string, set, clr StateFlags, archiveID uint32) error {
	return onOpen(path, func(fd int) error { return SetStateFD(fd, set, clr, archiveID) })
}

// SetStateFD sets and clears HSM flags of an open file, and its archive id unless that
// is 0.
//
// Errors: EINVAL when the flags would contradict each other; EPERM for flags
// that only root may change (all but dirty, never_release and never_archive).
//
// Implements:
//
//	int llapi_hsm_state_set_fd(int fd, uint64_t setmask,
//	                           uint64_t clearmask, uint32_t archive_id);
func SetStateFD(fd int, set, clr StateFlags, archiveID uint32) error {
	if err := Load(); err != nil {
		return err
	}
	rc := C.shim_state_set_fd(C.int(fd), C.__u64(set), C.__u64(clr), C.__u32(archiveID))
	return check("llapi_hsm_state_set_fd", int(rc))
}

// HSMAttr is the content of the extended attribute trusted.hsm, where the
// metadata server keeps a file's HSM state.
//
// A client keeps attributes, and the server tells it of no change of this one but by
// setxattr, llapi_hsm_state_set and a release, and after 2.17 (LU-19829) by the end of
// an action: what a write, or an older server's end of an action, has changed it may see
// ten minutes to an hour later. So flags are to be had by [GetState].
type HSMAttr struct {
	Flags       StateFlags
	ArchiveID   uint64
	DataVersion uint64 // of the data that was archived last
}

const (
	hsmAttrName = "trusted.hsm"
	hsmAttrSize = 24
)

// DecodeHSMAttr decodes a trusted.hsm, which is little endian everywhere.
func DecodeHSMAttr(b []byte) (HSMAttr, error) {
	if len(b) < hsmAttrSize {
		return HSMAttr{}, fmt.Errorf("%s of %d bytes: %w", hsmAttrName, len(b), ErrTruncated)
	}
	return HSMAttr{
		Flags:       StateFlags(binary.LittleEndian.Uint32(b[4:])),
		ArchiveID:   binary.LittleEndian.Uint64(b[8:]),
		DataVersion: binary.LittleEndian.Uint64(b[16:]),
	}, nil
}

// ReadHSMAttr reads trusted.hsm of the file at path, as root, and as this client saw it
// last. A file that HSM never touched has no attribute and gives the zero value.
func ReadHSMAttr(path string) (HSMAttr, error) {
	var b [256]byte
	n, err := unix.Lgetxattr(path, hsmAttrName, b[:])
	switch {
	case errors.Is(err, unix.ENODATA):
		return HSMAttr{}, nil
	case err != nil:
		return HSMAttr{}, &os.PathError{Op: "lgetxattr " + hsmAttrName, Path: path, Err: err}
	}
	return DecodeHSMAttr(b[:n])
}

// ProgressState is how far an action is (HPS_*).
type ProgressState uint32

// Progress states.
const (
	ProgressNone    ProgressState = 0
	ProgressWaiting ProgressState = 1 // recorded, not sent to a copytool
	ProgressRunning ProgressState = 2
	ProgressDone    ProgressState = 3
)

// String returns the word that lfs prints, such as "running".
func (s ProgressState) String() string {
	switch s {
	case ProgressNone:
		return "none"
	case ProgressWaiting:
		return "waiting"
	case ProgressRunning:
		return "running"
	case ProgressDone:
		return "done"
	}
	return "progress state " + strconv.FormatUint(uint64(s), 10)
}

// CurrentAction is what the coordinator is doing with a file.
type CurrentAction struct {
	State    ProgressState
	Action   UserAction // UserNone: nothing, whatever State says
	Location Extent     // of a running archive or restore, Length is the bytes moved
}

// DecodeCurrentAction decodes a struct hsm_current_action.
func DecodeCurrentAction(b []byte) (CurrentAction, error) {
	if len(b) < currentActionSize {
		return CurrentAction{}, fmt.Errorf("HSM action of %d bytes: %w", len(b), ErrTruncated)
	}
	return CurrentAction{
		State:    ProgressState(binary.NativeEndian.Uint32(b)),
		Action:   UserAction(binary.NativeEndian.Uint32(b[4:])),
		Location: getExtent(b[8:]),
	}, nil
}

// GetCurrentAction returns what the coordinator is doing with the file at
// path. The coordinator reads its whole log for it.
//
// Implements:
//
//	int llapi_hsm_current_action(const char *path,
//	                             struct hsm_current_action *hca);
func GetCurrentAction(path string) (CurrentAction, error) {
	if err := Load(); err != nil {
		return CurrentAction{}, err
	}
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	var b [currentActionSize]byte
	rc := C.shim_current_action(cpath, unsafe.Pointer(&b[0]))
	if err := check("llapi_hsm_current_action", int(rc)); err != nil {
		return CurrentAction{}, err
	}
	return DecodeCurrentAction(b[:])
}
