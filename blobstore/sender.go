package blobstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// call is one operation of a container as the sender needs to know it. It
// travels through the SDK in the context.
type call struct {
	op    string // REST operation, for observers
	bytes int64  // that will move, for the order in which requests get a slot
	data  []byte // body of the request; nil: the SDK's own, if any
	tries atomic.Int32
	slot  bool // it has one that no request has taken over yet

	mu   sync.Mutex // guards last
	last *body      // of the latest try
}

type callKey struct{}

// context gives the context to make the SDK's call with. The caller ends the
// call when the SDK has returned.
func (c *call) context(ctx context.Context) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// callOf finds the call that a request belongs to. Those of the SDK's own making
// (to get a token) have none.
func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{op: tokenOp}
}

// tokenOp is the operation of requests that do not go to Blob storage.
const tokenOp = "token"

// newBody makes the body of the next try and ends that of the one before.
func (c *call) newBody() *body {
	c.end()
	b := &body{data: c.data}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = b
	return b
}

// end returns when nobody reads the call's data any more.
func (c *call) end() {
	c.mu.Lock()
	last := c.last
	c.mu.Unlock()
	if last != nil {
		_ = last.Close() // cannot fail
	}
}

// sender is the bottom of the SDK's pipeline: every try of every request comes
// here. It gives each its slot, its turn, and its body.
type sender struct{ pool *Pool }

// Do implements policy.Transporter. The slot is held until the answer has been
// read or closed.
func (s sender) Do(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	c := callOf(ctx)
	if err := s.turn(ctx, c); err != nil {
		return nil, err
	}
	s.prepare(req, c)
	x := &exchange{pool: s.pool, request: req, sent: time.Now(), event: RequestEvent{Op: c.op, Try: int(c.tries.Add(1)), Sent: max(req.ContentLength, 0)}}
	// RoundTrip and not a Client: no redirects, and no URL, which may hold a
	// SAS, in the text of its errors.
	resp, err := s.pool.transport.RoundTrip(req)
	if err != nil {
		x.finish(err)
		return nil, neverRetry(err)
	}
	x.answered(ctx, resp)
	if c.op != tokenOp && isForeign(resp) {
		_ = resp.Body.Close() // says nothing that we would want
		return nil, foreignAnswer{resp.StatusCode}
	}
	return resp, nil
}

// turn waits for a slot, if the call has none, and for the end of a pause. Then the slot
// is the request's. If its signature is too old by then, the call keeps the slot: who
// went to the end of the queue again would be too late again.
func (s sender) turn(ctx context.Context, c *call) error {
	signed := time.Now()
	if !c.slot {
		if err := s.pool.slots.acquire(ctx, 1, c.bytes); err != nil {
			return err
		}
	}
	c.slot = true
	if err := s.pool.pause.wait(ctx); err != nil {
		c.giveBack(s.pool)
		return err
	}
	if c.op != tokenOp && time.Since(signed) > signedFor {
		return errWaited
	}
	c.slot = false
	return nil
}

// giveBack gives the slot back that the call has and no request has taken over.
func (c *call) giveBack(p *Pool) {
	if c.slot {
		c.slot = false
		p.slots.release(1)
	}
}

// signedFor is how long a request may wait for its turn: it is signed before it comes
// to the sender, and the service takes it for 15 minutes.
const signedFor = 5 * time.Minute

// errWaited is what the sender says of a request that has waited longer, to resigner and
// to nobody else: for the SDK it would be one of its tries, and after a delay.
var errWaited = finalError{errors.New("the request has waited too long for its turn, and is signed anew")}

// resigner is above the SDK's retries, and has requests that waited too long signed
// anew, at once. With the slot that the call has kept nothing but another pause of
// minutes can make them late again.
type resigner struct{ pool *Pool }

// Do implements policy.Policy.
func (r resigner) Do(req *policy.Request) (*http.Response, error) {
	defer callOf(req.Raw().Context()).giveBack(r.pool)
	for {
		resp, err := req.Next()
		if !errors.Is(err, errWaited) {
			return resp, err
		}
	}
}

// isForeign reports whether an answer is that of a proxy, a firewall or a login
// page: it lacks what every answer of the service has. Nothing that it says is
// true of the blob, not even a success. Those who ask for less, or for patience,
// are heard.
func isForeign(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return false
	}
	return resp.Header.Get("x-ms-request-id") == "" && resp.Header.Get("x-ms-error-code") == ""
}

// foreignAnswer is such an answer. It is as good as none, and so asked for again.
type foreignAnswer struct{ status int }

// Error is one line.
func (e foreignAnswer) Error() string {
	return fmt.Sprintf("something on the way answers in place of the service (HTTP %d)", e.status)
}

