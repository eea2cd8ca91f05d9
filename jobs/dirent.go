package jobs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// A dirent is an entry of a directory. Its type (DT_*) says what it is without
// another call; DT_UNKNOWN where the file system does not tell.
type dirent struct {
	name string
	typ  uint8
}

// direntHead is the size of struct linux_dirent64 before the name.
const direntHead = 19

// readDir reads an open directory to its end, a buffer at a time: a directory
// may have more entries than fit into memory. each may stop it.
func readDir(f *os.File, buf []byte, each func(dirent) error) error {
	for {
		n, err := unix.Getdents(int(f.Fd()), buf)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return os.NewSyscallError("getdents", err)
		}
		if n == 0 {
			return nil
		}
		if err := parseDirents(buf[:n], each); err != nil {
			return err
		}
	}
}

var errBadDirents = errors.New("the kernel's directory entries are inconsistent")

// parseDirents calls each with every entry but "." and "..".
func parseDirents(b []byte, each func(dirent) error) error {
	for len(b) > 0 {
		if len(b) <= direntHead {
			return errBadDirents
		}
		size := int(binary.NativeEndian.Uint16(b[16:]))
		if size <= direntHead || size > len(b) {
			return errBadDirents
		}
		name, _, ended := bytes.Cut(b[direntHead:size], []byte{0})
		if !ended || len(name) == 0 || bytes.IndexByte(name, '/') >= 0 {
			return errBadDirents
		}
		e := dirent{string(name), b[18]}
		b = b[size:]
		if e.name == "." || e.name == ".." {
			continue
		}
		if err := each(e); err != nil {
			return err
		}
	}
	return nil
}
