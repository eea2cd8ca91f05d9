package blobstore

import (
	"container/list"
	"context"
	"sync"
)

// A gate hands out a limited quantity (bytes of memory, request slots), first
// come first served within each of two lanes: one for small transfers, one for
// large. When both wait, the lane goes first that has moved fewer bytes since.
// So neither can starve the other, and a few kilobytes never queue behind all
// the blocks of a huge file.
//
// Who is first and does not fit is waited for; nobody slips in behind it.
type gate struct {
	capacity int64 // guarded by mu where resize is used

	mu    sync.Mutex // guards what follows
	inUse int64
	lanes [2]lane
}

// lane is a queue of a gate.
type lane struct {
	moved int64 // bytes, in a time of its own; only the difference to the other matters
	queue list.List
}

type waiter struct {
	n, cost int64
	granted chan struct{}
}

// Sizes that decide between and within lanes.
const (
	smallTransfer = 1 << 20  // up to here a transfer is small
	requestCost   = 64 << 10 // what a request costs at least, in bytes
)

// acquire takes n of the gate's quantity for a transfer of bytes bytes. It waits
// until ctx ends. Who wants more than the capacity has to be the only one.
func (g *gate) acquire(ctx context.Context, n, bytes int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w, element, lane := g.enqueue(n, bytes)
	if w == nil {
		return nil
	}
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
	}
	g.abandon(w, lane, element)
	return ctx.Err()
}

// release gives n back.
func (g *gate) release(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inUse -= n
	g.grant()
}

// resize changes the capacity. What is handed out beyond it stays so until it is
// given back.
func (g *gate) resize(capacity int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.capacity = capacity
	g.grant()
}

// used is the quantity handed out.
func (g *gate) used() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inUse
}

// limit is the capacity of now.
func (g *gate) limit() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.capacity
}

// isWaitedFor tells whether somebody waits.
func (g *gate) isWaitedFor() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.next() != nil
}

// enqueue makes a waiter, or none if there is nothing to wait for.
func (g *gate) enqueue(n, bytes int64) (*waiter, *list.Element, *lane) {
	g.mu.Lock()
	defer g.mu.Unlock()
	mine, other, cost := &g.lanes[1], &g.lanes[0], max(bytes, requestCost)
	if bytes <= smallTransfer {
		mine, other = other, mine
	}
	if mine.queue.Len() == 0 {
		// A lane that had nothing to do has no claim on the time it was idle.
		mine.moved = max(mine.moved, other.moved)
	}
	if g.next() == nil && g.fits(n) {
		g.inUse += n
		mine.moved += cost
		return nil, nil, nil
	}
	w := &waiter{n: n, cost: cost, granted: make(chan struct{})}
	element := mine.queue.PushBack(w)
	g.grant()
	return w, element, mine
}

// abandon takes a waiter out whose context has ended, granted or not.
func (g *gate) abandon(w *waiter, l *lane, element *list.Element) {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-w.granted:
		g.inUse -= w.n
	default:
		l.queue.Remove(element)
	}
	g.grant()
}

// fits tells whether n may be handed out now. Called with mu held.
func (g *gate) fits(n int64) bool { return g.inUse == 0 || g.inUse+n <= g.capacity }

// grant lets in whoever is next, as long as they fit. Called with mu held.
func (g *gate) grant() {
	for l := g.next(); l != nil; l = g.next() {
		front := l.queue.Front()
		w := front.Value.(*waiter)
		if !g.fits(w.n) {
			return
		}
		l.queue.Remove(front)
		g.inUse += w.n
		l.moved += w.cost
		close(w.granted)
	}
}

// next is the lane whose turn it is; nil if nobody waits.
func (g *gate) next() *lane {
	small, large := &g.lanes[0], &g.lanes[1]
	switch {
	case small.queue.Len() == 0 && large.queue.Len() == 0:
		return nil
	case small.queue.Len() == 0:
		return large
	case large.queue.Len() == 0 || small.moved <= large.moved:
		return small
	}
	return large
}
