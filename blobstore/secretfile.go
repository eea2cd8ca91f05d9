package blobstore

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// maxSecretFile bounds what is read of a secret, in bytes.
const maxSecretFile = 1 << 20

// readSecretFile reads a file that holds a secret. What was opened is what is
// looked at, whatever the path's links lead to.
func readSecretFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := CheckPrivate(path, info); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err == nil && len(text) > maxSecretFile {
		err = fmt.Errorf("%s is larger than any secret", path)
	}
	return text, err
}

// CheckPrivate makes sure that only root and the user of this process can read
// and write a file, by what stat said of it. The error names cause and remedy.
func CheckPrivate(path string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: %w", path, syscall.ENOSYS)
	}
	open := info.Mode().Perm() & 0o077
	if st.Gid == 0 {
		open &= 0o007
	}
	switch {
	case open != 0:
		return fmt.Errorf("other users may read or write %s (mode %04o); chmod 600 %[1]s", path, info.Mode().Perm())
	case st.Uid != 0 && int(st.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to user %d; chown root %[1]s", path, st.Uid)
	}
	return nil
}
