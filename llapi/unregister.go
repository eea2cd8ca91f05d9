package llapi

// #include "shim.h"
import "C"

import (
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// registrations knows the newest copytool of each mount in this process. The
// kernel undoes a registration by mount and process id, so undoing an older
// one would undo the newest with it.
var registrations = struct {
	sync.Mutex // held while the kernel registers or unregisters
	newest     map[uint64]*Copytool
}{newest: map[uint64]*Copytool{}}

// isNewest is called with registrations locked.
func (c *Copytool) isNewest() bool { return registrations.newest[c.device] == c }

// Unregister takes the copytool off the coordinators' lists at once, without
// waiting for open actions: Begin, Fail, ReportProgress and what was begun go
// on working until Close. Calling it again does nothing.
//
// Somebody must go on with Recv meanwhile, until it returns ErrClosed, or EPIPE since
// the kernel has let go. The kernel may be waiting in a write to a full pipe, holding
// what this needs (LU-7992), and what it writes before it is told is STARTED: nobody
// else will get it.
func (c *Copytool) Unregister() error {
	registrations.Lock()
	defer registrations.Unlock()
	if c.gone.Load() {
		return nil
	}
	defer c.interrupt()
	defer c.gone.Store(true)
	if !c.isNewest() {
		return nil
	}
	return c.stop()
}

// stop tells the kernel. It drops what it knows of renewals first: once our own pipe
// is gone they would make it take a message that was under way for one that was
// delivered, instead of refusing it, upon which it is sent again.
func (c *Copytool) stop() error {
	if c.renewed {
		_ = c.start(commMessage(renewalID(), commStop, noFD, nil))
	}
	return c.start(commMessage(os.Getpid(), commStop, noFD, nil))
}

// hangUp gives our end of the pipe up, so that whoever writes into it still learns
// that nobody reads. The descriptor is the library's, which will close it, so it is
// not closed but replaced. recv is held.
func (c *Copytool) hangUp() error {
	if c.deaf {
		return nil
	}
	c.deaf = true
	return replaceByNull(int(c.fd))
}

func replaceByNull(fd int) error {
	null, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: os.DevNull, Err: err}
	}
	defer unix.Close(null) //nolint:errcheck // nothing was written
	return os.NewSyscallError("dup3", unix.Dup3(null, fd, unix.O_CLOEXEC))
}

// start issues the ioctl that registers and unregisters.
func (c *Copytool) start(message []byte) error {
	return ioctl(c.root, "LL_IOC_HSM_CT_START", ioctlCopytoolStart, message)
}

// Flags of struct lustre_kernelcomm.
const (
	commStop  = 1 // LK_FLG_STOP
	commArray = 2 // LK_FLG_DATANR: archive ids follow, not a bitmap
)

const noFD = -1 // LK_NOFD

// commMessage returns a struct lustre_kernelcomm. The client knows a registration
// by its id, which the library makes the process's.
func commMessage(id int, flags uint32, pipe int, archives []uint32) []byte {
	const group = 2 // KUC_GRP_HSM
	b := make([]byte, 24, 24+4*len(archives))
	binary.NativeEndian.PutUint32(b[0:], uint32(pipe))
	binary.NativeEndian.PutUint32(b[4:], ^uint32(0))
	binary.NativeEndian.PutUint32(b[8:], uint32(id))
	binary.NativeEndian.PutUint32(b[12:], group)
	binary.NativeEndian.PutUint32(b[16:], uint32(len(archives)))
	binary.NativeEndian.PutUint32(b[20:], flags)
	for _, id := range archives {
		b = binary.NativeEndian.AppendUint32(b, id)
	}
	return b
}

// Close unregisters, if Unregister has not, waits until every action begun has
// ended, and frees what the registration holds. Actions received but not begun
// stay STARTED at the coordinator: fail them before. What Recv has not returned by
// now is lost. A second Close returns ErrClosed.
//
// Implements:
//
//	int llapi_hsm_copytool_unregister(struct hsm_copytool_private **priv);
func (c *Copytool) Close() error {
	c.actions.Lock() // no Begin is between its look at closed and its Add
	again := c.closed.Swap(true)
	c.actions.Unlock()
	if again {
		return ErrClosed
	}
	err := errors.Join(c.leavePipe(), c.Unregister())
	c.open.Wait()
	if ferr := c.free(); err == nil {
		err = ferr
	}
	c.closeFiles()
	return err
}

// leavePipe ends Recv. The pipe goes before the registration, since nobody reads it
// while that ends.
func (c *Copytool) leavePipe() error {
	c.interrupt()
	c.recv.Lock()
	defer c.recv.Unlock()
	return c.hangUp()
}

// free gives the handle back to the library.
func (c *Copytool) free() error {
	registrations.Lock()
	defer registrations.Unlock()
	if !c.isNewest() {
		// The library would unregister the newer copytool. The handle, a
		// mebibyte and three descriptors, is left behind for good instead.
		return nil
	}
	delete(registrations.newest, c.device)
	return check("llapi_hsm_copytool_unregister", int(C.shim_unregister(c.ct)))
}

// Numbers of the ioctls that this package issues itself.
const (
	ioctlCopytoolStart = 0x401866d5 // LL_IOC_HSM_CT_START
	ioctlProgress      = 0x401866d8 // LL_IOC_HSM_PROGRESS
)

// ioctl issues an ioctl whose argument is a structure.
func ioctl(fd int, name string, number uintptr, arg []byte) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), number, uintptr(unsafe.Pointer(&arg[0])))
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
			continue
		}
		return &Error{Func: "ioctl " + name, Errno: errno}
	}
}

func deviceOf(fd int) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, os.NewSyscallError("fstat", err)
	}
	return st.Dev, nil
}
