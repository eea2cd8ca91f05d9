package main

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"lhsm-azblob/cmd/internal/options"
	"lhsm-azblob/llapi"
)

// report copies a report to standard output or into a file.
func (s *session) report() error {
	id, err := s.given()
	if err != nil {
		return err
	}
	byDefault := "csv"
	if s.json {
		byDefault = "jsonl"
	}
	format := cmp.Or(s.c.String("format"), byDefault)
	if format != "csv" && format != "jsonl" {
		return options.Usagef("--format: %q is neither csv nor jsonl", format)
	}
	path := fmt.Sprintf("/v1/jobs/%d/report?format=%s", id, format)
	if s.c.Bool("all") {
		path += "&all=1"
	}
	answer, err := s.do(s.ctx, "GET", path, nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if file := s.c.String("o"); file != "" {
		return writeReport(file, answer.Body)
	}
	return copyReport(s.stdout, answer.Body)
}

func copyReport(w io.Writer, r io.Reader) error {
	if _, err := io.Copy(w, r); err != nil {
		return fmt.Errorf("the report is not complete: %w", err)
	}
	return nil
}

// writeReport writes what -o names. What is open already, as /dev/stdout, and what is
// there and is no regular file (a pipe, a terminal) is written to: it has no place that
// another file could take, or others write to it before and after.
func writeReport(path string, r io.Reader) error {
	old, err := os.Stat(path)
	fd, open := descriptor(path)
	switch {
	case open:
		err = copyToDescriptor(fd, r)
	case errors.Is(err, fs.ErrNotExist):
		err = replace(path, nil, r)
	case err != nil:
	case old.Mode().IsRegular():
		err = replace(path, old, r)
	default:
		err = writeTo(path, r)
	}
	if err != nil {
		return fmt.Errorf("-o: %w", err)
	}
	return nil
}

func writeTo(path string, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return closed(f, copyReport(f, r))
}

// descriptor is the one of this process that a path names, such as /dev/stdout or
// /dev/fd/3. To open that would be to begin at the start of the file.
func descriptor(path string) (fd int, ok bool) {
	own, err := filepath.EvalSymlinks("/proc/self/fd")
	for n := 0; err == nil && n < maxLinks; n++ {
		var dir string
		if dir, err = filepath.EvalSymlinks(filepath.Dir(path)); err != nil {
			break
		}
		if dir == own {
			fd, err = strconv.Atoi(filepath.Base(path))
			return fd, err == nil
		}
		path, err = linkTarget(dir, filepath.Base(path))
	}
	return 0, false
}

// linkTarget is where a link leads; an error for what is none.
func linkTarget(dir, name string) (string, error) {
	target, err := os.Readlink(filepath.Join(dir, name))
	if !filepath.IsAbs(target) {
		target = filepath.Join(dir, target)
	}
	return target, err
}

// maxLinks is how many links the kernel follows in a path.
const maxLinks = 40

// copyToDescriptor leaves fd open, as whoever started us has it.
func copyToDescriptor(fd int, r io.Reader) error {
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(own), "descriptor "+strconv.Itoa(fd))
	return closed(f, copyReport(f, r))
}

// closed closes a file that was written; err is how that went.
func closed(f *os.File, err error) error { return cmp.Or(err, f.Close()) }

// replace lets a file appear when it is complete: half a report looks like few
// failures. It takes the place of old, if there is one, with its mode and owner; else
// the umask decides, as it does about what a shell redirects.
func replace(path string, old fs.FileInfo, r io.Reader) error {
	path, err := behindLinks(path)
	if err != nil {
		return err
	}
	f, err := createBeside(path, old)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // it is gone where all went well
	if err := closed(f, copyReport(f, r)); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// behindLinks is the file that a path leads to. A link that leads nowhere is an error.
func behindLinks(path string) (string, error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return path, nil
	}
	return filepath.EvalSymlinks(path)
}

func createBeside(path string, old fs.FileInfo) (*os.File, error) {
	mode := fs.FileMode(0o666)
	if old != nil {
		mode = old.Mode().Perm()
	}
	f, err := os.OpenFile(filepath.Join(filepath.Dir(path), ".lhsmctl-report-"+rand.Text()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil || old == nil {
		return f, err
	}
	st := old.Sys().(*syscall.Stat_t)
	_ = f.Chown(-1, int(st.Gid)) // who may not is not the owner, and gets a file of his own
	_ = f.Chown(int(st.Uid), -1) // as above
	if err := cmp.Or(f.Chmod(mode), copyACL(path, f)); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return f, nil
}

// copyACL gives the ACL of a file to another; to one without, the group's bits of the mode
// are not what the group may do.
func copyACL(from string, to *os.File) error {
	const attr = "system.posix_acl_access"
	acl, err := llapi.ReadXattr(func(buf []byte) (int, error) { return unix.Getxattr(from, attr, buf) })
	switch {
	case err == nil:
		return unix.Fsetxattr(int(to.Fd()), attr, acl, 0)
	case errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP):
		return nil
	}
	return err
}
