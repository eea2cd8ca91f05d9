package blobstore

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"
)

// PoolOptions are the limits that all containers of a process share. Zero
// values are defaults.
type PoolOptions struct {
	Transfers int   // requests in flight; 0: 64. A low Bandwidth allows fewer
	Memory    int64 // bytes of buffers; 0: 1 GiB
	Bandwidth int64 // bytes per second on the wire, both directions together; 0: no limit

	// Adapt has fewer requests in flight than Transfers as long as the processors have
	// no more to give.
	Adapt bool

	// StallTimeout is how long a request may wait for the other end to take or to
	// send another 256 KiB, or what is left of them; then it is tried again. 0: 60 s.
	StallTimeout time.Duration
	Retries      int // further tries of a request, or of the rest of its answer; 0: 6, negative: none

	UserAgent string       // empty: "lhsm-azblob"
	TLS       *tls.Config  // nil: the system's certificates
	Logger    *slog.Logger // nil: nothing is logged

	// Observe is told of every HTTP request, each try for itself, when its answer
	// has been read. It must be fast, and safe for concurrent use.
	Observe func(RequestEvent)

	Traced bool // requests get ids of ours, and contexts of [Observed] are looked for
}

// RequestEvent is one HTTP request.
type RequestEvent struct {
	Op              string // REST operation: "put-blob", "put-block", "put-block-list", "get-blob", "head-blob", ...
	Try             int    // 1, and more for those that repeat one that failed
	Status          int    // 0: no answer
	Code            string // service error code, if any
	Err             error  // why there was no answer, or not all of it
	Sent            int64  // bytes of body
	Received        int64
	Duration        time.Duration // from the slot to the end of the answer
	Started         time.Time
	RequestID       string    // the service's, for its support
	ClientRequestID string    // ours, of the operation; only for who is told by [Observed]
	Date            time.Time // the service's clock, in whole seconds, as the answer was made; zero: unknown
}

// Throttled tells whether the service asked for fewer requests.
func (e RequestEvent) Throttled() bool {
	return e.Status == http.StatusServiceUnavailable || e.Status == http.StatusTooManyRequests
}

// Pool is what all containers of a process share. It is safe for concurrent use.
type Pool struct {
	options   PoolOptions
	memory    *memory
	slots     gate // requests
	reads     gate // of the callers' files
	writes    gate
	pause     pause
	bandwidth bandwidth
	transfers atomic.Int64 // that are allowed
	adaptive  adaptive
	transport http.RoundTripper
}

// withDefaults fills in what was left zero.
func (o PoolOptions) withDefaults() PoolOptions {
	if o.Transfers <= 0 {
		o.Transfers = 64
	}
	if o.Memory <= 0 {
		o.Memory = 1 << 30
	}
	if o.StallTimeout <= 0 {
		o.StallTimeout = 60 * time.Second
	}
	if o.Retries == 0 {
		o.Retries = 6
	}
	if o.UserAgent == "" {
		o.UserAgent = "lhsm-azblob"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Observe == nil {
		o.Observe = func(RequestEvent) {}
	}
	return o
}

// NewPool makes a Pool. It starts nothing.
func NewPool(o PoolOptions) *Pool {
	o = o.withDefaults()
	p := &Pool{
		options:  o,
		memory:   newMemory(o.Memory),
		adaptive: adaptive{read: readCPUTimes},
	}
	p.SetLimits(o.Transfers, o.Bandwidth)
	p.transport = newTransport(o, &p.bandwidth, &p.transfers)
	return p
}

// MemoryInUse is the number of bytes of buffers lent to transfers now.
func (p *Pool) MemoryInUse() int64 { return p.memory.gate.used() }

// MemoryLimit is the number of bytes that buffers may take.
func (p *Pool) MemoryLimit() int64 { return p.memory.capacity }

// Occupy says how many bytes of the pool's memory something else takes, in place of what
// was said before. Buffers keep half of it in any case.
func (p *Pool) Occupy(bytes int64) { p.memory.occupy(bytes) }

// RequestsInFlight is the number of requests under way now.
func (p *Pool) RequestsInFlight() int { return int(p.slots.used()) }

// RequestsLimit is the number of requests that may be under way.
func (p *Pool) RequestsLimit() int { return int(p.slots.limit()) }

// SetLimits changes how many requests may be in flight, 0 being the default, and how
// many bytes may pass in a second, 0 being no limit. It is about transfers under way as
// well.
func (p *Pool) SetLimits(transfers int, bytesPerSecond int64) {
	n := int64(PoolOptions{Transfers: transfers}.withDefaults().Transfers)
	p.transfers.Store(n)
	p.bandwidth.set(bytesPerSecond)
	// What is in memory is sent within the time that a request may wait.
	p.memory.limit(bytesPerSecond * int64(signedFor/time.Second) / 2)
	// Each that blocks holds a thread, and a file system that hangs would let there be
	// as many as there are buffers. Reads can wait for a restore, so for writes.
	p.reads.resize(n)
	p.writes.resize(n)
	if p.options.Adapt {
		n = p.adaptive.first(n)
	}
	p.slots.resize(requestsFor(bytesPerSecond, n))
}

// adapt is called when a request has ended.
func (p *Pool) adapt() {
	if !p.options.Adapt {
		return
	}
	if n, changed := p.adaptive.next(p.transfers.Load(), p.slots.isWaitedFor); changed {
		p.slots.resize(requestsFor(p.bandwidth.limit(), n))
	}
}

// inHand is how many pieces one transfer may have in memory: some more than there are
// slots, those that are read or written while the others are on their way.
func (p *Pool) inHand() int64 { return p.slots.limit() + int64(runtime.NumCPU()) }

// takeInHand gives a transfer memory for one more piece, when it has few enough.
func (p *Pool) takeInHand(ctx context.Context, hand *gate, acquire func(context.Context, int64) (*buffer, error), n int64) (*buffer, error) {
	hand.resize(p.inHand())
	if err := hand.acquire(ctx, 1, n); err != nil {
		return nil, err
	}
	buf, err := acquire(ctx, n)
	if err != nil {
		hand.release(1)
	}
	return buf, err
}

// Close closes idle connections and gives idle memory back. Transfers may go on
// and new ones may start.
func (p *Pool) Close() {
	if t, ok := p.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
	p.memory.free()
}
