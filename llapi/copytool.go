package llapi

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Copytool is a registration with the HSM coordinators of one Lustre file
// system, one per metadata server. See the package documentation for which
// goroutine may call what.
//
// Lustre keeps one agent per client mount: a second registration on the same
// mount succeeds, and then both get every action, and the end of one ends the
// other. Keeping a second one out is the caller's business.
type Copytool struct {
	mount    string
	archives []uint32 // that it serves; empty: every one
	root     int      // the mount root, for ioctls of our own
	device   uint64   // of the mount
	ct       *C.struct_hsm_copytool_private
	fd       int32    // the library's pipe; never closed by us
	wake     *os.File // eventfd that interrupts poll; safe to write after Close
	wakeFD   int32    // its number; asking the File would make it blocking

	renewed bool         // guarded by registrations
	gone    atomic.Bool  // set by Unregister at its end: nothing more comes
	closed  atomic.Bool  // set by Close: no more of anything
	recv    sync.Mutex   // held by Recv, so that its descriptor stays
	deaf    bool         // the pipe has been given up; guarded by recv
	pending []ActionList // read, and not yet returned; guarded by recv

	outOfStep bool   // the library lost the place in the pipe; guarded by recv
	frames    framer // what resync read; guarded by recv

	actions sync.RWMutex
	open    sync.WaitGroup // actions begun and not ended; added to under actions
}

// pipeSize is asked for the pipe that actions come through. Messages reach it
// whole while it has room; one that does not fit in is written in pieces, and
// the library up to 2.17 loses one that it reads in pieces (LU-20183).
const pipeSize = 1 << 20

// Register registers a copytool for archiveIDs, none meaning every archive, on
// the file system mounted at mount, which must be the mount point itself. It
// needs CAP_SYS_ADMIN.
//
// Errors: ENOENT where mount is not the root of a Lustre, EPERM, ENXIO when a
// coordinator is stopped, ENOTCONN when no metadata server can be reached.
//
// Implements:
//
//	int llapi_hsm_copytool_register(struct hsm_copytool_private **priv,
//	                                const char *mnt, int archive_count,
//	                                int *archives, int rfd_flags);
//	int llapi_hsm_copytool_get_fd(struct hsm_copytool_private *ct);
func Register(mount string, archiveIDs ...uint32) (*Copytool, error) {
	if err := Load(); err != nil {
		return nil, err
	}
	root, err := openRoot(mount)
	if err != nil {
		return nil, err
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(root)
		return nil, os.NewSyscallError("eventfd", err)
	}
	c := &Copytool{
		mount: mount, archives: slices.Clone(archiveIDs), root: root,
		wake: os.NewFile(uintptr(wake), "eventfd"), wakeFD: int32(wake),
	}
	if c.device, err = deviceOf(root); err == nil {
		err = c.register(archiveIDs)
	}
	if err != nil {
		c.closeFiles()
		return nil, err
	}
	return c, nil
}

func (c *Copytool) register(archiveIDs []uint32) error {
	cmount := C.CString(c.mount)
	defer C.free(unsafe.Pointer(cmount))
	var ids *C.int
	if len(archiveIDs) > 0 {
		ids = (*C.int)(unsafe.Pointer(&archiveIDs[0]))
	}
	// The library opens its files without O_CLOEXEC. A child started meanwhile
	// would hold the pipe and the mount.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	registrations.Lock()
	defer registrations.Unlock()
	var ct *C.struct_hsm_copytool_private
	rc := C.shim_register(&ct, cmount, C.int(len(archiveIDs)), ids, C.int(unix.O_NONBLOCK))
	if err := check("llapi_hsm_copytool_register", int(rc)); err != nil {
		return err
	}
	fd := C.shim_get_fd(ct)
	if err := check("llapi_hsm_copytool_get_fd", int(fd)); err != nil {
		C.shim_unregister(ct)
		return err
	}
	c.ct, c.fd = ct, int32(fd)
	unix.CloseOnExec(int(fd))
	registrations.newest[c.device] = c
	// A kernel that refuses it leaves 64 KiB, which works as well.
	_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, pipeSize)
	return nil
}

// openRoot opens a mount point for ioctls.
func openRoot(mount string) (int, error) {
	fd, err := unix.Open(mount, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: mount, Err: err}
	}
	return fd, nil
}

