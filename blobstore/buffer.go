package blobstore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// memory lends buffers, within one number of bytes for the whole process.
//
// Buffers are pages of their own, outside the Go heap: they are aligned, the
// garbage collector neither scans them nor lets the heap grow to twice their
// size, and what is given back is gone. Those not lent are kept for the next, by
// size, but never so many that lent and kept exceed the limit, and none for long
// when nothing is being moved.
//
// Reading a file can take as long as the restore of that very file, and the restore
// needs a buffer. So what files are read into is never all there is, and no restore asks
// for more at a time than the rest.
type memory struct {
	capacity int64 // bytes; the gates' can be less
	gate     gate
	sources  gate // the part of it that files are read into

	mu        sync.Mutex // guards what follows
	occupied  int64      // see occupy
	bound     int64      // see limit; 0: none
	idle      map[int][][]byte
	idleBytes int64
	trim      *time.Timer // frees idle buffers; armed when the last one comes back
}

// keepIdle is how long buffers are kept while none is lent.
const keepIdle = 10 * time.Second

const pageSize = 4 << 10

// buffer is borrowed memory. Whoever borrowed it releases it, once.
type buffer struct {
	bytes  []byte // as many as were asked for
	pages  []byte
	owner  *memory
	source bool // counts as what a file is read into
}

func newMemory(capacity int64) *memory {
	m := &memory{capacity: capacity, idle: map[int][][]byte{}}
	m.resize()
	return m
}

// occupy leaves so many bytes of the memory to others, but not more than half of it.
// What is lent beyond that stays so until it comes back.
func (m *memory) occupy(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.occupied = bytes
	m.resize()
}

// limit bounds what is lent, 0 being no bound but the capacity. A buffer larger than that
// is lent when no other is.
func (m *memory) limit(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bound = bytes
	m.resize()
}

// resize is called with mu held.
func (m *memory) resize() {
	left := m.capacity - min(m.occupied, m.capacity/2)
	if m.bound > 0 {
		left = min(left, m.bound)
	}
	m.gate.resize(left)
	m.sources.resize(forSources(left))
	m.makeRoom()
}

// forSources is how much of n bytes files are read into.
func forSources(n int64) int64 { return n * 3 / 4 }

// largestSource is the largest buffer for what is read of files.
func (m *memory) largestSource() int64 { return classWithin(forSources(m.capacity)) }

// largestOther is the largest buffer that fits beside all those.
func (m *memory) largestOther() int64 { return classWithin(m.rest()) }

// rest is what files are not read into.
func (m *memory) rest() int64 {
	left := m.gate.limit()
	return left - forSources(left)
}

// acquire borrows a buffer of n bytes; its content is arbitrary. It waits for
// memory until ctx ends. n must not exceed the capacity.
func (m *memory) acquire(ctx context.Context, n int64) (*buffer, error) {
	size := m.paidFor(n)
	if err := m.gate.acquire(ctx, size, n); err != nil {
		return nil, err
	}
	pages, err := m.take(int(size))
	if err != nil {
		m.gate.release(size)
		return nil, err
	}
	return &buffer{bytes: pages[:n:n], pages: pages, owner: m}, nil
}

// acquireSource is acquire of a buffer that a file will be read into.
func (m *memory) acquireSource(ctx context.Context, n int64) (*buffer, error) {
	size := m.paidFor(n)
	if err := m.sources.acquire(ctx, size, n); err != nil {
		return nil, err
	}
	b, err := m.acquire(ctx, n)
	if err != nil {
		m.sources.release(size)
		return nil, err
	}
	b.source = true
	return b, nil
}

// paidFor is what a buffer of n bytes counts as.
func (m *memory) paidFor(n int64) int64 { return min(sizeClass(n), m.capacity) }

// release gives the buffer back. Nobody may still be reading or writing it.
func (b *buffer) release() {
	b.owner.put(b.pages)
	b.owner.gate.release(int64(len(b.pages)))
	if b.source {
		b.owner.sources.release(int64(len(b.pages)))
	}
	b.bytes, b.pages = nil, nil
}

// take gives pages that were already paid for at the gate.
func (m *memory) take(size int) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if kept := m.idle[size]; len(kept) > 0 {
		m.idle[size] = kept[:len(kept)-1]
		m.idleBytes -= int64(size)
		return kept[len(kept)-1], nil
	}
	m.makeRoom()
	return allocatePages(size)
}

// makeRoom frees idle buffers until there are no more than what is lent leaves room
// for. Called with mu held.
func (m *memory) makeRoom() {
	for m.idleBytes > 0 && m.idleBytes+m.gate.used() > m.gate.limit() {
		m.dropLargest()
	}
}

// reserve counts n bytes as lent, or all that files are not read into, that somebody
// else allocates. release ends that.
func (m *memory) reserve(ctx context.Context, n int64) (release func(), err error) {
	n = min(n, m.rest())
	if err := m.gate.acquire(ctx, n, n); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.makeRoom()
	return func() { m.gate.release(n) }, nil
}

// put keeps pages for the next one who asks for so many.
func (m *memory) put(pages []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.idle[len(pages)] = append(m.idle[len(pages)], pages)
	m.idleBytes += int64(len(pages))
	if m.trim == nil {
		m.trim = time.AfterFunc(keepIdle, m.freeIfUnused)
	} else {
		m.trim.Reset(keepIdle)
	}
}

func (m *memory) freeIfUnused() {
	if m.gate.used() == 0 {
		m.free()
	}
}

// free gives all idle buffers back to the system.
func (m *memory) free() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.idleBytes > 0 {
		m.dropLargest()
	}
}

// dropLargest frees one idle buffer of the largest size. Called with mu held and
// idle buffers present.
func (m *memory) dropLargest() {
	largest := 0
	for size, kept := range m.idle {
		if len(kept) > 0 {
			largest = max(largest, size)
		}
	}
	kept := m.idle[largest]
	m.idle[largest] = kept[:len(kept)-1]
	m.idleBytes -= int64(largest)
	freePages(kept[len(kept)-1])
}

// sizeClass rounds n up to 4 KiB, 8, 12, 16, 24, 32, 48, ... so that buffers can
// be used again by transfers of other lengths, at the cost of a third of their
// size at most.
func sizeClass(n int64) int64 {
	for size := int64(pageSize); ; size *= 2 {
		if n <= size {
			return size
		}
		if half := size + size/2; n <= half && half%pageSize == 0 {
			return half
		}
	}
}

// classWithin is the largest of those sizes that is no more than n, or the smallest.
func classWithin(n int64) int64 {
	size := int64(pageSize)
	for next := sizeClass(size + 1); next <= n; next = sizeClass(size + 1) {
		size = next
	}
	return size
}

// Pages come from mmap, but for tests with the race detector, which cannot see
// those.
var (
	allocatePages = func(size int) ([]byte, error) {
		pages, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			return nil, fmt.Errorf("allocate a buffer of %d bytes: %w", size, err)
		}
		return pages, nil
	}
	freePages = func(pages []byte) {
		if err := unix.Munmap(pages); err != nil {
			panic("blobstore: free a buffer: " + err.Error()) // it was not ours
		}
	}
)
