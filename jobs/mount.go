package jobs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"lhsm-azblob/llapi"
)

// A mount is the file system as the package sees it. One is opened for each run
// of a job, since descriptors do not outlive a client that is mounted anew.
type mount struct {
	root string   // mount point
	dir  *os.File // the root directory
	fids *os.File // .lustre/fid, where any file is found by its FID
	dev  uint64   // what lies in the tree and has another is another file system
}

func openMount(root string) (*mount, error) {
	m := &mount{root: root}
	var err error
	if m.dir, err = os.Open(root); err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(int(m.dir.Fd()), &st); err == nil {
		m.dev = st.Dev
		m.fids, err = os.Open(filepath.Join(root, ".lustre", "fid"))
	}
	if err != nil {
		m.close()
		return nil, fmt.Errorf("open the file system at %s: %w", root, err)
	}
	return m, nil
}

func (m *mount) close() {
	m.dir.Close()
	if m.fids != nil {
		m.fids.Close()
	}
}

// path is where a file is, whatever its name.
func (m *mount) path(f llapi.FID) string { return llapi.PathAt(int(m.fids.Fd()), f.Bare()) }

func isRegular(dir int, name string) bool {
	var st unix.Statx_t
	err := unix.Statx(dir, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE, &st)
	return err != nil || st.Mode&unix.S_IFMT == unix.S_IFREG // what cannot be told the open will
}

// openToAsk is OpenToAsk, and says what it takes where Lustre has encrypted the file.
func openToAsk(dir int, name string) (fd int, err error) {
	fd, err = llapi.OpenToAsk(dir, name)
	return fd, explainKey(err)
}

// explainKey adds to an error what it takes.
func explainKey(err error) error {
	if errors.Is(err, unix.ENOKEY) {
		return fmt.Errorf("the file is encrypted, and this node has no key to open it and ask for its HSM state; add it as on the movers (fscrypt unlock): %w", shorten(err))
	}
	return err
}

// State reads a file's HSM state.
func (m *mount) State(f llapi.FID) (llapi.State, error) {
	state, err := llapi.GetState(m.path(f))
	return state, explainKey(err)
}

// Xattr reads an attribute of a file; nil if it has none.
func (m *mount) Xattr(f llapi.FID, name string) ([]byte, error) { return getXattr(m.path(f), name) }

func getXattr(path, name string) ([]byte, error) {
	b, err := llapi.ReadXattr(func(buf []byte) (int, error) { return unix.Lgetxattr(path, name, buf) })
	if errors.Is(err, unix.ENODATA) {
		return nil, nil
	}
	if err != nil {
		return nil, &os.PathError{Op: "lgetxattr " + name, Path: path, Err: err}
	}
	return b, nil
}

// MarkDirty sets the flag dirty: the archive does not have the file as it is.
func (m *mount) MarkDirty(f llapi.FID) error {
	return llapi.SetState(llapi.FIDPath(m.root, f), llapi.HSDirty, 0, 0)
}

// Request asks the coordinator for something, in one call.
func (m *mount) Request(r llapi.Request) error { return llapi.SendRequestOnce(m.root, r) }

// Action tells what the coordinator does with a file. The coordinator reads its
// whole log for it, so it is not for every file.
func (m *mount) Action(f llapi.FID) (llapi.CurrentAction, error) {
	return llapi.GetCurrentAction(llapi.FIDPath(m.root, f))
}

// errNotPrivileged is of a process that cannot see what a job depends on.
var errNotPrivileged = errors.New("it takes root with CAP_SYS_ADMIN, outside of a user namespace; to anybody else Lustre hides what is noted on files")

// checkPrivilege makes sure that trusted.* can be read. Without the privilege such
// attributes do not fail, they look as if they were not there: no failure of a
// copytool would be seen, and no copy.
func checkPrivilege() error {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&head, &data[0]); err != nil {
		return fmt.Errorf("look at our capabilities: %w", err)
	}
	if data[0].Effective&(1<<unix.CAP_SYS_ADMIN) == 0 {
		return errNotPrivileged
	}
	ids, err := os.ReadFile("/proc/self/uid_map")
	if err == nil && strings.Join(strings.Fields(string(ids)), " ") != "0 0 4294967295" {
		return errNotPrivileged
	}
	return nil
}

// gone tells whether an error means that the file is not there any more.
func gone(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESTALE)
}

// lostMount tells whether an error is about the whole file system, and says
// nothing of the file that met it.
func lostMount(err error) bool {
	for _, errno := range []error{syscall.ENOTCONN, syscall.ESHUTDOWN, syscall.ECONNABORTED, syscall.ETIMEDOUT, syscall.ENODEV} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
