package blobstore

import (
	"context"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// bandwidth limits bytes per second over all connections, both directions
// together. It works on what passes through the sockets, in pieces of at most a
// fiftieth of a second's worth: so it holds for small files and for large ones,
// within every second, and also when a second has room for less than a block.
type bandwidth struct {
	limiter atomic.Pointer[rate.Limiter] // nil: no limit
}

// The pieces in which limited bytes pass.
const (
	piecesPerSecond = 50
	largestPiece    = 256 << 10
)

// What a request must get of the limit, and how many there are at least. The
// service ends a request that takes more than ten minutes for a MiB; and what the
// peers send before they notice that they are slowed down is some 64 KiB for each.
const (
	leastRate     = 64 << 10 // bytes per second
	fewestSharing = 4        // so that large blocks do not keep small files out
)

// requestsFor is how many requests in flight may share the limit.
func requestsFor(bytesPerSecond, transfers int64) int64 {
	if bytesPerSecond <= 0 {
		return transfers
	}
	return min(transfers, max(bytesPerSecond/leastRate, fewestSharing))
}

// limit is in bytes per second; 0 is none.
func (b *bandwidth) limit() int64 {
	l := b.limiter.Load()
	if l == nil {
		return 0
	}
	return int64(l.Limit())
}

func (b *bandwidth) set(bytesPerSecond int64) {
	if bytesPerSecond <= 0 {
		b.limiter.Store(nil)
		return
	}
	burst := max(bytesPerSecond/piecesPerSecond, 1)
	b.limiter.Store(rate.NewLimiter(rate.Limit(bytesPerSecond), int(burst)))
}

// The receive buffer of a connection, unless there is no limit, or a high one.
const (
	leastReceiveBuffer = 32 << 10
	mostReceiveBuffer  = 256 << 10
)

// receiveBuffer is how much the kernel may take in for one of so many transfers
// before we read it, and so before it is counted: an eighth of a second's worth. 0
// is as much as the kernel likes.
func (b *bandwidth) receiveBuffer(transfers int64) int {
	limit := b.limit()
	if limit == 0 {
		return 0
	}
	if n := limit / requestsFor(limit, transfers) / 8; n < mostReceiveBuffer {
		return int(max(n, leastReceiveBuffer))
	}
	return 0
}

// piece is how many of n bytes may be moved at once.
func (b *bandwidth) piece(n int) int {
	l := b.limiter.Load()
	if l == nil {
		return n
	}
	return min(n, l.Burst(), largestPiece)
}

// wait takes n bytes, at most a piece, out of the budget. It ends early with ctx.
func (b *bandwidth) wait(ctx context.Context, n int) error {
	l := b.limiter.Load()
	if l == nil || n == 0 {
		return nil
	}
	return l.WaitN(ctx, min(n, l.Burst())) // the limit may have changed since piece
}
