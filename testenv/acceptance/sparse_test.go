package acceptance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv/gate"
)

// marks are the data of a file that has holes between them, by where they are.
type marks map[int64]string

// sparseFile makes a file of which only the marks take room.
func (e *env) sparseFile(rel string, size int64, m marks) {
	e.t.Helper()
	f, err := os.Create(e.path(rel))
	if err != nil {
		e.t.Fatal(err)
	}
	defer f.Close()
	for off, text := range m {
		if _, err := f.WriteAt([]byte(text), off); err != nil {
			e.t.Fatal(err)
		}
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		e.t.Fatal(err)
	}
}

// wantSparse makes sure that a file has the marks and zeros between them, and that the
// zeros are holes.
func (e *env) wantSparse(rel string, size int64, m marks) {
	e.t.Helper()
	f, err := os.Open(e.path(rel))
	if err != nil {
		e.t.Fatal(err)
	}
	defer f.Close()
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		e.t.Fatal(err)
	}
	if st.Size != size {
		e.t.Errorf("%s has %d bytes, want %d", rel, st.Size, size)
	}
	if disk := st.Blocks * 512; disk > 1<<20 {
		e.t.Errorf("%s takes %d bytes of disk; its zeros are no holes", rel, disk)
	}
	at := int64(0)
	for _, off := range slices.Sorted(maps.Keys(m)) {
		e.wantZeros(f, at, off)
		got := make([]byte, len(m[off]))
		if _, err := f.ReadAt(got, off); err != nil && !errors.Is(err, io.EOF) || string(got) != m[off] {
			e.t.Errorf("at offset %d: got %q, %v, want %q", off, got, err, m[off])
		}
		at = off + int64(len(got))
	}
	e.wantZeros(f, at, size)
}

// wantZeros reads what is not a hole between two offsets.
func (e *env) wantZeros(f *os.File, from, to int64) {
	e.t.Helper()
	buf := make([]byte, 1<<20)
	for off := from; off < to; {
		data, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
		if err != nil || data >= to {
			return
		}
		n, err := f.ReadAt(buf[:min(int64(len(buf)), to-data)], data)
		if err != nil && !errors.Is(err, io.EOF) {
			e.t.Fatal(err)
		}
		if len(bytes.Trim(buf[:n], "\x00")) > 0 {
			e.t.Fatalf("not all zeros near offset %d", data)
		}
		off = data + int64(n)
	}
}

// bytesRead is what the process has read so far, from files and sockets.
func (c *copytool) bytesRead() (n int64) {
	c.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", c.cmd.Process.Pid))
	if err == nil {
		_, err = fmt.Sscanf(string(text), "rchar: %d", &n)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

func getsOf(name, comp string) func(gate.Request) bool {
	return func(r gate.Request) bool {
		return r.Method == http.MethodGet && compOf(r) == comp && pathIs(r.Path, name)
	}
}

// TestSparseFile has 5 GiB with data at both ends and in the middle, and a short block
// of zeros behind them. What travels are the blocks with data and one of zeros, and
// restored, the zeros are holes again. Holes are not read where they are believed: by
// default not yet, since the file is too young.
func TestSparseFile(t *testing.T) {
	const size = 5<<30 + 1000
	data := marks{0: "begin", size / 2: "middle", 5<<30 - 3: "end"}
	for _, tt := range []struct {
		name string
		args []string
		read int64 // at least
		most int64
	}{
		{"believed", []string{"--holes-after", "0"}, 3 * blockSize, 5 * blockSize},
		{"too young", nil, size, size + 2*blockSize},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, c := start(t, tt.args...)
			e.sparseFile("sparse", size, data)
			before := c.bytesRead()
			e.hsm("archive", "sparse")
			e.wantState("sparse", stateArchived)
			if n := c.bytesRead() - before; n < tt.read || n > tt.most {
				t.Errorf("the archive has read %d bytes, want %d to %d", n, tt.read, tt.most)
			}
			if n := e.gate.Count(blocksOf("sparse")); n != 5 {
				t.Errorf("%d blocks were sent, want those with data, the last, and one of zeros", n)
			}
			if got := e.metadata("sparse")["lhsm_zero_blocks"]; got != "637" {
				t.Errorf("the blob says that it has %s blocks of zeros, want 637", got)
			}
			e.lfs("hsm_release", e.path("sparse"))
			e.hsm("restore", "sparse")
			e.wantState("sparse", stateArchived)
			e.wantSparse("sparse", size, data)
			if gets, lists := e.gate.Count(getsOf("sparse", "")), e.gate.Count(getsOf("sparse", "blocklist")); gets != 4 || lists != 1 {
				t.Errorf("the restore took %d requests for data and %d for the block list, want 4 and 1", gets, lists)
			}
		})
	}
}

