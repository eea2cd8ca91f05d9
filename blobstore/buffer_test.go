package blobstore

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestSizeClass(t *testing.T) {
	for n, want := range map[int64]int64{0: 4 << 10, 1: 4 << 10, 4 << 10: 4 << 10, 4<<10 + 1: 8 << 10, 8<<10 + 1: 12 << 10, 12<<10 + 1: 16 << 10, 64 << 10: 64 << 10, 8 << 20: 8 << 20, 8<<20 + 1: 12 << 20} {
		if got := sizeClass(n); got != want {
			t.Errorf("sizeClass(%d) = %d, want %d", n, got, want)
		}
	}
	for range 1000 {
		n := rand.Int64N(4 << 30)
		if got := sizeClass(n); got < n || got%pageSize != 0 || n > pageSize && got > 2*n || n > 4*pageSize && got > n*3/2+pageSize {
			t.Errorf("sizeClass(%d) = %d", n, got)
		}
	}
}

// countPages replaces the allocator by one that counts what it has handed out.
func countPages(t *testing.T) func() int64 {
	var mu sync.Mutex
	var pages int64
	allocate, free := allocatePages, freePages
	t.Cleanup(func() { allocatePages, freePages = allocate, free })
	allocatePages = func(size int) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		pages += int64(size)
		return make([]byte, size), nil
	}
	freePages = func(b []byte) {
		mu.Lock()
		defer mu.Unlock()
		pages -= int64(len(b))
	}
	return func() int64 {
		mu.Lock()
		defer mu.Unlock()
		return pages
	}
}

// What is lent and what is kept for later must together stay within the limit,
// whatever the mix of sizes.
func TestMemoryStaysWithinItsLimit(t *testing.T) {
	const limit = 1 << 20
	allocated := countPages(t)
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(limit)
		for range 500 {
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(3000))*time.Millisecond)
				defer cancel()
				n := rand.Int64N(limit) + 1
				b, err := m.acquire(ctx, n)
				if err != nil {
					return
				}
				if n := allocated(); n > limit {
					t.Errorf("%d bytes allocated", n)
				}
				if int64(len(b.bytes)) != n || cap(b.bytes) != len(b.bytes) {
					t.Errorf("asked for %d bytes, got %d of %d", n, len(b.bytes), cap(b.bytes))
				}
				time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond) // in fake time
				b.release()
			}()
		}
		time.Sleep(5 * time.Second)
		if n := m.gate.used(); n != 0 {
			t.Errorf("%d bytes still lent", n)
		}
		if allocated() == 0 {
			t.Error("no buffer is kept for the next transfer")
		}
		time.Sleep(keepIdle)
		synctest.Wait()
		if n := allocated(); n != 0 {
			t.Errorf("%d bytes are kept though nothing moves", n)
		}
	})
}

func TestBuffersAreUsedAgain(t *testing.T) {
	allocated := countPages(t)
	m := newMemory(1 << 20)
	for range 100 {
		b, err := m.acquire(t.Context(), 50_000)
		if err != nil {
			t.Fatal(err)
		}
		b.release()
	}
	if got, want := allocated(), sizeClass(50_000); got != want {
		t.Errorf("%d bytes allocated for one buffer at a time of %d", got, want)
	}
	m.free()
}

// TestOccupiedMemory: what something else takes is not lent, nor kept; but half of the
// memory is, and one buffer however large.
func TestOccupiedMemory(t *testing.T) {
	allocated := countPages(t)
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(1 << 20)
		b, err := m.acquire(t.Context(), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		b.release()
		m.occupy(256 << 10)
		if n := allocated(); n > 768<<10 {
			t.Errorf("%d bytes are kept beside what is occupied", n)
		}
		if n := m.lendable(t); n != 768<<10 {
			t.Errorf("%d bytes can be had beside 256 KiB, want 768 KiB", n)
		}
		m.occupy(5 << 20)
		if n := m.lendable(t); n != 512<<10 {
			t.Errorf("%d bytes can be had beside 5 MiB, want half", n)
		}
		if b, err = m.acquire(t.Context(), 1<<20); err != nil {
			t.Fatal(err)
		}
		b.release()
		m.occupy(0)
		if n := m.lendable(t); n != 1<<20 {
			t.Errorf("%d bytes can be had in the end, want all", n)
		}
		m.free()
	})
}

// lendable is how much can be had in small buffers.
func (m *memory) lendable(t *testing.T) (n int64) {
	const size = 64 << 10
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for {
		b, err := m.acquire(ctx, size)
		if err != nil {
			return n
		}
		defer b.release()
		n += size
	}
}

// TestReservedMemoryIsNotAlsoKept: what somebody else allocates counts as lent.
func TestReservedMemoryIsNotAlsoKept(t *testing.T) {
	allocated := countPages(t)
	m := newMemory(1 << 20)
	b, err := m.acquire(t.Context(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	b.release()
	release, err := m.reserve(t.Context(), 64<<10)
	if err != nil {
		t.Fatal(err)
	}
	if n := allocated(); n > 1<<20-64<<10 {
		t.Errorf("%d bytes are kept beside what is reserved", n)
	}
	release()
	more, err := m.reserve(t.Context(), 5<<20) // as much as there can be
	if err != nil {
		t.Fatal(err)
	}
	more()
	if n := m.gate.used(); n != 0 {
		t.Errorf("%d bytes still lent", n)
	}
}

func TestPagesAreAligned(t *testing.T) {
	m := newMemory(1 << 20)
	defer m.free()
	b, err := m.acquire(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	defer b.release()
	for i := range b.bytes {
		b.bytes[i] = byte(i) // must be writable to the end
	}
	if len(b.pages)%pageSize != 0 {
		t.Errorf("%d bytes of pages", len(b.pages))
	}
}
