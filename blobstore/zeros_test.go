package blobstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
)

func TestCRCOfZeros(t *testing.T) {
	for _, n := range []int64{0, 1, 7, 4096, 65537, 8 << 20} {
		if got, want := crcOfZeros(n), checksum(make([]byte, n)); got != want {
			t.Errorf("of %d: %016x, want %016x", n, got, want)
		}
	}
	const much = 100 << 40
	if got, want := crcOfZeros(2*much), combineCRC64(crcOfZeros(much), crcOfZeros(much), much); got != want {
		t.Errorf("of twice as many: %016x, want %016x", got, want)
	}
}

// sparse makes a file of blocks: a 0 is one of zeros, anything else one with data.
// Some bytes more come last.
func sparse(tail string, blocks ...int) []byte {
	var data []byte
	for i, b := range blocks {
		data = append(data, make([]byte, testBlock)...)
		if b != 0 {
			data[i*testBlock+b] = byte(i + 1)
		}
	}
	return append(data, tail...)
}

// holey is a file that says where its holes are.
type holey struct {
	countingSource
	t     *testing.T
	asked int
}

// nextData finds data in units of a block, as a file system has larger ones too.
func (h *holey) nextData(offset int64) (start, end int64) {
	h.asked++
	size := int64(len(h.data))
	hasData := func(at int64) bool { return len(bytes.Trim(h.data[at:min(at+testBlock, size)], "\x00")) > 0 }
	start = offset
	for ; start < size && !hasData(start); start += testBlock {
	}
	for end = start; end < size && hasData(end); end += testBlock {
	}
	return start, end
}

// operations counts requests of a container by their kind.
type operations struct {
	mu sync.Mutex // guards n
	n  map[string]int
}

func observe(c *Container) *operations {
	o := &operations{n: map[string]int{}}
	inject(c.pool, func(_ int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
		o.mu.Lock()
		o.n[opOf(req)]++
		o.mu.Unlock()
		return real.RoundTrip(req)
	})
	return o
}

// take returns the counts, and begins anew.
func (o *operations) take() map[string]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.n
	o.n = map[string]int{}
	return n
}

// restored is what a sparse download leaves in a file, and what it wrote of it.
func restored(t *testing.T, c *Container, info Info) (content []byte, written int) {
	t.Helper()
	var dst target
	var total int64
	_, err := c.Download(t.Context(), info.Name, &dst, DownloadOptions{
		ETag: info.ETag, Size: info.Size, CRC64: info.CRC64, CheckCRC64: true, Holes: true, ZeroBlocks: info.ZeroBlocks,
		Progress: func(n int64) { total = n },
	})
	if err != nil {
		t.Fatal(err)
	}
	if total != info.Size {
		t.Errorf("progress ended at %d of %d", total, info.Size)
	}
	return append(dst.data, make([]byte, info.Size-int64(len(dst.data)))...), dst.written
}

