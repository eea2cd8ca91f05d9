package lioc

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// A Caller is the thread that waits in an ioctl. Its memory and descriptors
// are ours to use until the ioctl is answered.
type Caller struct{ TID int }

// maxTransfer bounds what one call fetches. The largest honest argument is a
// fid2path buffer.
const maxTransfer = 1 << 20

// Read copies n bytes from the caller's memory. Anything short is an error, as
// it would be EFAULT in a kernel.
func (c Caller) Read(addr uint64, n int) ([]byte, error) {
	if n <= 0 || n > maxTransfer {
		return nil, fmt.Errorf("read %d bytes of thread %d: not a size", n, c.TID)
	}
	b := make([]byte, n)
	local := []unix.Iovec{{Base: &b[0], Len: uint64(n)}}
	remote := []unix.RemoteIovec{{Base: uintptr(addr), Len: n}}
	got, err := unix.ProcessVMReadv(c.TID, local, remote, 0)
	if err == nil && got != n {
		err = unix.EFAULT
	}
	if err != nil {
		return nil, fmt.Errorf("read %d bytes of thread %d: %w", n, c.TID, err)
	}
	return b, nil
}

// Write copies b into the caller's memory.
func (c Caller) Write(addr uint64, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	local := []unix.Iovec{{Base: &b[0], Len: uint64(len(b))}}
	remote := []unix.RemoteIovec{{Base: uintptr(addr), Len: len(b)}}
	n, err := unix.ProcessVMWritev(c.TID, local, remote, 0)
	if err == nil && n != len(b) {
		err = unix.EFAULT
	}
	if err != nil {
		return fmt.Errorf("write %d bytes to thread %d: %w", len(b), c.TID, err)
	}
	return nil
}

// File duplicates a descriptor of the caller.
func (c Caller) File(fd int) (*os.File, error) {
	pidfd, err := c.pidfd()
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(pidfd) }() // nothing was written
	dup, err := unix.PidfdGetfd(pidfd, fd, 0)
	if err != nil {
		return nil, fmt.Errorf("take descriptor %d of thread %d: %w", fd, c.TID, err)
	}
	return os.NewFile(uintptr(dup), fmt.Sprintf("descriptor %d of thread %d", fd, c.TID)), nil
}

// pidfd opens the thread, or before Linux 6.9, which cannot, its process. They
// have the same descriptors but for programs that took pains to differ.
func (c Caller) pidfd() (int, error) {
	const thread = unix.O_EXCL // PIDFD_THREAD
	fd, err := unix.PidfdOpen(c.TID, thread)
	if errors.Is(err, unix.EINVAL) {
		tgid, perr := processOf(c.TID)
		if perr != nil {
			return -1, perr
		}
		fd, err = unix.PidfdOpen(tgid, 0)
	}
	if err != nil {
		return -1, fmt.Errorf("open thread %d: %w", c.TID, err)
	}
	return fd, nil
}

func processOf(tid int) (int, error) {
	s, err := ReadStatus(tid)
	if err != nil {
		return 0, err
	}
	return s.PID, nil
}
