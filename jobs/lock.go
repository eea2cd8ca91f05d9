package jobs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A serviceLock keeps a second service off a database and off a mount: both
// would send every request. It goes with the process, however that ends.
type serviceLock struct{ files []*os.File }

// lockService locks the database, by a file beside it, and the mount, by its
// root directory. Other nodes do not see the latter.
func lockService(database, mount string) (*serviceLock, error) {
	if err := os.MkdirAll(filepath.Dir(database), 0o700); err != nil {
		return nil, fmt.Errorf("lock %s: %w", database, err)
	}
	l := &serviceLock{}
	beside, err := os.OpenFile(database+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		err = l.take(beside, "the database "+database)
	}
	var dir *os.File
	if err == nil {
		dir, err = os.Open(mount)
	}
	if err == nil {
		err = l.take(dir, "the mount "+mount)
	}
	if err != nil {
		return nil, errors.Join(err, l.release())
	}
	return l, nil
}

// lockPatience is how long a lock may be held by a service that is being torn down.
const lockPatience = 3 * time.Second

func (l *serviceLock) take(f *os.File, what string) error {
	l.files = append(l.files, f)
	for end := time.Now().Add(lockPatience); ; time.Sleep(lockPatience / 100) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("lock %s: %w", what, err)
		}
		if time.Now().After(end) {
			return fmt.Errorf("lock %s: %w; stop that one first", what, ErrLocked)
		}
	}
}

func (l *serviceLock) release() error {
	var errs []error
	for _, f := range l.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
