package copytool

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// CheckStateDir makes the directory of journals if need be, and makes sure that
// nobody else can put files of theirs into it. Its error names cause and remedy.
func CheckStateDir(dir string) error { return ownDir(dir, stateDirMode) }

// stateDirMode lets nobody else see which files are moved.
const stateDirMode = 0o700

// ownDir makes a directory if need be, and makes sure that nobody else can put
// files of theirs into it: links there would be followed by a process that may
// write everywhere. Its error names cause and remedy.
func ownDir(dir string, mode os.FileMode) error {
	if err := os.MkdirAll(dir, mode); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	if st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d; chown root %[1]s", dir, st.Uid)
	}
	if st.Mode&0o002 != 0 || st.Mode&0o020 != 0 && st.Gid != 0 {
		return fmt.Errorf("other users may write to %s (mode %04o); chmod go-w %[1]s", dir, st.Mode&0o7777)
	}
	return nil
}
