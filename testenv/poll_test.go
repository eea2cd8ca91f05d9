package testenv_test

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// pollMounts waits until something is mounted or unmounted.
func pollMounts(t *testing.T, table *os.File) {
	t.Helper()
	const limit = 60_000 // ms
	fds := []unix.PollFd{{Fd: int32(table.Fd()), Events: unix.POLLPRI}}
	if n, err := unix.Poll(fds, limit); n == 0 || err != nil && !errors.Is(err, unix.EINTR) {
		t.Fatalf("nothing was unmounted: %v", err)
	}
}
