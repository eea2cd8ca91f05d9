package lioc

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// self is this thread as a Caller. Reaching into oneself needs no privilege.
func self(t *testing.T) Caller {
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	return Caller{TID: unix.Gettid()}
}

func TestCallerMemory(t *testing.T) {
	c := self(t)
	there := []byte("what the caller passed")
	addr := uint64(uintptr(unsafe.Pointer(&there[0])))
	got, err := c.Read(addr, len(there))
	if err != nil || !bytes.Equal(got, there) {
		t.Fatalf("Read = %q, %v", got, err)
	}
	if err := c.Write(addr, []byte("WHAT")); err != nil || string(there[:8]) != "WHAT the" {
		t.Errorf("after Write: %q, %v", there, err)
	}
}

func TestCallerBadAddress(t *testing.T) {
	c := self(t)
	if _, err := c.Read(16, 8); !errors.Is(err, syscall.EFAULT) {
		t.Errorf("Read at 16: %v, want EFAULT", err)
	}
	if err := c.Write(16, make([]byte, 8)); !errors.Is(err, syscall.EFAULT) {
		t.Errorf("Write at 16: %v, want EFAULT", err)
	}
	for _, n := range []int{0, -1, maxTransfer + 1} {
		if _, err := c.Read(4096, n); err == nil {
			t.Errorf("Read of %d bytes succeeded", n)
		}
	}
}

func TestCallerFile(t *testing.T) {
	c := self(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	dup, err := c.File(int(w.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	io.WriteString(dup, "through the duplicate")
	dup.Close()
	if b, _ := io.ReadAll(r); string(b) != "through the duplicate" {
		t.Errorf("pipe delivered %q", b)
	}
	if _, err := c.File(1 << 20); !errors.Is(err, syscall.EBADF) {
		t.Errorf("descriptor that is not open: %v, want EBADF", err)
	}
}

func TestStatusOfThisThread(t *testing.T) {
	s, err := ReadStatus(self(t).TID)
	if err != nil {
		t.Fatal(err)
	}
	if s.PID != os.Getpid() || s.GivesUp() {
		t.Errorf("status %+v; this process is %d and well", s, os.Getpid())
	}
	if _, err := ReadStatus(1 << 30); err == nil {
		t.Error("status of a thread that cannot exist")
	}
	for _, capability := range []int{unix.CAP_SYS_ADMIN, unix.CAP_CHOWN, unix.CAP_BPF, 50} {
		if got, want := ThreadHasCap(self(t).TID, capability), s.HasCap(capability); got != want {
			t.Errorf("capability %d: %t, and in the status %t", capability, got, want)
		}
	}
	if ThreadHasCap(1<<30, unix.CAP_SYS_ADMIN) {
		t.Error("a thread that cannot exist has a capability")
	}
}

func TestGivesUp(t *testing.T) {
	for name, tt := range map[string]struct {
		status string
		want   bool
	}{
		"nothing pending":      {"SigPnd:\t0\nShdPnd:\t0\nSigCgt:\t0\n", false},
		"TERM pending":         {"ShdPnd:\t0000000000004000\n", true},
		"KILL pending":         {"SigPnd:\t0000000000000100\n", true},
		"USR1 caught":          {"ShdPnd:\t0000000000000200\nSigCgt:\t0000000000000200\n", false},
		"TERM caught":          {"ShdPnd:\t0000000000004000\nSigCgt:\t0000000000004000\n", true},
		"USR1, default action": {"ShdPnd:\t0000000000000200\n", true},
		"USR1 ignored":         {"ShdPnd:\t0000000000000200\nSigIgn:\t0000000000000200\n", false},
		"TERM blocked":         {"ShdPnd:\t0000000000004000\nSigBlk:\t0000000000004000\n", false},
		"CHLD, default action": {"ShdPnd:\t0000000000010000\n", false},
	} {
		if got := parseStatus([]byte(tt.status)).GivesUp(); got != tt.want {
			t.Errorf("%s: GivesUp = %v", name, got)
		}
	}
}

func TestStatusFields(t *testing.T) {
	s := parseStatus([]byte("Name:\tcat\nTgid:\t42\nGroups:\t4 24 x 27 \nCapEff:\t0000000000200000\n"))
	if s.PID != 42 || !s.InGroup(24) || s.InGroup(5) || !s.HasCap(unix.CAP_SYS_ADMIN) || s.HasCap(unix.CAP_CHOWN) {
		t.Errorf("parsed %+v", s)
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add([]byte("Tgid:\t42\nShdPnd:\t0000000000004000\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s := parseStatus(b); s.GivesUp() && s.pending == 0 {
			t.Errorf("gives up with nothing pending: %q", b)
		}
	})
}