// TestZeroBlocks: of all blocks of zeros one is sent, and none is fetched; what is
// said to be a hole is not read.
func TestZeroBlocks(t *testing.T) {
	for _, tt := range []struct {
		name          string
		data          []byte
		zeros         int
		sends         int
		gets          int
		reads, writes int // bytes
		asks          int
	}{
		{"none", sparse("x", 1, 2), 0, 3, 3, 2*testBlock + 1, 2*testBlock + 1, 1},
		{"one", sparse("x", 1, 0, 2), 1, 4, 3, 2*testBlock + 1, 2*testBlock + 1, 2},
		{"runs", sparse("x", 0, 0, 1, 5, 0, 0, 0, 7), 5, 5, 4, 3*testBlock + 1, 3*testBlock + 1, 2},
		{"at the end", sparse("", 1, 2, 0, 0), 2, 3, 2, 2 * testBlock, 2 * testBlock, 2},
		{"a short one at the end", sparse("\x00\x00", 1, 0), 1, 3, 2, testBlock + 2, testBlock, 2},
		{"all", sparse("", 0, 0, 0), 3, 1, 0, 0, 0, 1},
		{"a bit at the end of each", sparse("", testBlock-1, testBlock-1), 0, 2, 2, 2 * testBlock, 2 * testBlock, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := openContainer(t, PoolOptions{}, ContainerOptions{})
			seen := observe(c)
			for _, told := range []bool{false, true} {
				src := &holey{countingSource: countingSource{data: tt.data}, t: t}
				o := UploadOptions{Condition: Overwrite()}
				reads := len(tt.data)
				if told {
					o.NextData, reads = src.nextData, tt.reads
				}
				var total int64
				o.Progress = func(n int64) { total = n }
				info, err := c.Upload(t.Context(), "f", src, int64(len(tt.data)), o)
				if err != nil {
					t.Fatal(err)
				}
				if n := seen.take(); n["put-block"] != tt.sends {
					t.Errorf("told %t: %d blocks were sent, want %d", told, n["put-block"], tt.sends)
				}
				if src.bytesRead() != reads || total != info.Size {
					t.Errorf("told %t: %d bytes were read, want %d; progress ended at %d of %d", told, src.bytesRead(), reads, total, info.Size)
				}
				if told && src.asked != tt.asks {
					t.Errorf("asked for data %d times, want %d", src.asked, tt.asks)
				}
				if info.CRC64 != checksum(tt.data) || info.ZeroBlocks != tt.zeros {
					t.Errorf("told %t: CRC-64 %016x, want %016x; %d blocks of zeros, want %d", told, info.CRC64, checksum(tt.data), info.ZeroBlocks, tt.zeros)
				}
				if now, err := c.Stat(t.Context(), "f"); err != nil || now.ZeroBlocks != tt.zeros || !maps.Equal(now.Metadata, info.Metadata) {
					t.Errorf("told %t: the service has %+v, %v", told, now, err)
				}
				wantContent(t, c, info, tt.data)
				seen.take()
				content, written := restored(t, c, info)
				n := seen.take()
				if !bytes.Equal(content, tt.data) || written != tt.writes {
					t.Errorf("told %t: same bytes: %t; %d were written, want %d", told, bytes.Equal(content, tt.data), written, tt.writes)
				}
				if n["get-blob"] != tt.gets || n["get-block-list"] != min(tt.zeros, 1) {
					t.Errorf("told %t: requests of the download are %v, want %d", told, n, tt.gets)
				}
			}
		})
	}
}

// TestZerosInOneRequest: a file that goes in one request has no blocks.
func TestZerosInOneRequest(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	info := mustUpload(t, c, "f", make([]byte, testBlock), UploadOptions{
		NextData: func(int64) (int64, int64) { t.Error("asked for data"); return testBlock, testBlock },
	})
	if info.ZeroBlocks != 0 || info.Metadata[keyZeroBlocks] != "" {
		t.Errorf("%+v", info)
	}
	wantContent(t, c, info, make([]byte, testBlock))
}

// TestUploadKnowsItsOwnZeros, whatever blob the metadata were taken from.
func TestUploadKnowsItsOwnZeros(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	sparseOne := mustUpload(t, c, "a", sparse("x", 0, 0, 1), UploadOptions{})
	dense := mustUpload(t, c, "b", sparse("x", 1, 2), UploadOptions{Metadata: sparseOne.Metadata})
	if dense.ZeroBlocks != 0 || dense.Metadata[keyZeroBlocks] != "" {
		t.Errorf("%+v", dense)
	}
	copied, err := c.Copy(t.Context(), "a", "c", CopyOptions{})
	if err != nil || copied.ZeroBlocks != 2 {
		t.Fatalf("copy has %d blocks of zeros, %v", copied.ZeroBlocks, err)
	}
	seen := observe(c)
	content, _ := restored(t, c, copied)
	if n := seen.take(); !bytes.Equal(content, sparse("x", 0, 0, 1)) || n["get-blob"] != 2 {
		t.Errorf("same bytes: %t, requests %v", bytes.Equal(content, sparse("x", 0, 0, 1)), n)
	}
}

// TestZerosAreCompared: a block whose CRC is that of zeros may be another.
func TestZerosAreCompared(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	data := sparse("x", 7, 7)
	rest := data[testBlock-8 : testBlock] // it takes what came before out of the CRC
	binary.LittleEndian.PutUint64(rest, checksum(data[:testBlock-8])^crcOfZeros(testBlock-8))
	if checksum(data[:testBlock]) != crcOfZeros(testBlock) {
		t.Fatal("the block has another CRC than zeros")
	}
	info := mustUpload(t, c, "f", data, UploadOptions{})
	if info.ZeroBlocks != 0 {
		t.Errorf("%d blocks of zeros", info.ZeroBlocks)
	}
	wantContent(t, c, info, data)
}

