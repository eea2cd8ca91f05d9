package blobstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// sizes of a file that goes in one request, and of one that goes in blocks.
var bothWays = map[Name]int{"put": 1000, "blocks": 5*testBlock + 1}

func eachWay(t *testing.T, f func(t *testing.T, n Name, size int)) {
	for n, size := range bothWays {
		t.Run(string(n), func(t *testing.T) { f(t, n, size) })
	}
}

func TestBusyServiceIsAskedAgain(t *testing.T) {
	var mu sync.Mutex
	var busy, served int
	c := openContainer(t, PoolOptions{Observe: func(e RequestEvent) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case e.Status == http.StatusServiceUnavailable && e.Code == "ServerBusy" && e.Throttled() && e.Try == 1:
			busy++
		case e.Status < 300 && e.Op == "put-blob" && e.Sent == 1000 && e.Duration > 0 && !e.Throttled() && e.Try == 2:
			served++
		}
	}}, ContainerOptions{})
	inject(c.pool, func(n int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
		if n == 1 {
			return answer(req, http.StatusServiceUnavailable, "ServerBusy"), nil
		}
		return real.RoundTrip(req)
	})
	data := randomBytes(1000)
	wantContent(t, c, mustUpload(t, c, "a", data, UploadOptions{}), data)
	if busy != 1 || served != 1 {
		t.Errorf("%d busy answers and %d uploads were observed", busy, served)
	}
}

func TestServiceThatStaysBusy(t *testing.T) {
	eachWay(t, func(t *testing.T, n Name, size int) {
		c := openContainer(t, PoolOptions{Retries: -1, Transfers: 2}, ContainerOptions{})
		inject(c.pool, func(_ int, req *http.Request, _ http.RoundTripper) (*http.Response, error) {
			return answer(req, http.StatusServiceUnavailable, "ServerBusy"), nil
		})
		_, err := c.Upload(t.Context(), n, bytes.NewReader(randomBytes(size)), int64(size), UploadOptions{})
		wantKind(t, err, ErrBusy)
		if err != nil && !strings.Contains(err.Error(), "request test-request") {
			t.Errorf("error does not tell the request's ID: %v", err)
		}
	})
}

// loseAnswer lets the first request of an operation through and loses its answer.
func loseAnswer(c *Container, op string) *atomic.Bool {
	var lost atomic.Bool
	inject(c.pool, func(_ int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
		resp, err := real.RoundTrip(req)
		if err == nil && opOf(req) == op && lost.CompareAndSwap(false, true) {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			return nil, io.ErrUnexpectedEOF
		}
		return resp, err
	})
	return &lost
}

// A write whose answer is lost is sent again, and then meets its own result.
func TestLostAnswers(t *testing.T) {
	for n, op := range map[Name]string{"put": "put-blob", "blocks": "put-block-list"} {
		for name, cond := range map[string]func(Info) Condition{
			"create":    func(Info) Condition { return CreateOnly() },
			"replace":   func(i Info) Condition { return IfMatch(i.ETag) },
			"overwrite": func(Info) Condition { return Overwrite() },
		} {
			t.Run(op+" "+name, func(t *testing.T) {
				c := openContainer(t, PoolOptions{}, ContainerOptions{})
				var before Info
				if name != "create" {
					before = mustUpload(t, c, n, randomBytes(10), UploadOptions{})
				}
				lost := loseAnswer(c, op)
				data := randomBytes(bothWays[n])
				info := mustUpload(t, c, n, data, UploadOptions{Condition: cond(before)})
				if !lost.Load() {
					t.Fatal("no answer was lost")
				}
				now, err := c.Stat(t.Context(), n)
				if err != nil || now.ETag != info.ETag || now.CRC64 != info.CRC64 {
					t.Errorf("uploaded as %+v, is %+v, %v", info, now, err)
				}
				wantContent(t, c, info, data)
			})
		}
	}
}

func TestLostAnswersOfMetadataAndCopy(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	info := mustUpload(t, c, "a", randomBytes(10), UploadOptions{})
	lost := loseAnswer(c, "set-metadata")
	changed, err := c.SetMetadata(t.Context(), "a", map[string]string{"owner": "1"}, info.ETag)
	if err != nil || !lost.Load() || changed.ETag == info.ETag || changed.Metadata["owner"] != "1" {
		t.Errorf("set metadata, answer lost %t: %+v, %v", lost.Load(), changed, err)
	}
	lost = loseAnswer(c, "copy-blob")
	dst, err := c.Copy(t.Context(), "a", "b", CopyOptions{})
	if err != nil || !lost.Load() {
		t.Errorf("copy, answer lost %t: %v", lost.Load(), err)
	}
	wantContent(t, c, dst, randomBytes(10))
}