// TestDenseFileIsRestoredWithoutAList: who has no zeros does not pay for those of others.
func TestDenseFileIsRestoredWithoutAList(t *testing.T) {
	e, _ := start(t, "--block-size", "1MiB", "--holes-after", "0")
	content := randomBytes(3*crashBlock+1, 1)
	e.released("f", content)
	e.wantContent("f", content)
	if n := e.gate.Count(getsOf("f", "blocklist")); n != 0 {
		t.Errorf("%d block lists were asked for", n)
	}
}

// TestSparseFileThatIsWritten: a hole gets data when it has been passed over already.
func TestSparseFileThatIsWritten(t *testing.T) {
	const size = 5 * crashBlock
	e, c := start(t, "--block-size", "1MiB", "--transfers", "1", "--holes-after", "0")
	e.sparseFile("f", size, marks{4 * crashBlock: "end"})
	last := e.gate.Hold(after(1, isBlockOf("f"))) // the other is that of zeros
	e.lfs("hsm_archive", e.path("f"))
	<-last.Caught
	e.sparseFile("f", size, marks{crashBlock: "data", 4 * crashBlock: "end"})
	last.Release()
	e.lustre.WaitIdle()
	c.waitLog("code=FileChanged")
	e.wantNoBlob("f")
	e.hsm("archive", "f")
	e.wantState("f", stateArchived)
	want := make([]byte, size)
	copy(want[crashBlock:], "data")
	copy(want[4*crashBlock:], "end")
	e.wantBlob("f", want)
}

// TestKilledDuringASparseArchive: blocks of zeros are none that are resumed from, so the
// one that stands for them is sent again, and no block with data.
func TestKilledDuringASparseArchive(t *testing.T) {
	const size = 9*crashBlock + 500
	data := marks{5: "begin", 3 * crashBlock: "middle", 9 * crashBlock: "end"}
	for _, tt := range []struct {
		name   string
		at     place
		resent int // blocks, at most
	}{
		{"after two blocks", held(after(2, isBlockOf("f"))), 3},
		{"before the commit", held(isPutOf("f")), 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := []string{"--block-size", "1MiB", "--transfers", "1", "--holes-after", "0"}
			e, c := start(t, args...)
			e.sparseFile("f", size, data)
			h := e.archiveUntil(tt.at, "f", true)
			c.kill()
			h.Lose()
			sent := e.gate.Count(blocksOf("f"))
			e.recovers(args...)
			e.wantState("f", stateArchived)
			if n := e.gate.Count(blocksOf("f")) - sent; n > tt.resent {
				t.Errorf("%d blocks were sent after the kill, want %d at most", n, tt.resent)
			}
			want := make([]byte, size)
			for off, text := range data {
				copy(want[off:], text)
			}
			e.wantBlob("f", want)
			e.lfs("hsm_release", e.path("f"))
			e.hsm("restore", "f")
			e.wantSparse("f", size, data)
		})
	}
}

// TestVerifySparseFile: every byte is compared, that of a hole as well.
func TestVerifySparseFile(t *testing.T) {
	const size = 20*blockSize + 7
	c := newClinic(t)
	c.sparseFile("f", size, marks{3 * blockSize: "data"})
	c.hsm("archive", "f")
	wantVerdicts(t, c.verdicts("--deep", c.path("f")), map[string]string{"/f": "Matches safe deep"})
	c.lfs("hsm_release", c.path("f"))
	wantVerdicts(t, c.verdicts("--deep", c.path("f")), map[string]string{"/f": "Matches deep"})
	c.hsm("restore", "f")
	c.wantSparse("f", size, marks{3 * blockSize: "data"})
	wantVerdicts(t, c.verdicts("--deep", c.path("f")), map[string]string{"/f": "Matches safe deep"})
	if name := c.blobOf("f"); !strings.HasSuffix(name, "f") || c.metadata(name)["lhsm_zero_blocks"] != "19" {
		t.Errorf("blob %q has the metadata %v", name, c.metadata(name))
	}
}
