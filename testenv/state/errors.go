package state

import (
	"context"
	"errors"
	"syscall"
)

var (
	// ErrReleased is returned where the data are needed and only the archive
	// has them: call [FS.WaitRestored], then try again.
	ErrReleased = errors.New("file is released")
	// ErrUnregistered is returned by [Agent.Recv] after Unregister.
	ErrUnregistered = errors.New("agent is not registered any more")
)

// Errno gives the number to tell the kernel for an error of this package; 0 for
// nil.
func Errno(err error) syscall.Errno {
	var errno syscall.Errno
	switch {
	case err == nil:
		return 0
	case errors.As(err, &errno):
		return errno
	case errors.Is(err, ErrReleased):
		return syscall.ENODATA
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return syscall.EINTR
	}
	return syscall.EIO
}

// errnoOf is for errors of the os package, which carry an errno and a path that
// means nothing to the caller.
func errnoOf(err error) error {
	if err == nil {
		return nil
	}
	return Errno(err)
}