// brokenAnswer is the body of an answer that ends too early, or has bytes that
// were not sent.
type brokenAnswer struct {
	io.ReadCloser
	left    int // bytes until it breaks; negative: it does not
	corrupt bool
}

func (b *brokenAnswer) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	if b.left > 0 {
		p = p[:min(len(p), b.left)]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left > 0 {
		b.left -= n
	}
	if b.corrupt && n > 0 {
		p[0] ^= 1
		b.corrupt = false
	}
	return n, err
}

func TestBrokenAnswersAreResumed(t *testing.T) {
	eachWay(t, func(t *testing.T, n Name, size int) {
		var received, retries atomic.Int64
		c := openContainer(t, PoolOptions{Observe: func(e RequestEvent) {
			if e.Op == "get-blob" {
				received.Add(e.Received)
			}
			if e.Try > 1 {
				retries.Add(1)
			}
		}}, ContainerOptions{})
		data := randomBytes(size)
		info := mustUpload(t, c, n, data, UploadOptions{})
		var broken atomic.Int32
		inject(c.pool, func(_ int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
			resp, err := real.RoundTrip(req)
			if err == nil && opOf(req) == "get-blob" && resp.ContentLength > 30 && broken.Add(1) <= 3 { // the last block is one byte
				resp.Body = &brokenAnswer{ReadCloser: resp.Body, left: 30}
			}
			return resp, err
		})
		wantContent(t, c, info, data)
		if broken.Load() <= 3 {
			t.Errorf("%s: only %d requests", n, broken.Load())
		}
		if got := received.Load(); got != int64(size) {
			t.Errorf("%s: %d bytes received for %d: what had arrived was asked for again", n, got, size)
		}
		if got := retries.Load(); got != 3 {
			t.Errorf("%s: %d retries were observed, want 3", n, got)
		}
	})
}

func TestAnswersThatBreakForEver(t *testing.T) {
	const retries = 3
	eachWay(t, func(t *testing.T, n Name, size int) {
		c := openContainer(t, PoolOptions{Retries: retries}, ContainerOptions{})
		info := mustUpload(t, c, n, randomBytes(size), UploadOptions{})
		f := inject(c.pool, func(_ int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
			resp, err := real.RoundTrip(req)
			if err == nil {
				resp.Body = &brokenAnswer{ReadCloser: resp.Body, left: 1}
			}
			return resp, err
		})
		_, err := c.Download(t.Context(), n, &target{}, DownloadOptions{ETag: info.ETag, Size: info.Size})
		wantKind(t, err, ErrUnreachable)
		if most := int64((size/testBlock + 1) * (retries + 1)); f.n.Load() > most {
			t.Errorf("%s: %d requests before giving up", n, f.n.Load())
		}
	})
}

// An answer whose head cannot be the service's is no reason to doubt the blob:
// the next one may be better. One about another blob is.
func TestAnswersWithSpoiledHeads(t *testing.T) {
	for name, spoil := range map[string]func(*http.Response){
		"no ETag":   func(r *http.Response) { r.Header.Del("ETag") },
		"length":    func(r *http.Response) { r.Header.Set("Content-Length", "7") },
		"no range":  func(r *http.Response) { r.Header.Del("Content-Range") },
		"no length": func(r *http.Response) { r.Header.Del("Content-Length") },
		"new ETag":  func(r *http.Response) { r.Header.Set("ETag", `"0x8D000000000001"`) },
	} {
		t.Run(name, func(t *testing.T) {
			c := openContainer(t, PoolOptions{}, ContainerOptions{})
			data := randomBytes(2*testBlock + 1)
			info := mustUpload(t, c, "a", data, UploadOptions{})
			var spoiled atomic.Int32
			inject(c.pool, func(_ int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
				resp, err := real.RoundTrip(req)
				if err == nil && spoiled.Add(1) <= 2 {
					spoil(resp)
				}
				return resp, err
			})
			if name != "new ETag" {
				wantContent(t, c, info, data)
				return
			}
			_, err := c.Download(t.Context(), "a", &target{}, DownloadOptions{ETag: info.ETag, Size: info.Size})
			wantKind(t, err, ErrChanged)
		})
	}
}

