package blobstore

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

const large = smallTransfer + 1

func TestGateNeverExceedsItsCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{capacity: 100}
		for range 200 {
			go func() {
				n := rand.Int64N(100) + 1
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(1000))*time.Millisecond)
				defer cancel()
				if g.acquire(ctx, n, rand.Int64N(2*smallTransfer)) != nil {
					return
				}
				if used := g.used(); used > g.capacity {
					t.Errorf("%d in use", used)
				}
				time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond) // in fake time
				g.release(n)
			}()
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if used := g.used(); used != 0 {
			t.Errorf("%d in use at the end", used)
		}
	})
}

// order lets waiters of the given sizes queue up at a full gate, then frees it
// bit by bit, and returns in which order they came in.
func order(t *testing.T, sizes ...int64) (got []int64) {
	g := &gate{capacity: 1}
	if err := g.acquire(t.Context(), 1, 0); err != nil {
		t.Fatal(err)
	}
	in := make(chan int64)
	for _, bytes := range sizes {
		go func() {
			if g.acquire(t.Context(), 1, bytes) == nil {
				in <- bytes
			}
		}()
		synctest.Wait()
	}
	for range sizes {
		g.release(1)
		got = append(got, <-in)
	}
	return got
}

func TestGateServesSmallOnesBeforeTheQueueOfLargeOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sizes := []int64{}
		for range 20 {
			sizes = append(sizes, 8<<20)
		}
		sizes = append(sizes, 4<<10, 4<<10)
		got := order(t, sizes...)
		for i, bytes := range got {
			if bytes == 4<<10 && i > 3 {
				t.Errorf("a small one was number %d", i+1)
			}
		}
	})
}

func TestGateDoesNotStarveLargeOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sizes := []int64{8 << 20, 8 << 20}
		for range 1000 {
			sizes = append(sizes, 64<<10)
		}
		for i, bytes := range order(t, sizes...) {
			if bytes == 8<<20 && i > 2*(8<<20)/requestCost {
				t.Errorf("a large one was number %d", i+1)
			}
		}
	})
}

// A large request waits for room; what is small and came later must not take
// the room away from it for ever.
func TestGateKeepsRoomForWhoIsNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{capacity: 10}
		_ = g.acquire(t.Context(), 4, large)
		_ = g.acquire(t.Context(), 4, large)
		whole := make(chan struct{})
		go func() {
			_ = g.acquire(t.Context(), 10, large)
			close(whole)
		}()
		synctest.Wait()
		late := make(chan struct{})
		go func() {
			_ = g.acquire(t.Context(), 1, large)
			close(late)
		}()
		synctest.Wait()
		g.release(4)
		g.release(4)
		<-whole
		select {
		case <-late:
			t.Error("the later one came in first")
		default:
		}
		g.release(10)
		<-late
	})
}

func TestGateForgetsWhoGaveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{capacity: 10}
		_ = g.acquire(t.Context(), 8, large)
		ctx, cancel := context.WithCancel(t.Context())
		gaveUp, next := make(chan error), make(chan error)
		go func() { gaveUp <- g.acquire(ctx, 10, large) }()
		synctest.Wait()
		go func() { next <- g.acquire(t.Context(), 2, large) }()
		synctest.Wait()
		cancel()
		if err := <-gaveUp; err == nil {
			t.Error("came in after its context had ended")
		}
		if err := <-next; err != nil {
			t.Error(err)
		}
		if used := g.used(); used != 10 {
			t.Errorf("%d in use, want 10", used)
		}
		if err := g.acquire(ctx, 0, 0); err == nil {
			t.Error("came in with a context that had ended before")
		}
	})
}
