package llapi

import (
	"errors"
	"fmt"
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

// FrozenReason says, by the attributes that statx has of a file, why nobody can set an
// extended attribute on it, so that neither a copytool can note where its copy is, nor
// the metadata server its HSM state; "" if they can.
func FrozenReason(attributes uint64) string {
	const text = "the file is %[1]s, so nobody can note on it where its copy is; take that away (chattr -%[2]c); to exclude the file, run lfs hsm_set --noarchive on it then, and chattr +%[2]c again"
	switch {
	case attributes&unix.STATX_ATTR_IMMUTABLE != 0:
		return fmt.Sprintf(text, "immutable", 'i')
	case attributes&unix.STATX_ATTR_APPEND != 0:
		return fmt.Sprintf(text, "append-only", 'a')
	}
	return ""
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