// What a proxy or a login page answers is true of nothing, least of all a success.
func TestForeignAnswers(t *testing.T) {
	foreign := func(req *http.Request, status int) *http.Response {
		resp := answer(req, status, "")
		resp.Header = http.Header{"Content-Type": {"text/html"}, "Etag": {`"0x1"`}}
		return resp
	}
	for _, status := range []int{201, 206, 302, 403, 404, 502} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			c := openContainer(t, PoolOptions{}, ContainerOptions{})
			once := func(n int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
				if n == 1 {
					return foreign(req, status), nil
				}
				return real.RoundTrip(req)
			}
			f := inject(c.pool, once)
			data := randomBytes(1000)
			info := mustUpload(t, c, "a", data, UploadOptions{})
			c.pool.transport = f.real
			f = inject(c.pool, once)
			wantContent(t, c, info, data)
			c.pool.transport = f.real

			c = open(t, newPool(t, PoolOptions{Retries: -1}), ContainerOptions{URL: c.url, Credential: testKey(t)})
			inject(c.pool, func(_ int, req *http.Request, _ http.RoundTripper) (*http.Response, error) {
				return foreign(req, status), nil
			})
			_, err := c.Upload(t.Context(), "b", bytes.NewReader(data), 1000, UploadOptions{})
			wantKind(t, err, ErrUnreachable)
			if err != nil && !strings.Contains(err.Error(), fmt.Sprintf("(HTTP %d); look for a proxy", status)) {
				t.Errorf("error does not say what is wrong: %v", err)
			}
			_, err = c.Download(t.Context(), "a", &target{}, DownloadOptions{ETag: info.ETag, Size: info.Size})
			wantKind(t, err, ErrUnreachable)
			wantKind(t, c.Delete(t.Context(), "a", ""), ErrUnreachable)
		})
	}
}

// Bytes that change on the way are noticed: by the service when they go up, by
// us when they come down.
func TestCorruptBytesAreNoticed(t *testing.T) {
	eachWay(t, func(t *testing.T, n Name, size int) {
		c := openContainer(t, PoolOptions{}, ContainerOptions{})
		data := randomBytes(size)
		f := inject(c.pool, func(_ int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
			if req.Body != nil && callOf(req.Context()).data != nil {
				req.Body = &brokenAnswer{ReadCloser: req.Body, left: -1, corrupt: true}
			}
			return real.RoundTrip(req)
		})
		_, err := c.Upload(t.Context(), n, bytes.NewReader(data), int64(size), UploadOptions{})
		wantKind(t, err, ErrChecksum)

		c.pool.transport = f.real
		info := mustUpload(t, c, n, data, UploadOptions{})
		inject(c.pool, func(_ int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
			resp, err := real.RoundTrip(req)
			if err == nil {
				resp.Body = &brokenAnswer{ReadCloser: resp.Body, left: -1, corrupt: true}
			}
			return resp, err
		})
		_, err = c.Download(t.Context(), n, &target{}, DownloadOptions{ETag: info.ETag, Size: info.Size, CRC64: info.CRC64, CheckCRC64: true})
		wantKind(t, err, ErrChecksum)
	})
}

func TestCancel(t *testing.T) {
	eachWay(t, func(t *testing.T, n Name, size int) {
		c := openContainer(t, PoolOptions{Transfers: 2, Memory: 4 * testBlock}, ContainerOptions{})
		info := mustUpload(t, c, n, randomBytes(size), UploadOptions{})
		ctx, cancel := context.WithCancel(t.Context())
		inject(c.pool, func(_ int, req *http.Request, _ http.RoundTripper) (*http.Response, error) {
			cancel()
			<-req.Context().Done()
			return nil, req.Context().Err()
		})
		within(t, func(context.Context) {
			_, err := c.Upload(ctx, n, bytes.NewReader(randomBytes(size)), int64(size), UploadOptions{Condition: Overwrite()})
			wantKind(t, err, context.Canceled)
			_, err = c.Download(ctx, n, &target{}, DownloadOptions{ETag: info.ETag, Size: info.Size})
			wantKind(t, err, context.Canceled)
		})
		var e *Error
		if _, err := c.Stat(ctx, n); !errors.As(err, &e) || e.Kind != nil {
			t.Errorf("a cancelled request has the kind of %v", err)
		}
	})
}

