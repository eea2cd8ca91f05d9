package acceptance

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv"
)

const blockSize = 8 << 20 // what the tests below give as --block-size

// TestSparseFile has 5 GiB with data at both ends and in the middle. Restored,
// the zeros must be holes again and not 5 GiB of disk.
func TestSparseFile(t *testing.T) {
	e, _ := start(t)
	const size = 5 << 30
	marks := map[int64][]byte{0: []byte("begin"), size / 2: []byte("middle"), size - 3: []byte("end")}
	f, err := os.Create(e.path("sparse"))
	if err != nil {
		t.Fatal(err)
	}
	for off, b := range marks {
		if _, err := f.WriteAt(b, off); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	e.lfs("hsm_archive", e.path("sparse"))
	e.waitLongUntilIdle()
	e.wantState("sparse", stateArchived)
	e.lfs("hsm_release", e.path("sparse"))
	e.lfs("hsm_restore", e.path("sparse"))
	e.waitLongUntilIdle()
	e.wantState("sparse", stateArchived)

	f, err = os.Open(e.path("sparse"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	if st.Size != size {
		t.Errorf("size after the restore: %d, want %d", st.Size, size)
	}
	if disk := st.Blocks * 512; disk > 1<<30 {
		t.Errorf("the restored file takes %d bytes of disk; its zeros are no holes", disk)
	}
	for off, want := range marks {
		got := make([]byte, len(want))
		if _, err := f.ReadAt(got, off); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("at offset %d: got %q, want %q", off, got, want)
		}
	}
	wantZeros(t, f, 5, size/2)
}

// waitLongUntilIdle is for what an emulator written in JavaScript takes minutes to take.
func (e *env) waitLongUntilIdle() {
	e.t.Helper()
	wait := exec.Command(testenv.Binary(e.t, "./testenv/cmd/lustre-standin"), "wait-idle", "--timeout", "15m")
	if out, err := wait.CombinedOutput(); err != nil {
		e.t.Fatalf("wait-idle: %v: %s", err, out)
	}
}

// wantZeros reads what is not a hole between two offsets.
func wantZeros(t *testing.T, f *os.File, from, to int64) {
	t.Helper()
	buf := make([]byte, 1<<20)
	for off := from; off < to; {
		data, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
		if err != nil || data >= to {
			return
		}
		n, err := f.ReadAt(buf[:min(int64(len(buf)), to-data)], data)
		if err != nil {
			t.Fatal(err)
		}
		if len(bytes.Trim(buf[:n], "\x00")) > 0 {
			t.Fatalf("not all zeros near offset %d", data)
		}
		off = data + int64(n)
	}
}

// TestP24OddNames has every kind of name that a POSIX file system allows and a URL does not.
func TestP24OddNames(t *testing.T) {
	e, _ := start(t)
	long := strings.Repeat("d23456789/", 120) + "file"
	names := []string{
		"new\nline", "quote'\"", "per%cent", "per%20cent", "hash#", "question?", `back\slash`, "not-utf8-\xff\xfe", "tab\tbell\a",
		strings.Repeat("n", 255), "trailing dot.", "dir./in a dotted dir", "...", " leading space", "trailing space ", "plus+and&amp;",
		"ünïcödé", "e\u0301 decomposed", "\u00e9 composed", "colon:semi;", "~tilde", "[brackets]", "star*", "$(touch pwned)", "-dash", "\u0081\ue000", long,
	}
	for i, name := range names {
		e.released(name, randomBytes(100+i, byte(i)))
	}
	for i, name := range names {
		e.wantContent(name, randomBytes(100+i, byte(i)))
		e.wantState(name, stateArchived)
	}
	if n := len(e.blobNames()); n != len(names) {
		t.Errorf("%d files became %d blobs: %q", len(names), n, e.blobNames())
	}
	for _, plain := range []string{"hash#", "question?", "ünïcödé", "quote'\""} {
		if _, ok := e.blobContent(plain); !ok {
			t.Errorf("%q is a good blob name and was changed", plain)
		}
	}
}
