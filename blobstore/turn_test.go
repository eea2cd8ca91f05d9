package blobstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// queueContainer is a container whose requests take 32 seconds each, and are refused, as
// Azure does, when they come with a signature of more than 15 minutes.
func queueContainer(t *testing.T, slots int) (c *Container, oldest func() time.Duration) {
	p := NewPool(PoolOptions{Transfers: slots})
	var mu sync.Mutex
	var longest time.Duration
	inject(p, func(_ int, req *http.Request, _ http.RoundTripper) (*http.Response, error) {
		signed, err := http.ParseTime(req.Header.Get("x-ms-date"))
		if err != nil {
			return nil, err
		}
		age := time.Since(signed)
		mu.Lock()
		longest = max(longest, age)
		mu.Unlock()
		select {
		case <-time.After(32 * time.Second): // in fake time
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
		if age > 15*time.Minute {
			return answer(req, http.StatusForbidden, "AuthenticationFailed"), nil
		}
		resp := answer(req, http.StatusOK, "")
		if req.Method == http.MethodPut {
			resp.StatusCode = http.StatusCreated
		}
		resp.Header.Set("ETag", `"e"`)
		return resp, nil
	})
	c = open(t, p, ContainerOptions{
		URL: "https://account.blob.core.windows.net/container", Credential: Credential{Mode: ModeSharedKey, AccountKey: "a2V5"},
	})
	return c, func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return longest
	}
}

// Behind a queue of thirteen minutes each request is too late once. It is signed anew
// and sent at once, and not behind all that came meanwhile.
func TestLongQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, oldest := queueContainer(t, 4)
		var g sync.WaitGroup
		for i := range 100 {
			g.Go(func() {
				for k := range 10 {
					name := Name(fmt.Sprintf("%d/%d", i, k))
					if _, err := c.Upload(t.Context(), name, bytes.NewReader([]byte("content")), 7, UploadOptions{}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		start := time.Now()
		g.Wait()
		if d := time.Since(start); d > 1000/4*32*time.Second+time.Minute {
			t.Errorf("1000 requests took %v, so slots were idle", d)
		}
		if d := oldest(); d > signedFor+time.Second {
			t.Errorf("a request was sent %v after it was signed", d)
		}
		wantNoSlot(t, c.pool)
		c.pool.Close()
	})
}

// Who gives up while it waits, at whatever moment, leaves no slot behind.
func TestLongQueueGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := queueContainer(t, 1)
		for _, after := range []time.Duration{0, signedFor - 1, signedFor, signedFor + 1, signedFor + 31*time.Second, signedFor + 33*time.Second} {
			ctx, cancel := context.WithTimeout(t.Context(), after)
			if err := c.pool.slots.acquire(t.Context(), 1, 0); err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(signedFor+1, func() { c.pool.slots.release(1) })
			_, err := c.Stat(ctx, "b")
			if done := after > signedFor+32*time.Second; done != (err == nil) || !done && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("given up after %v: %v", after, err)
			}
			cancel()
			time.Sleep(2 * signedFor) // in fake time
			wantNoSlot(t, c.pool)
		}
		c.pool.Close()
	})
}

// A pause of minutes makes requests late as well.
func TestLongPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, oldest := queueContainer(t, 1)
		for i := range 20 {
			time.AfterFunc(time.Duration(i)*time.Minute, func() { c.pool.pause.busy(time.Now(), 2*time.Minute) })
		}
		time.Sleep(time.Second) // in fake time
		if _, err := c.Stat(t.Context(), "b"); err != nil {
			t.Error(err)
		}
		if d := oldest(); d > time.Second {
			t.Errorf("it was sent %v after it was signed", d)
		}
		wantNoSlot(t, c.pool)
	})
}

// A request that nothing is signed of is never too late.
func TestLongQueueUnsigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(PoolOptions{Transfers: 1})
		inject(p, func(_ int, req *http.Request, _ http.RoundTripper) (*http.Response, error) {
			return answer(req, http.StatusOK, ""), nil
		})
		if err := p.slots.acquire(t.Context(), 1, 0); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Hour, func() { p.slots.release(1) })
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://identity.test/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := sender{p}.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		wantNoSlot(t, p)
	})
}

func wantNoSlot(t *testing.T, p *Pool) {
	t.Helper()
	if n := p.slots.used(); n != 0 {
		t.Errorf("%d slots are taken", n)
	}
}
