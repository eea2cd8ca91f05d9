package blobstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lhsm-azblob/testenv/azurite"
)

// testBlock is the block size of tests: small, so that few bytes make many
// blocks.
const testBlock = 64 << 10

// hangs is how long something may take that must come, on whatever machine. It is much
// more than the product itself gives anything in tests.
const hangs = time.Minute

// newPool makes a pool and checks at the end of the test that nothing of it is
// left: no memory on loan, no slot taken, no goroutine.
func newPool(t testing.TB, o PoolOptions) *Pool {
	t.Helper()
	p := NewPool(o)
	openPools.Lock()
	defer openPools.Unlock()
	openPools.of[t]++
	t.Cleanup(func() { wantIdle(t, p) })
	return p
}

// openPools counts the pools of each test: whose goroutines they are can only be
// told when all are closed.
var openPools = struct {
	sync.Mutex
	of map[testing.TB]int
}{of: map[testing.TB]int{}}

func wantIdle(t testing.TB, p *Pool) {
	t.Helper()
	p.Close()
	openPools.Lock()
	defer openPools.Unlock()
	openPools.of[t]--
	if n := p.MemoryInUse(); n != 0 {
		t.Errorf("%d bytes of memory were not given back", n)
	}
	// The slot of a request that was cancelled comes back by a goroutine of context's.
	for end := time.Now().Add(hangs); p.RequestsInFlight() != 0 && time.Now().Before(end); {
		<-time.After(time.Millisecond)
	}
	if n := p.RequestsInFlight(); n != 0 {
		t.Errorf("%d request slots were not given back", n)
	}
	if openPools.of[t] > 0 {
		return
	}
	if stacks := ours(); stacks != "" {
		t.Errorf("goroutines are left:\n%s", stacks)
	}
}

// ours returns the goroutines that run code of this package and not of a test's
// own, giving them some time to end.
func ours() (stacks string) {
	buf := make([]byte, 1<<20)
	for end := time.Now().Add(hangs); time.Now().Before(end); <-time.After(time.Millisecond) {
		stacks = ""
		for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if strings.Contains(g, "lhsm-azblob/blobstore.") && !strings.Contains(g, "testing.") {
				stacks += g + "\n\n"
			}
		}
		if stacks == "" {
			return ""
		}
	}
	return stacks
}

// openContainer opens an empty container of Azurite with the account's key.
func openContainer(t testing.TB, po PoolOptions, o ContainerOptions) *Container {
	t.Helper()
	s := azurite.Start(t)
	o.URL = s.NewContainer(t)
	o.Credential = Credential{Mode: ModeSharedKey, AccountKey: Secret(s.AccountKey)}
	return open(t, newPool(t, po), o)
}

func open(t testing.TB, p *Pool, o ContainerOptions) *Container {
	t.Helper()
	if o.BlockSize == 0 {
		o.BlockSize = testBlock
	}
	c, err := Open(o, p)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// randomBytes are n bytes that are the same in every run.
func randomBytes(n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(data)
	return data
}

// target is a destination in memory.
type target struct {
	mu      sync.Mutex // guards what follows
	data    []byte
	written int
}

func (d *target) WriteAt(p []byte, off int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if end := int(off) + len(p); end > len(d.data) {
		d.data = append(d.data, make([]byte, end-len(d.data))...)
	}
	d.written += len(p)
	return copy(d.data[off:], p), nil
}

func mustUpload(t testing.TB, c *Container, n Name, data []byte, o UploadOptions) Info {
	t.Helper()
	info, err := c.Upload(t.Context(), n, bytes.NewReader(data), int64(len(data)), o)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// wantContent downloads a blob and compares.
func wantContent(t testing.TB, c *Container, info Info, want []byte) {
	t.Helper()
	var dst target
	_, err := c.Download(t.Context(), info.Name, &dst, DownloadOptions{ETag: info.ETag, Size: info.Size, CRC64: info.CRC64, CheckCRC64: info.HasCRC64})
	if err != nil {
		t.Error(err)
	} else if !bytes.Equal(dst.data, want) {
		t.Errorf("blob %q has other bytes than were uploaded", info.Name)
	}
}

// wantKind checks an error's kind, and that it is one line.
func wantKind(t testing.TB, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("error is %v, want %v", err, kind)
	}
	if err != nil && strings.ContainsAny(err.Error(), "\n\r") {
		t.Errorf("error has more than a line: %q", err)
	}
}

// faults is a RoundTripper that makes mischief before or after the real one.
type faults struct {
	real http.RoundTripper
	// around handles a request; n counts those of the pool from 1.
	around func(n int, req *http.Request, real http.RoundTripper) (*http.Response, error)
	n      atomic.Int64
}

func (f *faults) RoundTrip(req *http.Request) (*http.Response, error) {
	return f.around(int(f.n.Add(1)), req, f.real)
}

// CloseIdleConnections lets Pool.Close reach the real transport.
func (f *faults) CloseIdleConnections() {
	f.real.(interface{ CloseIdleConnections() }).CloseIdleConnections()
}

// inject puts faults between a pool and the network.
func inject(p *Pool, around func(n int, req *http.Request, real http.RoundTripper) (*http.Response, error)) *faults {
	f := &faults{real: p.transport, around: around}
	p.transport = f
	return f
}

// answer makes an answer of the service.
func answer(req *http.Request, status int, code string) *http.Response {
	if req.Body != nil {
		_, _ = io.Copy(io.Discard, req.Body)
		req.Body.Close()
	}
	return &http.Response{
		StatusCode: status, Status: fmt.Sprint(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"X-Ms-Error-Code": {code}, "X-Ms-Request-Id": {"test-request"}},
		Body:   http.NoBody, Request: req,
	}
}

// opOf is the operation a request is for.
func opOf(req *http.Request) string { return callOf(req.Context()).op }

// within fails the test when f takes too long, which for these tests means that
// it hangs.
func within(t testing.TB, f func(ctx context.Context)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hangs)
	defer cancel()
	f(ctx)
	if ctx.Err() != nil {
		t.Errorf("not done after %s", hangs)
	}
}
