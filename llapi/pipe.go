package llapi

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Pipe returns another descriptor of the pipe that actions come through, for a
// process that shall read what this one has not read when it dies: see [DrainPipe].
// The caller closes it. After it was handed to a child, call Unblock.
func (c *Copytool) Pipe() (*os.File, error) {
	fd, err := unix.FcntlInt(uintptr(c.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), "actions"), nil
}

// Unblock makes the pipe one again whose reads do not wait, which Recv relies on.
func (c *Copytool) Unblock() error {
	return os.NewSyscallError("fcntl", unix.SetNonblock(int(c.fd), true))
}

// DrainPipe returns the lists in a pipe that no other process reads any more, and
// closes it the moment that it is empty: what would be written into it later would
// die with it, and its writer is to learn that nobody reads. It does not wait. The
// pipe may begin in the middle of a message, which is skipped.
func DrainPipe(fd int) ([]ActionList, error) {
	f, err := readAll(fd)
	if cerr := unix.Close(fd); err == nil {
		err = os.NewSyscallError("close", cerr)
	}
	return f.lists(), err
}

func readAll(fd int) (f framer, err error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return f, os.NewSyscallError("fcntl", err)
	}
	chunk := make([]byte, 64<<10)
	for {
		n, err := unix.Read(fd, chunk)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return f, ignoreAgain(err)
		}
		f.buf = append(f.buf, chunk[:n]...)
	}
}

// lists are all that are whole.
func (f *framer) lists() (lists []ActionList) {
	for {
		list, ok, err := f.next()
		switch {
		case ok:
			lists = append(lists, list)
		case err == nil:
			return lists
		}
	}
}

func ignoreAgain(err error) error {
	if errors.Is(err, unix.EAGAIN) {
		return nil
	}
	return os.NewSyscallError("read", err)
}
