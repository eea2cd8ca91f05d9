package llapi

import (
	"os"
	"reflect"
	"testing"
)

// TestReadPipe finds what a dead process has not read, and does not wait for more.
func TestReadPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	half := message(listOf(1))[9:]
	for _, b := range [][]byte{half, message(listOf(2, 3)), message(listOf(4)), message(listOf(5))[:20]} {
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range [][]ActionList{{listOf(2, 3), listOf(4)}, nil} {
		got, err := ReadPipe(int(r.Fd()))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("ReadPipe: %+v, %v; want %+v", got, err, want)
		}
	}
	if _, err := ReadPipe(int(w.Fd())); err == nil {
		t.Error("the wrong end of a pipe was read")
	}
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