// The error that is returned is the one that happened, not the cancellation of
// the other blocks that it brought about; and nothing stays on loan.
func TestFailedBlockIsTheError(t *testing.T) {
	c := openContainer(t, PoolOptions{Transfers: 4, Memory: 6 * testBlock}, ContainerOptions{})
	real := c.pool.transport
	for range 50 {
		inject(c.pool, func(n int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
			if n == 3 {
				return answer(req, http.StatusBadRequest, "InvalidHeaderValue"), nil
			}
			return real.RoundTrip(req)
		})
		_, err := c.Upload(t.Context(), "a", bytes.NewReader(randomBytes(20*testBlock)), 20*testBlock, UploadOptions{})
		var s *ServiceError
		if !errors.As(err, &s) || s.Code != "InvalidHeaderValue" || errors.Is(err, context.Canceled) {
			t.Errorf("upload ends with %v", err)
		}
		if n := c.pool.MemoryInUse(); n != 0 {
			t.Fatalf("%d bytes of memory in use after a failure", n)
		}
		c.pool.transport = real
	}
	within(t, func(ctx context.Context) {
		if _, err := c.Upload(ctx, "a", bytes.NewReader(randomBytes(20*testBlock)), 20*testBlock, UploadOptions{}); err != nil {
			t.Error(err)
		}
	})
}

// Two uploads of one name at a time must not mix their blocks: one wins, whole.
func TestUploadsOfOneNameDoNotMix(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	for range 5 {
		size := 4*testBlock + 1
		contents := [][]byte{randomBytes(size), bytes.Repeat([]byte("b"), size)}
		infos, errs := make([]Info, 2), make([]error, 2)
		var both sync.WaitGroup
		for i, data := range contents {
			both.Go(func() {
				infos[i], errs[i] = c.Upload(t.Context(), "a", bytes.NewReader(data), int64(size), UploadOptions{})
			})
		}
		both.Wait()
		won := 0
		if errs[0] != nil {
			won = 1
		}
		if errs[won] != nil {
			t.Fatalf("both failed: %v and %v", errs[0], errs[1])
		}
		if lost := errs[1-won]; !errors.Is(lost, ErrExists) && !errors.Is(lost, ErrChanged) {
			t.Errorf("the other ends with %v", lost)
		}
		wantContent(t, c, infos[won], contents[won])
		if err := c.Delete(t.Context(), "a", ""); err != nil {
			t.Fatal(err)
		}
	}
}

// A server that answers before it has read the body makes net/http go on sending
// for a while. The buffer must not be lent again before that has ended, which
// the race detector would notice.
func TestEarlyAnswers(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("x-ms-error-code", "AuthorizationFailure")
		w.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	const block = 1 << 20
	c := open(t, newPool(t, PoolOptions{Transfers: 4, Memory: 4 * block}), ContainerOptions{
		URL:        server.URL + "/account/container",
		Credential: Credential{Mode: ModeSharedKey, AccountKey: "a2V5"},
		BlockSize:  block,
	})
	data := randomBytes(16 * block)
	for range 20 {
		_, err := c.Upload(t.Context(), "a", bytes.NewReader(data), int64(len(data)), UploadOptions{})
		if !errors.Is(err, ErrPermission) && !errors.Is(err, ErrUnreachable) {
			t.Errorf("upload ends with %v", err)
		}
	}
}

func TestMissingContainerIsNotAMissingBlob(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	other := open(t, c.pool, ContainerOptions{URL: c.url + "-missing", Credential: testKey(t)})
	var errs []error
	add := func(_ Info, err error) { errs = append(errs, err) }
	add(other.Stat(t.Context(), "a"))
	add(other.Upload(t.Context(), "a", bytes.NewReader(nil), 0, UploadOptions{}))
	add(other.Upload(t.Context(), "a", bytes.NewReader(randomBytes(5*testBlock)), 5*testBlock, UploadOptions{}))
	add(other.Download(t.Context(), "a", &target{}, DownloadOptions{ETag: `"0x1"`}))
	add(other.SetMetadata(t.Context(), "a", nil, ""))
	add(other.Copy(t.Context(), "a", "b", CopyOptions{}))
	add(Info{}, other.Delete(t.Context(), "a", ""))
	for _, err := range other.List(t.Context(), "") {
		add(Info{}, err)
	}
	if len(errs) != 8 {
		t.Errorf("%d errors of 8 operations", len(errs))
	}
	for _, err := range errs {
		wantKind(t, err, ErrNoContainer)
		if errors.Is(err, ErrNotFound) {
			t.Errorf("%v counts as a missing blob", err)
		}
	}
}
