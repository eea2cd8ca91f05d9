package blobstore

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// meteredConn is a TCP connection that keeps to the bandwidth, and gives up
// when next to nothing has moved for a while. A timeout for the whole request
// could not tell a dead connection from a large block on a slow line.
type meteredConn struct {
	net.Conn
	bandwidth *bandwidth
	stall     time.Duration
	extended  atomic.Int64 // when the deadline was last moved, as UnixNano
	asked     atomic.Bool  // something was sent since the last read
	drip      drip         // the reader's own

	ctx   context.Context // ends a wait for bandwidth when the connection is closed
	close context.CancelFunc
}

func newMeteredConn(c net.Conn, b *bandwidth, stall time.Duration) *meteredConn {
	m := &meteredConn{Conn: c, bandwidth: b, stall: stall}
	m.ctx, m.close = context.WithCancel(context.Background())
	return m
}

// Read reads what has arrived, and then waits until that many were allowed: the
// peer is slowed down by its full window.
func (c *meteredConn) Read(p []byte) (int, error) {
	c.extend()
	start := time.Now()
	n, err := c.Conn.Read(p[:c.bandwidth.piece(len(p))])
	if c.asked.Swap(false) {
		c.drip = drip{} // the time until an answer begins is the service's
	} else if c.drip.add(n, time.Since(start), c.stall) && err == nil {
		err = errDrip
	}
	if werr := c.bandwidth.wait(c.ctx, n); werr != nil && err == nil {
		err = net.ErrClosed
	}
	return n, err
}

// Write writes p in the pieces that the bandwidth allows.
func (c *meteredConn) Write(p []byte) (written int, err error) {
	c.asked.Store(true)
	for len(p) > 0 && err == nil {
		piece := p[:c.bandwidth.piece(min(len(p), maxWrite))]
		if c.bandwidth.wait(c.ctx, len(piece)) != nil {
			return written, net.ErrClosed
		}
		c.extend()
		var n int
		n, err = c.Conn.Write(piece)
		written += n
		p = p[n:]
	}
	return written, err
}

// Close closes the connection and ends waits for bandwidth.
func (c *meteredConn) Close() error {
	c.close()
	return c.Conn.Close()
}

// maxWrite bounds one write: a peer that does not take so much within the stall
// timeout has stalled.
const maxWrite = leastMoved

// leastMoved is what must move within the stall timeout: a few bytes now and
// then would keep a slot, its memory and an action for days.
const leastMoved = 256 << 10

// errDrip is what a connection with such an answer ends with.
var errDrip = fmt.Errorf("the answer only drips: %w", os.ErrDeadlineExceeded)

// drip adds up the time spent waiting for the bytes of an answer. What the
// bandwidth makes us wait is not in it: the bytes are there by then.
type drip struct {
	got    int
	waited time.Duration
}

// add reports whether the peer has had its time, and has sent next to nothing.
func (d *drip) add(n int, waited, limit time.Duration) bool {
	d.got += n
	d.waited += waited
	if d.got >= leastMoved {
		*d = drip{}
	}
	return d.waited > limit
}

// extend moves the deadline of reading and writing. Both: while a body goes out,
// a read of its answer is pending. It moves in steps, to cost little.
func (c *meteredConn) extend() {
	now := time.Now()
	if last := c.extended.Load(); now.UnixNano()-last < int64(c.stall/8) {
		return
	}
	c.extended.Store(now.UnixNano())
	_ = c.SetDeadline(now.Add(c.stall)) // fails when closed, as the next read or write will
}

// bodyConn is what net/http writes to. A body of ours goes out straight from its
// buffer, without the 32 KiB pieces and the copy of io.Copy.
type bodyConn struct{ net.Conn }

// ReadFrom is called by net/http with an [io.LimitedReader] on the request's body.
func (c bodyConn) ReadFrom(r io.Reader) (int64, error) {
	if limited, ok := r.(*io.LimitedReader); ok {
		if b, ok := limited.R.(*body); ok {
			n, err := b.writeTo(c.Conn, limited.N)
			limited.N -= n
			return n, err
		}
	}
	return io.Copy(struct{ io.Writer }{c.Conn}, r)
}
