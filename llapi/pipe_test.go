package llapi

import (
	"errors"
	"reflect"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDrainPipe finds what a dead process has not read, does not wait for more, and
// lets nobody write any more.
func TestDrainPipe(t *testing.T) {
	half := message(listOf(1))[9:]
	r, w := rawPipe(t, half, message(listOf(2, 3)), message(listOf(4)), message(listOf(5))[:20])
	got, err := DrainPipe(r)
	if want := []ActionList{listOf(2, 3), listOf(4)}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("DrainPipe: %+v, %v; want %+v", got, err, want)
	}
	if _, err := unix.Write(w, half); !errors.Is(err, unix.EPIPE) {
		t.Errorf("write into the drained pipe: %v, want EPIPE", err)
	}
	empty, w := rawPipe(t)
	if got, err := DrainPipe(empty); err != nil || got != nil {
		t.Errorf("DrainPipe of an empty pipe: %+v, %v", got, err)
	}
	dup, err := unix.Dup(w)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DrainPipe(dup); err == nil {
		t.Error("the wrong end of a pipe was read")
	}
}

// rawPipe is no os.File, which would close a descriptor again that is closed.
func rawPipe(t *testing.T, contents ...[]byte) (r, w int) {
	t.Helper()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(p[1]) })
	for _, b := range contents {
		if _, err := unix.Write(p[1], b); err != nil {
			t.Fatal(err)
		}
	}
	return p[0], p[1]
}

func TestFirstList(t *testing.T) {
	whole := message(listOf(2, 3))
	for _, b := range [][]byte{whole, append(message(listOf(2, 3)), message(listOf(4))[:20]...)} {
		if got, ok := firstList(b); !ok || !reflect.DeepEqual(got, listOf(2, 3)) {
			t.Errorf("firstList: %+v, %v", got, ok)
		}
	}
	for _, b := range [][]byte{nil, whole[:7], whole[:len(whole)-1], whole[1:]} {
		if got, ok := firstList(b); ok {
			t.Errorf("firstList of %d bytes that are no message: %+v", len(b), got)
		}
	}
}