func (c *Copytool) closeFiles() {
	c.wake.Close()
	_ = unix.Close(c.root)
}

// Mount returns the mount point the copytool was registered on.
func (c *Copytool) Mount() string { return c.mount }

// Recv waits for the next list of actions. Only one goroutine at a time may be
// in it. The list shares no memory with the library.
//
// Errors: ctx's, as ctx.Err(); ErrClosed after Close, and after Unregister once it has
// returned what had come until then; EPROTO for a message
// that could not be read or decoded (log it and go on: it happens on healthy
// systems before 2.18; its actions are lost until their timeout, and those of
// the next ones are not); EPIPE
// and ESHUTDOWN when the registration is gone (close and register again).
//
// Implements:
//
//	int llapi_hsm_copytool_recv(struct hsm_copytool_private *ct,
//	                            struct hsm_action_list **hal, int *msgsize);
func (c *Copytool) Recv(ctx context.Context) (ActionList, error) {
	c.recv.Lock()
	defer c.recv.Unlock()
	defer context.AfterFunc(ctx, c.interrupt)()
	for {
		if len(c.pending) > 0 {
			list := c.pending[0]
			c.pending = c.pending[1:]
			return list, nil
		}
		if err := c.waitReadable(ctx); err != nil {
			return ActionList{}, err
		}
		if c.outOfStep {
			if err := c.resync(); err != nil {
				return ActionList{}, err
			}
			continue
		}
		list, err := c.recvOne()
		// Readable, yet nothing to return: the message was for an archive that
		// is not ours, and the library dropped it.
		if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) {
			continue
		}
		return list, err
	}
}

// recvOne takes a message that poll has announced. The library clears a buffer
// of a mebibyte for each call, so poll comes first rather than this.
func (c *Copytool) recvOne() (ActionList, error) {
	const function = "llapi_hsm_copytool_recv"
	var hal unsafe.Pointer
	var size C.int
	rc := C.shim_recv(c.ct, &hal, &size)
	if err := check(function, int(rc)); err != nil {
		c.outOfStep = errors.Is(err, syscall.EPROTO)
		return ActionList{}, err
	}
	// The buffer is the library's and the next call overwrites it; the decoder
	// copies what it keeps.
	list, err := DecodeActionList(unsafe.Slice((*byte)(hal), max(0, int(size))))
	if err != nil {
		return ActionList{}, fmt.Errorf("%w: %w", &Error{Func: function, Errno: syscall.EPROTO}, err)
	}
	return list, nil
}

// waitReadable returns nil when the pipe has something to read.
func (c *Copytool) waitReadable(ctx context.Context) error {
	for {
		timeout, gone := -1, c.gone.Load() // asked first: what came before it is seen below
		switch {
		case c.deaf || c.closed.Load():
			return ErrClosed
		case ctx.Err() != nil:
			return ctx.Err()
		case gone:
			timeout = 0
		}
		fds := [2]unix.PollFd{
			{Fd: c.fd, Events: unix.POLLIN},
			{Fd: c.wakeFD, Events: unix.POLLIN},
		}
		_, err := unix.Poll(fds[:], timeout)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return os.NewSyscallError("poll", err)
		case fds[1].Revents != 0:
			var counter [8]byte
			_, _ = unix.Read(int(c.wakeFD), counter[:]) // reset, then look at why
		case fds[0].Revents&unix.POLLIN != 0:
			return nil
		case gone:
			return cmp.Or(c.hangUp(), ErrClosed)
		case fds[0].Revents != 0:
			// No writer and nothing left. Up to 2.17 the library would report
			// this with whatever errno happens to be.
			return &Error{Func: "llapi_hsm_copytool_recv", Errno: syscall.EPIPE}
		}
	}
}

// interrupt makes a Recv that waits look at its context and at closed.
func (c *Copytool) interrupt() {
	_, _ = c.wake.Write([]byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// enter counts an action that uses the registration; leave must follow.
func (c *Copytool) enter() error {
	c.actions.RLock()
	defer c.actions.RUnlock()
	if c.closed.Load() {
		return ErrClosed
	}
	c.open.Add(1)
	return nil
}

func (c *Copytool) leave() { c.open.Done() }
