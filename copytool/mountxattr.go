package copytool

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"lhsm-azblob/llapi"
)

// List implements [Xattrs].
func (m *Mount) List(r Ref) ([]string, error) {
	b, err := llapi.ReadXattr(func(buf []byte) (n int, err error) {
		err = m.on(r, "listxattr",
			func(fd int) error { n, err = unix.Flistxattr(fd, buf); return err },
			func(path string) error { n, err = unix.Llistxattr(path, buf); return err })
		return n, err
	})
	if err != nil {
		return nil, err
	}
	return strings.FieldsFunc(string(b), func(r rune) bool { return r == 0 }), nil
}

// Get implements [Xattrs].
func (m *Mount) Get(r Ref, name string) ([]byte, error) {
	return llapi.ReadXattr(func(buf []byte) (n int, err error) {
		err = m.on(r, "getxattr "+name,
			func(fd int) error { n, err = unix.Fgetxattr(fd, name, buf); return err },
			func(path string) error { n, err = unix.Lgetxattr(path, name, buf); return err })
		return n, err
	})
}

// Set implements [Xattrs].
func (m *Mount) Set(r Ref, name string, value []byte, mode SetMode) error {
	if value == nil {
		err := m.on(r, "removexattr "+name,
			func(fd int) error { return unix.Fremovexattr(fd, name) },
			func(path string) error { return unix.Lremovexattr(path, name) })
		return ignore(err, unix.ENODATA)
	}
	flags := 0
	if mode == SetCreate {
		flags = unix.XATTR_CREATE
	}
	return m.on(r, "setxattr "+name,
		func(fd int) error { return unix.Fsetxattr(fd, name, value, flags) },
		func(path string) error { return unix.Lsetxattr(path, name, value, flags) })
}

// on does an operation on a file by its descriptor, or else by its FID.
func (m *Mount) on(r Ref, op string, byFile func(fd int) error, byPath func(path string) error) error {
	if r.File != nil {
		return os.NewSyscallError(op, control(r.File, byFile))
	}
	path := llapi.FIDPath(m.Root, r.FID)
	if err := byPath(path); err != nil {
		return &os.PathError{Op: op, Path: path, Err: err}
	}
	return nil
}
