package blobstore

import (
	"io"
	"net/http"
	"sync"
)

// body is the body of one try of a request, in borrowed memory. net/http may
// still be sending it when the request is over (cancelled, or answered early),
// and only a lock can tell: after Close nobody reads the memory any more.
type body struct {
	mu     sync.Mutex // held while data is read
	data   []byte     // what is left to send; nil once closed
	closed bool
}

// Read implements io.Reader for whoever does not call writeTo.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	if len(b.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.data)
	b.data = b.data[n:]
	return n, nil
}

// writeTo writes up to limit bytes to w. It holds the lock for a piece at a
// time, so that Close waits for one write at most; closing the connection ends
// that.
func (b *body) writeTo(w io.Writer, limit int64) (written int64, err error) {
	for written < limit && err == nil {
		var n int
		n, err = b.writePiece(w, limit-written)
		written += int64(n)
		if n == 0 {
			break
		}
	}
	return written, err
}

func (b *body) writePiece(w io.Writer, limit int64) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := w.Write(b.data[:min(int64(len(b.data)), limit, maxWrite)])
	b.data = b.data[n:]
	return n, err
}

// Close implements io.Closer. When it returns, the memory is no longer used.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.data, b.closed = nil, true
	return nil
}