// TestZeroBlockThatIsNotTaken ends the upload: the list would name nothing.
func TestZeroBlockThatIsNotTaken(t *testing.T) {
	for _, told := range []bool{false, true} {
		c := openContainer(t, PoolOptions{Retries: -1}, ContainerOptions{})
		inject(c.pool, func(_ int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
			if i, ok := blockNumber(req.URL.Query().Get("blockid")); ok && i == zeroBlock {
				return answer(req, http.StatusForbidden, "AuthorizationPermissionMismatch"), nil
			}
			return real.RoundTrip(req)
		})
		src := &holey{countingSource: countingSource{data: sparse("x", 1, 0, 0, 2)}, t: t}
		var o UploadOptions
		if told {
			o.NextData = src.nextData
		}
		_, err := c.Upload(t.Context(), "f", src, int64(len(src.data)), o)
		wantKind(t, err, ErrPermission)
		_, err = c.Stat(t.Context(), "f")
		wantKind(t, err, ErrNotFound)
	}
}

// TestResumeWithZeros: blocks of zeros are none that one resumes from, and may have
// become others meanwhile, and others may have become them.
func TestResumeWithZeros(t *testing.T) {
	before := sparse("tail", 1, 0, 0, 2, 3)
	for _, tt := range []struct {
		name  string
		now   []byte
		sends int
	}{
		{"unchanged", before, 1},
		{"data where zeros were", sparse("tail", 1, 5, 0, 2, 3), 2},
		{"zeros where data were", sparse("tail", 1, 0, 0, 0, 3), 1},
		{"no zeros any more", sparse("tail", 1, 5, 6, 2, 3), 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := openContainer(t, PoolOptions{}, ContainerOptions{})
			blocks := interrupted(t, c, "f", before)
			if len(blocks) != 4 {
				t.Errorf("told of %d blocks, want those with data: %v", len(blocks), blocks)
			}
			blocks = append(blocks, StagedBlock{Upload: blocks[0].Upload, BlockSize: testBlock, Number: zeroBlock, CRC64: crcOfZeros(testBlock)})
			seen := observe(c)
			info := mustUpload(t, c, "f", tt.now, UploadOptions{Resume: blocks})
			if n := seen.take()["put-block"]; n != tt.sends {
				t.Errorf("%d blocks were sent, want %d", n, tt.sends)
			}
			if info.Metadata[keyUpload] != blocks[0].Upload || info.CRC64 != checksum(tt.now) {
				t.Errorf("not resumed, or of other bytes: %+v", info)
			}
			wantContent(t, c, info, tt.now)
			if content, _ := restored(t, c, info); !bytes.Equal(content, tt.now) {
				t.Error("other bytes were restored")
			}
		})
	}
}

// spoilLists changes every block list that the service gives.
func spoilLists(c *Container, spoil func(r *http.Response, list string) string) {
	inject(c.pool, func(_ int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
		r, err := real.RoundTrip(req)
		if err != nil || opOf(req) != "get-block-list" {
			return r, err
		}
		list, err := io.ReadAll(r.Body)
		if err := errors.Join(err, r.Body.Close()); err != nil {
			return nil, err
		}
		text := spoil(r, string(list))
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
		return r, nil
	})
}

// TestBlockListThatIsNoUse: everything is fetched then.
func TestBlockListThatIsNoUse(t *testing.T) {
	data := sparse("x", 1, 0, 0, 2)
	for name, spoil := range map[string]func(r *http.Response, list string) string{
		"refused":         func(r *http.Response, _ string) string { r.StatusCode = http.StatusForbidden; return "" },
		"of another blob": func(r *http.Response, list string) string { r.Header.Set("ETag", `"0x1"`); return list },
		"of nothing":      func(r *http.Response, list string) string { r.Header.Del("ETag"); return list },
		"of no length at all": func(_ *http.Response, list string) string {
			end := strings.LastIndex(list, "</CommittedBlocks>")
			return strings.ReplaceAll(list[:end], ">1<", ">131072<") + "<Block><Name>AAAA</Name><Size>-131071</Size></Block>" + list[end:]
		},
		"of another length":    func(_ *http.Response, list string) string { return strings.Replace(list, ">65536<", ">65537<", 1) },
		"no list":              func(*http.Response, string) string { return "<html>" },
		"without our own IDs":  func(_ *http.Response, list string) string { return strings.ReplaceAll(list, "Name>", "ID>") },
		"empty, as of one put": func(*http.Response, string) string { return "<BlockList></BlockList>" },
	} {
		t.Run(name, func(t *testing.T) {
			c := openContainer(t, PoolOptions{Retries: -1}, ContainerOptions{})
			info := mustUpload(t, c, "f", data, UploadOptions{})
			spoilLists(c, spoil)
			seen := observe(c)
			content, _ := restored(t, c, info)
			if n := seen.take(); n["get-blob"] != 5 || !bytes.Equal(content, data) {
				t.Errorf("requests %v, same bytes: %t", n, bytes.Equal(content, data))
			}
		})
	}
}

