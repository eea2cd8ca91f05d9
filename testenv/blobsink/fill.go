package blobsink

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Fill is what the bytes of every blob are.
type Fill int

// The fills.
const (
	Zeros   Fill = iota // nothing but zeros
	Pattern             // the same MiB of random bytes again and again
)

const (
	patternSize = 1 << 20
	sendSize    = 4 << 20 // of the file that answers are sent from: patterns one after the other
)

// Reader gives n bytes of the fill, as an input file that will have the right
// checksum when it comes back.
func (f Fill) Reader(n int64) io.Reader {
	return io.LimitReader(&fillReader{block: f.block()}, n)
}

// block is the unit that repeats.
func (f Fill) block() []byte {
	b := make([]byte, patternSize)
	if f == Pattern {
		_, _ = rand.NewChaCha8([32]byte{'b', 'l', 'o', 'b'}).Read(b) // never fails
	}
	return b
}

type fillReader struct {
	block []byte
	off   int
}

func (r *fillReader) Read(p []byte) (int, error) {
	n := copy(p, r.block[r.off:])
	r.off = (r.off + n) % len(r.block)
	return n, nil
}

// source is the file in memory that answers are sent from.
type source struct{ fd int }

func newSource(f Fill) (*source, error) {
	fd, err := unix.MemfdCreate("blobsink", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	file := os.NewFile(uintptr(fd), "blobsink")
	if _, err := io.Copy(file, f.Reader(sendSize)); err != nil {
		return nil, fmt.Errorf("fill the file in memory: %w", err)
	}
	dup, err := unix.Dup(fd) // the file's own would be closed by its finalizer
	file.Close()
	return &source{fd: dup}, err
}

// send writes n bytes of a blob from offset on.
func (s *source) send(c net.Conn, offset, n int64) error {
	for n > 0 {
		at := offset % patternSize
		piece := min(n, sendSize-at)
		if err := s.sendPiece(c, at, piece); err != nil {
			return err
		}
		offset, n = offset+piece, n-piece
	}
	return nil
}

func (s *source) sendPiece(c net.Conn, at, n int64) error {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		_, err := io.Copy(struct{ io.Writer }{c}, io.NewSectionReader(s, at, n))
		return err
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	for n > 0 {
		var sent int
		werr := raw.Write(func(fd uintptr) bool {
			sent, err = unix.Sendfile(int(fd), s.fd, &at, int(n))
			return !errors.Is(err, unix.EAGAIN)
		})
		if werr != nil {
			return werr
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("sendfile: %w", err)
		}
		n -= int64(max(sent, 0))
	}
	return nil
}

// ReadAt implements io.ReaderAt, for TLS.
func (s *source) ReadAt(p []byte, off int64) (int, error) { return unix.Pread(s.fd, p, off) }
