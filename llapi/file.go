package llapi

import (
	"errors"
	"iter"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// OpenToAsk opens a regular file, by a name in a directory or with unix.AT_FDCWD by a
// path, to ask about it: that restores nothing, and follows no link.
// To read is enough also to change its HSM state.
func OpenToAsk(dir int, name string) (fd int, err error) {
	// Not O_NOATIME, which is for the owner: nothing is read.
	return unix.Openat(dir, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// Sizes of values of attributes: what most fit into, so that they take one call, and
// the largest that Linux knows. No list of their names is larger, either.
const (
	usualXattr = 2 << 10
	maxXattr   = 64 << 10
)

// ReadXattr returns what read puts into a buffer that is large enough for it; read says
// with ERANGE that it is not.
func ReadXattr(read func(buf []byte) (int, error)) ([]byte, error) {
	buf := make([]byte, usualXattr)
	n, err := read(buf)
	if errors.Is(err, unix.ERANGE) {
		buf = make([]byte, maxXattr)
		n, err = read(buf)
	}
	if err != nil {
		return nil, err
	}
	return buf[:n:n], nil
}

// KeepFromChildren lets no child inherit what is open: the library opens the mount and
// the files of actions without O_CLOEXEC, and a child would hold them, and what space
// they take, for as long as it lives.
func KeepFromChildren() {
	for fd := range descriptors() {
		if fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
}

// descriptors yields what is open, by the number.
func descriptors() iter.Seq[int] {
	return func(yield func(int) bool) {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			return
		}
		for _, entry := range entries {
			if fd, err := strconv.Atoi(entry.Name()); err == nil && !yield(fd) {
				return
			}
		}
	}
}