// FuzzRunsOfZeros: whatever a list says, the runs are in order, within the blob, and
// with the pieces between them they are the blob.
func FuzzRunsOfZeros(f *testing.F) {
	f.Add([]byte("zzdz"), int64(5))
	f.Add([]byte("zdz"), int64(-5))
	f.Add([]byte("zz"), int64(maxBlob))
	f.Fuzz(func(t *testing.T, kinds []byte, length int64) {
		var blocks []*blockblob.Block
		for i, kind := range kinds {
			id, size := nonce{}.blockID(i), length>>(kind%61)
			if kind == 'z' {
				id = nonce{}.blockID(zeroBlock)
			}
			blocks = append(blocks, &blockblob.Block{Name: &id, Size: &size})
		}
		runs, size := runsOfZeros(blocks)
		if size < 0 {
			if runs != nil {
				t.Errorf("runs of a list that makes no sense: %v", runs)
			}
			return
		}
		d := &download{piece: max(1, size/100), options: DownloadOptions{Size: size}}
		at := int64(0)
		for p := range d.pieces(runs) {
			if p.offset != at || p.length < 0 || p.length == 0 && size > 0 {
				t.Fatalf("a piece of %+v after %d bytes of %d; runs %v", p, at, size, runs)
			}
			at = p.end()
		}
		if at != size {
			t.Errorf("the pieces end at %d of %d; runs %v", at, size, runs)
		}
	})
}

// TestBlockListThatLies: the CRC of the whole tells.
func TestBlockListThatLies(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	info := mustUpload(t, c, "f", sparse("x", 1, 0, 2), UploadOptions{})
	n, _ := parseNonce(info.Metadata[keyUpload])
	spoilLists(c, func(_ *http.Response, list string) string {
		return strings.Replace(list, n.blockID(2), n.blockID(zeroBlock), 1)
	})
	_, err := c.Download(t.Context(), "f", &target{}, DownloadOptions{
		ETag: info.ETag, Size: info.Size, CRC64: info.CRC64, CheckCRC64: true, Holes: true, ZeroBlocks: info.ZeroBlocks,
	})
	wantKind(t, err, ErrChecksum)
}

// TestZerosAreFetchedIfNothingProvesThem, or if the destination wants them written.
func TestZerosAreFetchedIfNothingProvesThem(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	data := sparse("x", 1, 0, 0, 2)
	info := mustUpload(t, c, "f", data, UploadOptions{})
	for _, o := range []DownloadOptions{
		{ZeroBlocks: info.ZeroBlocks, Holes: true},
		{ZeroBlocks: info.ZeroBlocks, CheckCRC64: true},
		{Holes: true, CheckCRC64: true},
	} {
		o.ETag, o.Size, o.CRC64 = info.ETag, info.Size, info.CRC64
		seen := observe(c)
		if _, err := c.Download(t.Context(), "f", &target{}, o); err != nil {
			t.Fatal(err)
		}
		if n := seen.take(); n["get-blob"] != 5 || n["get-block-list"] != 0 {
			t.Errorf("%+v: requests %v", o, n)
		}
	}
}

// TestDownloadOfAnotherBlob: a blob that was replaced is found to be another, also
// if none of its bytes are to be fetched.
func TestDownloadOfAnotherBlob(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	info := mustUpload(t, c, "f", sparse("", 0, 0), UploadOptions{})
	o := DownloadOptions{ETag: info.ETag, Size: info.Size, CRC64: info.CRC64, CheckCRC64: true, Holes: true, ZeroBlocks: 2}
	got, err := c.Download(t.Context(), "f", &target{}, o)
	if err != nil || got.ETag != info.ETag || got.Modified.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	mustUpload(t, c, "f", sparse("", 0, 0), UploadOptions{Condition: Overwrite()})
	_, err = c.Download(t.Context(), "f", &target{}, o)
	wantKind(t, err, ErrChanged)
	if err := c.Delete(t.Context(), "f", ""); err != nil {
		t.Fatal(err)
	}
	_, err = c.Download(t.Context(), "f", &target{}, o)
	wantKind(t, err, ErrNotFound)
}