// prepare replaces the body by one that leaves straight from our buffer.
func (s sender) prepare(req *http.Request, c *call) {
	req.Header.Set("User-Agent", s.pool.options.UserAgent)
	if c.data == nil {
		return
	}
	req.Body = c.newBody()
	req.GetBody = func() (io.ReadCloser, error) { return c.newBody(), nil }
	// Lets net/http send the request again by itself when a connection from its
	// pool turns out to be dead. The key is empty and is not sent.
	req.Header["X-Idempotency-Key"] = nil
}

// exchange is one try under way.
type exchange struct {
	pool     *Pool
	request  *http.Request
	sent     time.Time
	received atomic.Int64
	once     sync.Once

	event     RequestEvent // complete but for its end
	requestID string       // as the service gave it
}

// answered takes note of an answer's head, and sees to the end of its body.
func (x *exchange) answered(ctx context.Context, resp *http.Response) {
	x.requestID = resp.Header.Get("x-ms-request-id")
	x.event.Status = resp.StatusCode
	x.event.Code = resp.Header.Get("x-ms-error-code")
	x.event.Date, _ = http.ParseTime(resp.Header.Get("Date")) // without one it is unknown
	switch {
	case x.event.Throttled():
		x.pool.pause.busy(x.sent, retryAfter(resp.Header))
	case resp.StatusCode < http.StatusInternalServerError:
		x.pool.pause.succeeded(x.sent)
	}
	if resp.Body == http.NoBody || resp.ContentLength == 0 {
		x.finish(nil)
		return
	}
	// The SDK drops an answer, neither read nor closed, that comes together with
	// the end of its context.
	forget := context.AfterFunc(ctx, func() { x.finish(ctx.Err()) })
	resp.Body = &answerBody{ReadCloser: resp.Body, exchange: x, forget: forget}
}

// finish gives the slot back and reports, once.
func (x *exchange) finish(err error) {
	x.once.Do(func() {
		x.pool.slots.release(1)
		x.pool.adapt()
		event := x.event
		event.Err = err
		event.Received = x.received.Load()
		event.Duration = time.Since(x.sent)
		event.Started, event.RequestID = x.sent, x.requestID
		x.pool.options.Observe(event)
		x.traced(event)
		x.log(event)
	})
}

// log writes a line at debug, with what Azure's support asks for. The request's query
// may hold a SAS, so only the block's number is taken from it.
func (x *exchange) log(e RequestEvent) {
	log, ctx := x.pool.options.Logger, x.request.Context()
	if !log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := []any{"op", e.Op, "path", x.request.URL.Path}
	if i, ok := blockNumber(x.request.URL.Query().Get("blockid")); ok {
		attrs = append(attrs, "block", blockLabel(i))
	}
	if part := x.request.Header["x-ms-range"]; len(part) > 0 { //nolint:staticcheck // SA1008: the SDK spells it so
		attrs = append(attrs, "range", part[0])
	}
	attrs = append(attrs, "try", e.Try, "status", e.Status, "sent", e.Sent, "received", e.Received, "seconds", e.Duration.Seconds(), "request_id", x.requestID)
	if e.Code != "" {
		attrs = append(attrs, "code", e.Code)
	}
	if e.Err != nil {
		attrs = append(attrs, "err", e.Err)
	}
	log.DebugContext(ctx, "blob request", attrs...)
}

// blockLabel is how a block is called in the log.
func blockLabel(i uint32) any {
	if i == zeroBlock {
		return "zeros"
	}
	return i
}

// answerBody ends its exchange when it has been read or closed.
type answerBody struct {
	io.ReadCloser
	exchange *exchange
	forget   func() bool // no longer wait for the end of the context
}

// Read implements io.Reader.
func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.exchange.received.Add(int64(n))
	switch {
	case errors.Is(err, io.EOF):
		b.end(nil)
	case err != nil:
		b.end(err)
	}
	return n, err
}

// Close implements io.Closer.
func (b *answerBody) Close() error {
	err := b.ReadCloser.Close()
	b.end(nil)
	return err
}

func (b *answerBody) end(err error) {
	b.forget()
	b.exchange.finish(err)
}

// retryAfter is what the service asks for: seconds, or milliseconds.
func retryAfter(h http.Header) time.Duration {
	if ms, err := strconv.Atoi(h.Get("x-ms-retry-after-ms")); err == nil {
		return time.Duration(ms) * time.Millisecond
	}
	if s, err := strconv.Atoi(h.Get("Retry-After")); err == nil {
		return time.Duration(s) * time.Second
	}
	return 0
}
