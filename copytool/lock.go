package copytool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A MountLock keeps a second copytool off a mount. The kernel would let it in:
// both would get every action, and the end of one would unregister both.
type MountLock struct{ file *os.File }

// LockMount takes the lock of the mount at a directory. The lock is a file
// named after the mount's device in dir, which is made if need be; it goes
// with the process, however that ends.
func LockMount(dir, mount string) (*MountLock, error) {
	name, err := lockName(dir, mount)
	if err != nil {
		return nil, err
	}
	if err := ownDir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("lock %s: %w; or name another directory with --run-dir", mount, err)
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", mount, err)
	}
	err = flock(f)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		defer f.Close()
		return nil, fmt.Errorf("another copytool (%s) serves %s already; stop it, or give this one a mount of its own", holder(f), mount)
	}
	if err == nil {
		err = sign(f, mount)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s with %s: %w", mount, name, err)
	}
	return &MountLock{f}, nil
}

// lockPatience is how long a lock may be held by what is left of a copytool that
// has just died: a process that is being torn down, and its keeper.
const lockPatience = 3 * time.Second

func flock(f *os.File) error {
	for end := time.Now().Add(lockPatience); ; time.Sleep(lockPatience / 100) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(end) {
			return err
		}
	}
}

// holder is what the lock's owner wrote into it.
func holder(f *os.File) string {
	b, err := io.ReadAll(io.LimitReader(f, 200))
	text, _, _ := strings.Cut(string(b), "\n")
	if err != nil || text == "" {
		return "unknown process"
	}
	return text
}

func sign(f *os.File, mount string) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := fmt.Fprintf(f, "pid %d\n%s\n", os.Getpid(), mount)
	return err
}

// Unlock lets the next copytool have the mount. The file stays: removing it
// would let two processes lock two files of one name.
func (l *MountLock) Unlock() error { return l.file.Close() }

// MountHolder tells which process has the lock of the mount at a directory; 0 is
// none. Unlike [LockMount] it changes nothing.
func MountHolder(dir, mount string) (pid int, err error) {
	name, err := lockName(dir, mount)
	if err != nil {
		return 0, err
	}
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look at the lock of %s: %w", mount, err)
	}
	defer f.Close()
	// Held for a moment, which a copytool that starts now waits for.
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); {
	case err == nil:
		return 0, nil
	case !errors.Is(err, syscall.EWOULDBLOCK):
		return 0, fmt.Errorf("look at the lock of %s: %w", mount, err)
	}
	text := holder(f)
	if _, err := fmt.Sscanf(text, "pid %d", &pid); err != nil {
		return 0, fmt.Errorf("the lock %s is held by somebody else (%s)", name, text)
	}
	return pid, nil
}

// lockName is the file that is locked for a mount.
func lockName(dir, mount string) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(mount, &st); err != nil {
		return "", fmt.Errorf("lock %s: %w", mount, err)
	}
	return filepath.Join(dir, fmt.Sprintf("mount-%d-%d.lock", unix.Major(st.Dev), unix.Minor(st.Dev))), nil
}
