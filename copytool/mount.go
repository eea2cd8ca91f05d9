package copytool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"lhsm-azblob/llapi"
)

// A Mount is a mounted Lustre client: the real [FileSystem].
type Mount struct {
	Root   string // the mount point
	FSName string

	// ct answers questions about FIDs through descriptors it holds open. Nil
	// until Register.
	ct atomic.Pointer[llapi.Copytool]

	targets sync.Map // index of the metadata target, by sequence of FIDs

	startKeeper func(ct *llapi.Copytool, archiveIDs []uint32) *keeper // set by Keep
}

// OpenMount makes sure that path is the mount point of a Lustre. Its errors
// name cause and remedy.
func OpenMount(path string) (*Mount, error) {
	if err := llapi.Load(); err != nil {
		return nil, err
	}
	full, err := filepath.Abs(path)
	if err == nil {
		full, err = filepath.EvalSymlinks(full)
	}
	if err != nil {
		var at *fs.PathError // which may name only a part of the path
		if errors.As(err, &at) {
			err = at.Err
		}
		return nil, fmt.Errorf("mount point %s: %w; mount the file system first, or give its mount point", path, err)
	}
	root, fsname, err := llapi.MountRoot(full)
	if err != nil {
		return nil, fmt.Errorf("%s is not a Lustre mount (%w); mount the file system first, or give its mount point", path, err)
	}
	if root != full {
		return nil, fmt.Errorf("%s is inside the Lustre mount %s and not its root; give %s", path, root, root)
	}
	return &Mount{Root: root, FSName: fsname}, nil
}

// Register registers with the coordinators. None of archiveIDs means all. Its
// errors name cause and remedy.
func (m *Mount) Register(archiveIDs []uint32) (Session, error) {
	ct, err := llapi.Register(m.Root, archiveIDs...)
	if err == nil {
		m.ct.Store(ct)
		s := session{Copytool: ct}
		if m.startKeeper != nil {
			s.keeper = m.startKeeper(ct, archiveIDs)
		}
		return s, nil
	}
	return nil, fmt.Errorf("register a copytool on %s: %w; %s", m.Root, err, remedyFor(err))
}

// remedyFor tells what helps against a registration's failure.
func remedyFor(err error) string {
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		return "it needs CAP_SYS_ADMIN, and a nodemap that allows hsm_ops"
	case errors.Is(err, syscall.ENXIO), errors.Is(err, syscall.EAGAIN):
		return "the HSM coordinator is not running; on the metadata server: lctl set_param -P mdt.*.hsm_control=enabled"
	case errors.Is(err, syscall.ENOTCONN):
		return "no metadata server can be reached"
	}
	return "see the metadata server's log"
}

// session is a *llapi.Copytool, whose Begin returns a concrete type.
type session struct {
	*llapi.Copytool
	keeper *keeper // may be nil
}

// Renew implements [Registration].
func (s session) Renew() error {
	err := s.Copytool.Renew()
	if err == nil || errors.Is(err, llapi.ErrClosed) {
		return err
	}
	return fmt.Errorf("renew the registration on %s: %w; %s", s.Mount(), err, remedyFor(err))
}

// Close implements [Registration].
func (s session) Close() error {
	defer s.keeper.stop()
	return s.Copytool.Close()
}

func (s session) Begin(item llapi.ActionItem, mdtIndex, openFlags int) (Action, error) {
	a, err := s.Copytool.Begin(item, mdtIndex, openFlags)
	if err != nil {
		return nil, err
	}
	return a, nil
}

// Paths implements [Namespace].
func (m *Mount) Paths(fid llapi.FID) ([]string, error) {
	if ct := m.ct.Load(); ct != nil {
		return ct.FIDToPaths(fid)
	}
	return llapi.FIDToPaths(m.Root, fid)
}

// Stat implements [Namespace].
func (m *Mount) Stat(fid llapi.FID) (Attr, error) { return lstat(llapi.FIDPath(m.Root, fid)) }

// StatDir implements [Namespace].
func (m *Mount) StatDir(path string) (Attr, error) {
	dir, err := openDir(unix.AT_FDCWD, m.Root)
	for name := range strings.SplitSeq(path, "/") {
		if err != nil {
			return Attr{}, &fs.PathError{Op: "stat", Path: path, Err: err}
		}
		above := dir
		dir, err = openDir(int(above.Fd()), name)
		above.Close()
	}
	if err != nil {
		return Attr{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	defer dir.Close()
	return attrOf(dir)
}

// openDir opens what is a directory and no symbolic link to one, only to go on
// from there. It needs no request to the server, and no permission on it.
func openDir(above int, name string) (*os.File, error) {
	fd, err := unix.Openat(above, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func lstat(path string) (Attr, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return Attr{}, err
	}
	return attrOfInfo(info)
}

// DataVersion implements [Objects].
func (m *Mount) DataVersion(f *os.File) (v uint64, err error) {
	err = control(f, func(fd int) error {
		v, err = llapi.DataVersion(fd, llapi.ReadFlush)
		return err
	})
	return v, err
}

// SetLayout implements [Objects].
func (m *Mount) SetLayout(f *os.File, lov []byte) error {
	return control(f, func(fd int) error { return llapi.SetLayout(fd, lov) })
}

// Flags implements [Objects].
func (m *Mount) Flags(r Ref) (llapi.StateFlags, error) {
	if r.File == nil {
		s, err := llapi.GetState(llapi.FIDPath(m.Root, r.FID))
		return s.Flags, err
	}
	var s llapi.State
	err := control(r.File, func(fd int) (err error) {
		s, err = llapi.GetStateFD(fd)
		return err
	})
	return s.Flags, err
}

// SetFlags implements [Objects].
func (m *Mount) SetFlags(fid llapi.FID, set, clr llapi.StateFlags) error {
	return llapi.SetState(llapi.FIDPath(m.Root, fid), set, clr, 0)
}

// Free implements [Space].
func (m *Mount) Free() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(m.Root, &st); err != nil {
		return 0, os.NewSyscallError("statfs", err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// MDTIndex implements [Objects]. A sequence of FIDs belongs to one target for good,
// so it is asked for once. The FIDs of before there were sequences are each one of
// their own.
func (m *Mount) MDTIndex(fid llapi.FID) (int, error) {
	if index, ok := m.targets.Load(fid.Seq); ok {
		return index.(int), nil
	}
	ct := m.ct.Load()
	if ct == nil {
		return 0, errors.New("metadata target: not registered")
	}
	index, err := ct.MDTIndex(fid)
	if err == nil && fid.Seq >= firstSequence {
		m.targets.Store(fid.Seq, index)
	}
	return index, err
}

// firstSequence is that of the first FID in the form of today (FID_SEQ_NORMAL).
const firstSequence = 0x200000400

// control lends a file's descriptor. File.Fd would make the file blocking.
func control(f *os.File, use func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := conn.Control(func(fd uintptr) { inner = use(int(fd)) }); err != nil {
		return err
	}
	return inner
}
