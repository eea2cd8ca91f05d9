package blobsink

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Fill is what the bytes of every blob are.
type Fill int

// The fills.
const (
	Zeros   Fill = iota // nothing but zeros
	Pattern             // the same MiB of random bytes again and again
	Sparse              // that MiB, then zeros, every SparsePeriod
	Dotted              // a page of it, then zeros, every 64 KiB: data everywhere, and few of them
)

const (
	patternSize = 1 << 20
	// SparsePeriod is how far one piece of data in a sparse blob is from the next.
	SparsePeriod = 100 << 20
)

// fills are by their numbers. Data are at the beginning of each period, and zeros
// behind them; without a period it is all the same.
var fills = []struct {
	name         string
	period, data int64
}{
	Zeros:   {name: "zeros"},
	Pattern: {name: "pattern"},
	Sparse:  {"sparse", SparsePeriod, patternSize},
	Dotted:  {"dotted", 64 << 10, 4 << 10},
}

// ParseFill gives the fill of that name.
func ParseFill(name string) (Fill, error) {
	var names []string
	for f, fill := range fills {
		if fill.name == name {
			return Fill(f), nil
		}
		names = append(names, fill.name)
	}
	return 0, fmt.Errorf("%q is no fill: it is %s", name, strings.Join(names, ", "))
}

// String is the name.
func (f Fill) String() string { return fills[f].name }

// sourceSize is the size of the file that answers are sent from: several of what
// repeats, unless that is large.
func (f Fill) sourceSize() int64 { return max(fills[f].period, 4*patternSize) }

// DataAt is where the next byte that need not be zero is, at off or behind it.
func (f Fill) DataAt(off int64) int64 {
	if p := fills[f]; p.period > 0 && off%p.period >= p.data {
		return off - off%p.period + p.period
	}
	return off
}

// HoleAt is where the data end that are at off.
func (f Fill) HoleAt(off int64) int64 {
	if p := fills[f]; p.period > 0 {
		return off - off%p.period + p.data
	}
	return math.MaxInt64
}

// Reader gives n bytes of the fill, as an input file that will have the right
// checksum when it comes back.
func (f Fill) Reader(n int64) io.Reader { return io.NewSectionReader(f.Content(), 0, n) }

// Content is the fill without an end.
func (f Fill) Content() io.ReaderAt {
	if f == Zeros {
		return content{f, zeroPattern()}
	}
	return content{f, randomPattern()}
}

// Made once: a MiB for each small file would take longer than the file.
var (
	zeroPattern   = sync.OnceValue(func() []byte { return make([]byte, patternSize) })
	randomPattern = sync.OnceValue(func() []byte {
		p := make([]byte, patternSize)
		_, _ = rand.NewChaCha8([32]byte{'b', 'l', 'o', 'b'}).Read(p) // never fails
		return p
	})
)

type content struct {
	fill    Fill
	pattern []byte // not to be written
}

// ReadAt implements io.ReaderAt. It never comes to an end.
func (c content) ReadAt(p []byte, off int64) (n int, _ error) {
	for n < len(p) {
		at := off + int64(n)
		rest := p[n:]
		if data := c.fill.DataAt(at); data > at {
			rest = rest[:min(int64(len(rest)), data-at)]
			clear(rest)
			n += len(rest)
			continue
		}
		rest = rest[:min(int64(len(rest)), c.fill.HoleAt(at)-at)]
		n += copy(rest, c.pattern[at%patternSize:])
	}
	return n, nil
}

// source is the file in memory that answers are sent from.
type source struct {
	fd     int
	mapped []byte // the same, for TLS
}

func newSource(f Fill) (*source, error) {
	fd, err := unix.MemfdCreate("blobsink", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	file := os.NewFile(uintptr(fd), "blobsink")
	if err := f.WriteTo(file, f.sourceSize()); err != nil {
		return nil, fmt.Errorf("fill the file in memory: %w", err)
	}
	dup, err := unix.Dup(fd) // the file's own would be closed by its finalizer
	file.Close()
	if err != nil {
		return nil, err
	}
	mapped, err := unix.Mmap(dup, 0, int(f.sourceSize()), unix.PROT_READ, unix.MAP_SHARED)
	return &source{dup, mapped}, err
}

// WriteTo makes an empty file one of n bytes of the fill, with holes where the
// fill has zeros.
func (f Fill) WriteTo(file *os.File, n int64) error {
	c := f.Content()
	buf := make([]byte, min(n, patternSize))
	for off := f.DataAt(0); off < n; off = f.DataAt(off) {
		piece := buf[:min(f.HoleAt(off)-off, n-off, int64(len(buf)))]
		_, _ = c.ReadAt(piece, off) // never fails
		if _, err := file.WriteAt(piece, off); err != nil {
			return err
		}
		off += int64(len(piece))
	}
	return file.Truncate(n)
}

// send writes n bytes of a blob from offset on.
func (s *source) send(c net.Conn, offset, n int64) error {
	for n > 0 {
		period := int64(len(s.mapped))
		at := offset % period
		piece := min(n, period-at)
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
		_, err := c.Write(s.mapped[at : at+n])
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
