package blobstore

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

func TestDataIn(t *testing.T) {
	const mib = 1 << 20
	f, err := os.Create(filepath.Join(t.TempDir(), "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, at := range []int64{3 * mib, 5 * mib} {
		if _, err := f.WriteAt(make([]byte, mib), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(9 * mib); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ offset, start, end int64 }{
		{0, 3 * mib, 4 * mib}, {3*mib + 5, 3*mib + 5, 4 * mib}, {4 * mib, 5 * mib, 6 * mib}, {6 * mib, math.MaxInt64, math.MaxInt64}, {9 * mib, math.MaxInt64, math.MaxInt64},
	} {
		if start, end := DataIn(f)(tt.offset); start != tt.start || end != tt.end {
			t.Errorf("data at or behind %d: %d to %d, want %d to %d", tt.offset, start, end, tt.start, tt.end)
		}
	}
	// What cannot tell has data everywhere.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	defer r.Close()
	if start, end := DataIn(r)(7); start != 7 || end != math.MaxInt64 {
		t.Errorf("a pipe has data from %d to %d", start, end)
	}
}