// TestBlockListsTakeMemory: a restore of many sparse files must not take more than the
// process may have.
func TestBlockListsTakeMemory(t *testing.T) {
	const listMemory = maxBlocks * listEntry
	c := openContainer(t, PoolOptions{Memory: listMemory + testBlock}, ContainerOptions{})
	info := mustUpload(t, c, "f", sparse("x", 1, 0, 0, 2), UploadOptions{})
	kept, err := c.pool.memory.acquire(t.Context(), listMemory)
	if err != nil {
		t.Fatal(err)
	}
	seen := observe(c)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = c.Download(ctx, "f", &target{}, DownloadOptions{
		ETag: info.ETag, Size: info.Size, CRC64: info.CRC64, CheckCRC64: true, Holes: true, ZeroBlocks: info.ZeroBlocks,
	})
	wantKind(t, err, context.DeadlineExceeded)
	if n := seen.take(); len(n) != 0 {
		t.Errorf("requests without memory: %v", n)
	}
	kept.release()
	if content, _ := restored(t, c, info); !bytes.Equal(content, sparse("x", 1, 0, 0, 2)) {
		t.Error("other bytes were restored")
	}
	if idle := c.pool.memory.idleBytes; idle >= listMemory {
		t.Errorf("%d bytes were kept beside the list", idle)
	}
}

// TestWrittenListsTakeMemory as well.
func TestWrittenListsTakeMemory(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	var inUse atomic.Int64
	inject(c.pool, func(_ int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
		if opOf(req) == "put-block-list" {
			inUse.Store(c.pool.MemoryInUse())
		}
		return real.RoundTrip(req)
	})
	mustUpload(t, c, "f", sparse("x", 1, 0, 0, 2), UploadOptions{})
	if n := inUse.Load(); n != 5*listEntry {
		t.Errorf("%d bytes are counted while a list of 5 blocks is written, want %d", n, 5*listEntry)
	}
}

func TestPieces(t *testing.T) {
	for _, tt := range []struct {
		name string
		size int64
		runs []span
		want string
	}{
		{"empty", 0, nil, "0+0"},
		{"one", 7, nil, "0+7"},
		{"two", 17, nil, "0+10 10+7"},
		{"in between", 100, []span{{25, 40}}, "0+10 10+10 20+5 (25+40) 65+10 75+10 85+10 95+5"},
		{"at both ends", 60, []span{{0, 20}, {35, 25}}, "(0+20) 20+10 30+5 (35+25)"},
		{"all", 30, []span{{0, 30}}, "(0+30)"},
		{"short ones", 40, []span{{3, 9}, {20, 10}, {31, 9}}, "0+10 10+10 (20+10) 30+10"},
	} {
		d := &download{piece: 10, options: DownloadOptions{Size: tt.size}}
		var got []string
		for p, zero := range d.pieces(tt.runs) {
			text := fmt.Sprintf("%d+%d", p.offset, p.length)
			if zero {
				text = "(" + text + ")"
			}
			got = append(got, text)
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, s, tt.want)
		}
	}
}

// TestZeroBlocksUnderCancel: an upload that is given up while it skips holes leaves
// nothing behind, as newPool checks.
func TestZeroBlocksUnderCancel(t *testing.T) {
	c := openContainer(t, PoolOptions{Retries: -1}, ContainerOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	src := &holey{countingSource: countingSource{data: sparse("x", 1, 0, 0, 0, 2)}, t: t}
	_, err := c.Upload(ctx, "f", src, int64(len(src.data)), UploadOptions{NextData: func(at int64) (int64, int64) {
		if at > 0 {
			cancel()
		}
		return src.nextData(at)
	}})
	wantKind(t, err, context.Canceled)
	_, err = c.Stat(t.Context(), "f")
	wantKind(t, err, ErrNotFound)
}

func TestZeroBlocksOf(t *testing.T) {
	for value, want := range map[string]int{"": 0, "1": 1, "50000": 50000, "50001": 0, "99999": 0, "-1": 0, "many": 0} {
		if got := zeroBlocksOf(map[string]string{keyZeroBlocks: value}); got != want {
			t.Errorf("%q is %d, want %d", value, got, want)
		}
	}
}
