package blobstore

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lhsm-azblob/testenv/blobsink"
)

// openSink opens a container of a sink.
func openSink(t testing.TB, po PoolOptions, o ContainerOptions) *Container {
	t.Helper()
	o.URL = blobsink.Start(t, blobsink.Pattern, false).URL + "/data"
	o.Credential = Credential{Mode: ModeSharedKey, AccountKey: "a2V5"}
	return open(t, newPool(t, po), o)
}

// Many transfers at a time, large and small, up and down: at no time are more
// requests in flight or more bytes on loan than allowed.
func TestLimitsHoldUnderLoad(t *testing.T) {
	const memory, transfers = 10 * testBlock, 3
	c := openSink(t, PoolOptions{Memory: memory, Transfers: transfers}, ContainerOptions{})
	var inFlight, most atomic.Int64
	inject(c.pool, func(_ int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
		if n := inFlight.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer inFlight.Add(-1)
		if n := c.pool.MemoryInUse(); n > memory {
			t.Errorf("%d bytes of memory in use", n)
		}
		return real.RoundTrip(req)
	})
	var all sync.WaitGroup
	for i := range 24 {
		size := int64(i * i * testBlock / 16)
		all.Go(func() {
			n := Name("f" + strings.Repeat("x", i))
			info, err := c.Upload(t.Context(), n, patternSource{}, size, UploadOptions{})
			if err != nil {
				t.Error(err)
				return
			}
			_, err = c.Download(t.Context(), n, &target{}, DownloadOptions{ETag: info.ETag, Size: size, CRC64: info.CRC64, CheckCRC64: true})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := most.Load(); n > transfers {
		t.Errorf("%d requests at a time", n)
	}
}

// Limits change while a transfer runs, up and down, and it goes on.
func TestLimitsChangeUnderLoad(t *testing.T) {
	c := openSink(t, PoolOptions{Transfers: 8}, ContainerOptions{BlockSize: testBlock})
	var since, inFlight, most atomic.Int64
	var limited atomic.Bool // others went on while the limit came down
	inject(c.pool, func(n int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
		if n == 20 {
			c.pool.SetLimits(1, 1<<30)
			limited.Store(true)
		} else if limited.Load() {
			switch since.Add(1) {
			case 20: // those of before have ended by now
				most.Store(0)
			case 40:
				if got := most.Load(); got != 1 {
					t.Errorf("%d requests at a time, and one is allowed by now", got)
				}
				c.pool.SetLimits(8, 0)
			}
		}
		if n := inFlight.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer inFlight.Add(-1)
		return real.RoundTrip(req)
	})
	const size = 100 * testBlock
	info, err := c.Upload(t.Context(), "a", patternSource{}, size, UploadOptions{})
	if err == nil {
		_, err = c.Download(t.Context(), "a", &target{}, DownloadOptions{ETag: info.ETag, Size: size})
	}
	if err != nil {
		t.Fatal(err)
	}
	if n := c.pool.slots.capacity; n != 8 {
		t.Errorf("%d requests are allowed at the end, want 8", n)
	}
}

// patternSource is a file without end of what a sink gives back.
type patternSource struct{}

var pattern = sync.OnceValue(func() []byte {
	b := make([]byte, 1<<20)
	_, _ = blobsink.Pattern.Reader(1 << 20).Read(b)
	return b
})

func (patternSource) ReadAt(p []byte, off int64) (n int, _ error) {
	for n < len(p) {
		n += copy(p[n:], pattern()[(off+int64(n))%(1<<20):])
	}
	return n, nil
}

// The limit holds from end to end: for files that go in one request, for parts
// of a large one, up and down. (That it is used up, and holds in each second, is
// tested on the connection alone, where time can be faked.)
func TestBandwidthFromEndToEnd(t *testing.T) {
	const limit = 2 << 20
	for _, size := range []int64{128 << 10, 512 << 10} {
		c := openSink(t, PoolOptions{Bandwidth: limit}, ContainerOptions{BlockSize: 256 << 10})
		start := time.Now()
		info, err := c.Upload(t.Context(), "a", patternSource{}, size, UploadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Download(t.Context(), "a", &target{}, DownloadOptions{ETag: info.ETag, Size: size}); err != nil {
			t.Fatal(err)
		}
		least := time.Duration(float64(2*size-limit/piecesPerSecond) / limit * float64(time.Second))
		if took := time.Since(start); took < least {
			t.Errorf("%d bytes up and down in %s, want at least %s", size, took, least)
		}
		c.pool.SetLimits(0, 0)
	}
}

// A server that takes a request and never says a word.
func TestSilentServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
		}
	}()
	c := open(t, newPool(t, PoolOptions{Retries: -1, StallTimeout: 50 * time.Millisecond}), ContainerOptions{
		URL: "http://" + l.Addr().String() + "/account/data", Credential: Credential{Mode: ModeSharedKey, AccountKey: "a2V5"},
	})
	within(t, func(ctx context.Context) {
		_, err := c.Stat(ctx, "a")
		wantKind(t, err, ErrUnreachable)
		_, err = c.Upload(ctx, "a", bytes.NewReader(randomBytes(5*testBlock)), 5*testBlock, UploadOptions{})
		wantKind(t, err, ErrUnreachable)
		if err != nil && !strings.Contains(err.Error(), "no answer from") {
			t.Errorf("error does not say what is wrong: %v", err)
		}
	})
}

// A blob that a copy has not made says already how long it will be.
func TestDownloadOfUnfinishedCopy(t *testing.T) {
	c := openSink(t, PoolOptions{}, ContainerOptions{})
	info, err := c.Upload(t.Context(), "a", patternSource{}, 5, UploadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for status, want := range map[string]error{"pending": ErrChanged, "aborted": ErrChanged, "failed": ErrChanged, "success": nil} {
		inject(c.pool, func(_ int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
			resp, err := real.RoundTrip(req)
			if err == nil {
				resp.Header.Set("x-ms-copy-status", status)
			}
			return resp, err
		})
		var dst target
		_, err := c.Download(t.Context(), "a", &dst, DownloadOptions{ETag: info.ETag, Size: 5})
		wantKind(t, err, want)
	}
}

// A copy that the service takes its time for.
func TestCopyIsAwaited(t *testing.T) {
	c := openSink(t, PoolOptions{}, ContainerOptions{})
	if _, err := c.Upload(t.Context(), "a", patternSource{}, 5, UploadOptions{}); err != nil {
		t.Fatal(err)
	}
	looks := 0
	pending := func(_ int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
		resp, err := real.RoundTrip(req)
		if err == nil && resp.Header.Get("x-ms-copy-status") != "" && opOf(req) == "head-blob" {
			if looks++; looks < 4 {
				resp.Header.Set("x-ms-copy-status", "pending")
			}
		}
		return resp, err
	}
	inject(c.pool, pending)
	if info, err := c.Copy(t.Context(), "a", "b", CopyOptions{}); err != nil || info.Size != 5 || looks != 4 {
		t.Errorf("copy after %d looks: %+v, %v", looks, info, err)
	}

	looks = 0
	if info, err := c.Stat(t.Context(), "b"); err != nil || !info.Unfinished {
		t.Errorf("while it is pending: %+v, %v", info, err)
	}
	looks = 4
	if info, err := c.Stat(t.Context(), "b"); err != nil || info.Unfinished {
		t.Errorf("when it is done: %+v, %v", info, err)
	}

	looks = -1000
	ctx, cancel := context.WithCancel(t.Context())
	var aborted atomic.Bool
	inject(c.pool, func(n int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
		switch {
		case opOf(req) == "abort-copy":
			aborted.Store(true)
			return answer(req, http.StatusNoContent, ""), nil
		case looks > -998:
			cancel()
		}
		return real.RoundTrip(req)
	})
	_, err := c.Copy(ctx, "a", "c", CopyOptions{})
	wantKind(t, err, context.Canceled)
	if !aborted.Load() {
		t.Error("a copy that nobody waits for was not aborted")
	}
}

func TestFailedCopy(t *testing.T) {
	c := openSink(t, PoolOptions{}, ContainerOptions{})
	if _, err := c.Upload(t.Context(), "a", patternSource{}, 5, UploadOptions{}); err != nil {
		t.Fatal(err)
	}
	inject(c.pool, func(_ int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
		resp, err := real.RoundTrip(req)
		if err == nil && resp.Header.Get("x-ms-copy-status") != "" {
			resp.Header.Set("x-ms-copy-status", "failed")
			resp.Header.Set("x-ms-copy-status-description", "500 InternalServerError")
		}
		return resp, err
	})
	_, err := c.Copy(t.Context(), "a", "b", CopyOptions{})
	if err == nil || !strings.Contains(err.Error(), "500 InternalServerError") {
		t.Errorf("failed copy: %v", err)
	}
}

// Below 64 KiB/s for each request there are fewer at a time, so that each is done
// in time.
func TestLowBandwidthAllowsFewRequests(t *testing.T) {
	for _, c := range []struct{ limit, transfers, want int64 }{
		{0, 96, 96}, {100 << 20, 96, 96}, {512 << 10, 96, 8}, {64 << 10, 96, 4}, {64 << 10, 2, 2},
	} {
		if got := requestsFor(c.limit, c.transfers); got != c.want {
			t.Errorf("%d requests share %d bytes/s, want %d", got, c.limit, c.want)
		}
	}
	c := openSink(t, PoolOptions{Bandwidth: 320 << 10, Transfers: 50}, ContainerOptions{BlockSize: testBlock})
	var inFlight, most atomic.Int64
	inject(c.pool, func(_ int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
		if n := inFlight.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer inFlight.Add(-1)
		return real.RoundTrip(req)
	})
	if _, err := c.Upload(t.Context(), "a", patternSource{}, 8*testBlock, UploadOptions{}); err != nil {
		t.Fatal(err)
	}
	if n := most.Load(); n > 5 {
		t.Errorf("%d requests at a time share 320 KiB/s, want 5", n)
	}
	c.pool.SetLimits(50, 0)
	if n := c.pool.slots.capacity; n != 50 {
		t.Errorf("%d requests without a limit, want 50", n)
	}
}

// A file system that hangs, or is slow, gets so many calls at a time, and no more:
// each holds a thread.
func TestFileAccessIsBounded(t *testing.T) {
	const transfers = 2
	c := openSink(t, PoolOptions{Transfers: transfers}, ContainerOptions{BlockSize: testBlock})
	var calls, most atomic.Int64 // reads and writes
	slow := slowFile{func() {
		if n := calls.Add(1); n > most.Load() {
			most.Store(n)
		}
		<-time.After(time.Millisecond)
		calls.Add(-1)
	}}
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			n := Name("f" + strings.Repeat("x", i))
			size := int64(1+i%2*5) * testBlock
			info, err := c.Upload(t.Context(), n, slow, size, UploadOptions{})
			if err == nil {
				_, err = c.Download(t.Context(), n, slow, DownloadOptions{ETag: info.ETag, Size: size})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := most.Load(); n > 2*transfers {
		t.Errorf("%d reads and writes of files at a time, want at most %d", n, 2*transfers)
	}
	if n := c.pool.reads.used() + c.pool.writes.used(); n != 0 {
		t.Errorf("%d reads and writes of files were never given back", n)
	}
}

// A read of a file can wait for the restore of that file: however many do, small ones or
// blocks, the restore has what it needs.
func TestReadsThatWaitForARestore(t *testing.T) {
	const blocks = 16
	c := openSink(t, PoolOptions{Transfers: 4, Memory: blocks * testBlock}, ContainerOptions{BlockSize: testBlock})
	info, err := c.Upload(t.Context(), "f", patternSource{}, 3*testBlock, UploadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, occupied := range []int64{0, blocks * testBlock} {
		c.pool.Occupy(occupied)
		restored := make(chan struct{})
		var all sync.WaitGroup
		for i := range 2 * blocks {
			all.Go(func() {
				blocked := slowFile{func() { <-restored }}
				if _, err := c.Upload(t.Context(), Name(fmt.Sprint("g", i)), blocked, int64(1+i%2*blocks)*testBlock, UploadOptions{Condition: Overwrite()}); err != nil {
					t.Error(err)
				}
			})
		}
		for !c.pool.memory.sources.isWaitedFor() || !c.pool.reads.isWaitedFor() {
			runtime.Gosched()
		}
		if _, err := c.Download(t.Context(), "f", slowFile{func() {}}, DownloadOptions{ETag: info.ETag, Size: 3 * testBlock}); err != nil {
			t.Error(err)
		}
		close(restored)
		all.Wait()
	}
	if n := c.pool.memory.gate.used() + c.pool.memory.sources.used(); n != 0 {
		t.Errorf("%d bytes were never given back", n)
	}
}

// A slowFile does something in every call.
type slowFile struct{ call func() }

func (f slowFile) ReadAt(p []byte, off int64) (int, error) {
	f.call()
	return patternSource{}.ReadAt(p, off)
}

func (f slowFile) WriteAt(p []byte, _ int64) (int, error) {
	f.call()
	return len(p), nil
}

// TestLargeBlocksLeaveRoomForARestore: nor does a block that is all that can be read at a
// time, or one of zeros that waits for that, keep a restore from what it needs, be it the
// list of the blob's blocks.
func TestLargeBlocksLeaveRoomForARestore(t *testing.T) {
	const large = 12 * testBlock
	c := openSink(t, PoolOptions{Transfers: 4, Memory: 16 * testBlock}, ContainerOptions{BlockSize: large})
	info, err := c.Upload(t.Context(), "f", patternSource{}, large, UploadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	restored := make(chan struct{})
	var all sync.WaitGroup
	upload := func(n Name, o UploadOptions) {
		all.Go(func() {
			if _, err := c.Upload(t.Context(), n, slowFile{func() { <-restored }}, 2*large, o); err != nil {
				t.Error(err)
			}
		})
	}
	upload("g", UploadOptions{})
	for c.pool.memory.gate.used() < large {
		runtime.Gosched()
	}
	upload("h", UploadOptions{NextData: func(int64) (int64, int64) { return 2 * large, 2 * large }})
	for len(waiters(&c.pool.memory.sources))+len(waiters(&c.pool.memory.gate)) < 2 {
		runtime.Gosched()
	}
	within(t, func(ctx context.Context) {
		_, err := c.Download(ctx, "f", slowFile{func() {}}, DownloadOptions{
			ETag: info.ETag, Size: large, CRC64: info.CRC64, CheckCRC64: true, Holes: true, ZeroBlocks: 1,
		})
		if err != nil {
			t.Error(err)
		}
	})
	close(restored)
	all.Wait()
}

// waiters are those who wait at a gate, by what they want.
func waiters(g *gate) (wanted []int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.lanes {
		for e := g.lanes[i].queue.Front(); e != nil; e = e.Next() {
			wanted = append(wanted, e.Value.(*waiter).n)
		}
	}
	return wanted
}
