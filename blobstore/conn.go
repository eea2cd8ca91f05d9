package blobstore

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// meteredConn is a TCP connection that keeps to the bandwidth, and gives up
// when no byte has moved for a while. A timeout for the whole request could not
// tell a dead connection from a large block on a slow line.
type meteredConn struct {
	net.Conn
	bandwidth *bandwidth
	stall     time.Duration
	extended  atomic.Int64 // when the deadline was last moved, as UnixNano

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
	n, err := c.Conn.Read(p[:c.bandwidth.piece(len(p))])
	if werr := c.bandwidth.wait(c.ctx, n); werr != nil && err == nil {
		err = net.ErrClosed
	}
	return n, err
}

// Write writes p in the pieces that the bandwidth allows.
func (c *meteredConn) Write(p []byte) (written int, err error) {
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

// maxWrite bounds one write, so that progress shows on a slow line.
const maxWrite = 1 << 20

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
