package testenv

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// scratchPrefix begins the names of scratch directories; ownerFile in each is
// locked as long as its test process lives.
const (
	scratchPrefix = "lustre-test-"
	ownerFile     = "owner"
)

// scratchDir makes a directory that goes with the test, in memory if possible.
func scratchDir(t testing.TB) string {
	t.Helper()
	parent := "/dev/shm"
	if st, err := os.Stat(parent); err != nil || !st.IsDir() {
		parent = os.TempDir()
	}
	dir, remove, err := NewScratch(parent)
	if err != nil {
		t.Fatalf("make a scratch directory: %v", err)
	}
	t.Cleanup(remove)
	return dir
}

// NewScratch makes a directory below parent that plain users can enter, and that
// remove removes, with what is mounted in it as mnt and more. A process that is
// killed leaves its own behind, and memory with it, so each new one removes those
// first.
func NewScratch(parent string) (dir string, remove func(), err error) {
	dir, owner, err := newScratch(parent)
	return dir, func() {
		removeScratch(dir)
		owner.Close()
	}, err
}

// newScratch sweeps, makes and locks a directory in one step, as seen by others
// who do the same.
func newScratch(parent string) (dir string, owner *os.File, err error) {
	gate, err := lockFile(filepath.Join(parent, scratchPrefix+"lock"), 0)
	if err != nil {
		return "", nil, err
	}
	defer gate.Close()
	sweep(parent)
	if dir, err = os.MkdirTemp(parent, scratchPrefix); err != nil {
		return "", nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", nil, err
	}
	owner, err = lockFile(filepath.Join(dir, ownerFile), 0)
	return dir, owner, err
}

// sweep removes the directories whose test processes are gone.
func sweep(parent string) {
	dirs, _ := filepath.Glob(filepath.Join(parent, scratchPrefix+"*", ownerFile)) // the pattern is well formed
	for _, owner := range dirs {
		if f, err := lockFile(owner, syscall.LOCK_NB); err == nil {
			removeScratch(filepath.Dir(owner))
			f.Close()
		}
	}
}

// removeScratch removes a directory, but nothing that is mounted in it.
func removeScratch(dir string) {
	mounts, _ := filepath.Glob(filepath.Join(dir, mountPrefix+"*")) // the pattern is well formed
	for _, m := range mounts {
		for syscall.Unmount(m, syscall.MNT_DETACH) == nil { // until nothing is mounted there
		}
		if os.Remove(m) != nil {
			return // in use after all: leave everything to the next sweep
		}
	}
	_ = os.RemoveAll(dir) // as above
}

func lockFile(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|how); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}
