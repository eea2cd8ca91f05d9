package copytool

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDirectoriesOfOthersAreRefused: the lock and the journal are written with
// all rights, so nobody else may have a say in where.
func TestDirectoriesOfOthersAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name     string
		mode     os.FileMode
		uid, gid int
		want     string
	}{
		{"everybody writes", 0o777, 0, 0, "chmod go-w"},
		{"like /tmp", 0o777 | os.ModeSticky, 0, 0, "chmod go-w"},
		{"a group writes", 0o770, 0, 1001, "chmod go-w"},
		{"another user's", 0o700, 1001, 1001, "chown root"},
		{"root's group writes", 0o770, 0, 0, ""},
		{"everybody reads", 0o755, 0, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := errors.Join(os.Chown(dir, tt.uid, tt.gid), os.Chmod(dir, tt.mode)); err != nil {
				t.Skip("needs root: ", err)
			}
			lock, err := LockMount(dir, t.TempDir())
			if err == nil {
				err = lock.Unlock()
			}
			wantRefusal(t, "lock", err, tt.want)
			j, err := OpenJournal(dir, "lustre", "/mnt", slog.New(slog.DiscardHandler))
			if err == nil {
				err = j.Close()
			}
			wantRefusal(t, "journal", err, tt.want)
		})
	}
}

func wantRefusal(t *testing.T, what string, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

// TestLockIsNoLink: what a link in the lock's place leads to stays as it is.
func TestLockIsNoLink(t *testing.T) {
	dir, mount := t.TempDir(), t.TempDir()
	lock, err := LockMount(dir, mount)
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.lock"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	if err := errors.Join(os.Remove(names[0]), os.Symlink(victim, names[0])); err != nil {
		t.Fatal(err)
	}
	if _, err := LockMount(dir, mount); err == nil {
		t.Error("a link was taken for a lock")
	}
	if b, err := os.ReadFile(victim); err != nil || string(b) != "precious" {
		t.Errorf("what the link leads to: %q, %v", b, err)
	}
}
