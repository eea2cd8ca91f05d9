package soak

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// A file is what the model knows of one. Its user alone changes it, and holds mu
// while doing so; who reads it shares mu.
type file struct {
	fid string // set before anybody else sees the file

	mu       sync.RWMutex // guards all below
	paths    []string     // all its names, below the mount
	content  content
	mode     uint32
	uid, gid int
	mtime    int64 // seconds
	gone     bool
}

// A mismatch is what must never be: Lustre shows something that nobody wrote.
type mismatch struct{ text string }

func (m *mismatch) Error() string { return m.text }

func mismatchf(format string, args ...any) error { return &mismatch{fmt.Sprintf(format, args...)} }

// verify reads the file at a path, and compares it with the model. Whoever calls it holds mu.
func (f *file) verify(mount, rel string) error {
	h, err := os.Open(filepath.Join(mount, rel))
	if err != nil {
		return ifMissing(err, rel)
	}
	defer h.Close()
	if err := f.verifyBytes(h, rel); err != nil {
		return err
	}
	return f.verifyAttributes(h, rel)
}

// ifMissing makes a mismatch of the absence of a file.
func ifMissing(err error, rel string) error {
	if errors.Is(err, os.ErrNotExist) {
		return mismatchf("%q is missing", rel)
	}
	return err
}

// compareSize is how much is read at once.
const compareSize = 256 << 10

func (f *file) verifyBytes(h io.Reader, rel string) error {
	got, want := make([]byte, compareSize), make([]byte, compareSize)
	for off := int64(0); ; {
		n, err := io.ReadFull(h, got)
		if k := f.content.fill(want[:n], off); k < n {
			return mismatchf("%q has more than %d bytes", rel, f.content.size)
		}
		if !bytes.Equal(got[:n], want[:n]) {
			i := 0
			for got[i] == want[i] {
				i++
			}
			return mismatchf("%q of %d bytes differs from offset %d on: %x, want %x", rel, f.content.size, off+int64(i), got[i:min(n, i+16)], want[i:min(n, i+16)])
		}
		off += int64(n)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			if off != f.content.size {
				return mismatchf("%q ends after %d bytes, want %d", rel, off, f.content.size)
			}
			return nil
		case err != nil:
			return err
		}
	}
}

func (f *file) verifyAttributes(h *os.File, rel string) error {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(h.Fd()), &st); err != nil {
		return err
	}
	got := fmt.Sprintf("mode %o owner %d:%d size %d mtime %d links %d", st.Mode&0o7777, st.Uid, st.Gid, st.Size, st.Mtim.Sec, st.Nlink)
	want := fmt.Sprintf("mode %o owner %d:%d size %d mtime %d links %d", f.mode, f.uid, f.gid, f.content.size, f.mtime, len(f.paths))
	if got != want {
		return mismatchf("%q has %s, want %s", rel, got, want)
	}
	return nil
}
