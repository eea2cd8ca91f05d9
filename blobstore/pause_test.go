package blobstore

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestPauseHoldsEverybodyBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pause
		start := time.Now()
		if err := p.wait(t.Context()); err != nil || time.Since(start) != 0 {
			t.Errorf("waited %s for nothing, %v", time.Since(start), err)
		}
		p.busy(time.Now(), 0)
		const waiters = 20
		waited := make(chan time.Duration, waiters)
		for range waiters {
			go func() {
				if p.wait(t.Context()) == nil {
					waited <- time.Since(start)
				}
			}()
		}
		distinct := map[time.Duration]bool{}
		for range waiters {
			d := <-waited
			distinct[d] = true
			if d < firstPause*8/10 || d > 2*firstPause {
				t.Errorf("waited %s", d)
			}
		}
		if len(distinct) < waiters/2 {
			t.Errorf("%d requests left the pause at %d times", waiters, len(distinct))
		}
	})
}

func TestPauseGrowsAndForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pause
		var before time.Duration
		for i := range 12 {
			sent := time.Now()
			time.Sleep(time.Millisecond) // in fake time
			p.busy(sent, 0)
			p.busy(sent, 0) // another of the same jam changes nothing
			left := p.left(time.Now())
			if left > longestPause || i > 0 && i < 6 && left < before*3/2 {
				t.Errorf("pause %d lasts %s after %s", i, left, before)
			}
			before = left
			_ = p.wait(t.Context())
		}
		for range 12 {
			sent := time.Now()
			time.Sleep(time.Millisecond)
			p.succeeded(sent)
		}
		p.busy(time.Now(), 0)
		if left := p.left(time.Now()); left > firstPause {
			t.Errorf("pause after recovery lasts %s", left)
		}
	})
}

func TestPauseHonoursRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pause
		p.busy(time.Now(), retryAfter(http.Header{"Retry-After": {"17"}}))
		if left := p.left(time.Now()); left != 17*time.Second {
			t.Errorf("pause lasts %s", left)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.wait(ctx); err == nil {
			t.Error("a pause outlasts its request")
		}
	})
}

func TestRetryAfter(t *testing.T) {
	for _, tt := range []struct {
		header http.Header
		want   time.Duration
	}{
		{http.Header{}, 0},
		{http.Header{"Retry-After": {"2"}}, 2 * time.Second},
		{http.Header{"Retry-After": {"2"}, "X-Ms-Retry-After-Ms": {"300"}}, 300 * time.Millisecond},
		{http.Header{"Retry-After": {"Wed, 21 Oct 2015 07:28:00 GMT"}}, 0},
	} {
		if got := retryAfter(tt.header); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.header, got, tt.want)
		}
	}
}

// With a low bandwidth there are no more bytes in memory than pass while a request may wait.
func TestLowBandwidthTakesLittleMemory(t *testing.T) {
	p := NewPool(PoolOptions{Memory: 1 << 30, Bandwidth: 1 << 20})
	if n := p.memory.gate.limit(); n != 150<<20 {
		t.Errorf("%d MiB at 1 MiB/s, want 150", n>>20)
	}
	p.Occupy(1 << 30)
	p.SetLimits(0, 0)
	if n := p.memory.gate.limit(); n != 512<<20 {
		t.Errorf("%d MiB without a limit and half of it occupied, want 512", n>>20)
	}
}
