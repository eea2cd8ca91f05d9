package blobsink

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// headSize bounds a request's head. What has arrived of the body with it is
// copied once; so this is small.
const headSize = 16 << 10

// request is a request's head.
type request struct {
	method string
	path   string // container and blob, unescaped
	query  url.Values
	header map[string]string // lower case
	length int64             // of the body
}

// readRequest reads a head, and leaves the body unread.
func readRequest(r *bufio.Reader) (*request, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	req := &request{header: make(map[string]string, 24)}
	method, rest, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
	target, _, ok := bytes.Cut(rest, []byte(" "))
	if !ok {
		return nil, fmt.Errorf("bad request line %q", line)
	}
	req.method = string(method)
	path, query, _ := strings.Cut(string(target), "?")
	if req.path, err = url.PathUnescape(path); err != nil {
		return nil, err
	}
	if req.query, err = url.ParseQuery(query); err != nil {
		return nil, err
	}
	return req, req.readHeader(r)
}

func (req *request) readHeader(r *bufio.Reader) error {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		req.header[strings.ToLower(string(name))] = string(bytes.TrimSpace(value))
	}
	if req.header["transfer-encoding"] != "" {
		return errors.New("chunked bodies are not served")
	}
	if l := req.header["content-length"]; l != "" {
		n, err := strconv.ParseInt(l, 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("bad length %q", l)
		}
		req.length = n
	}
	return nil
}

// byteRange is the range that a GET asks for, of a blob of that size.
func (req *request) byteRange(size int64) (offset, length int64, partial bool) {
	spec := req.header["x-ms-range"]
	if spec == "" {
		spec = req.header["range"]
	}
	from, to, ok := strings.Cut(strings.TrimPrefix(spec, "bytes="), "-")
	if !ok {
		return 0, size, false
	}
	offset, err := strconv.ParseInt(from, 10, 64)
	if err != nil || offset >= size {
		return 0, 0, true
	}
	end, err := strconv.ParseInt(to, 10, 64)
	if err != nil {
		end = size - 1
	}
	return offset, min(end+1, size) - offset, true
}

// scratch is where the kernel is told to put what it throws away. Nobody reads it.
var scratch = make([]byte, 1<<20)

// rooms are where TLS puts what it has decrypted.
var rooms = sync.Pool{New: func() any { return new([128 << 10]byte) }}

// discard drops n bytes of a body.
func discard(c net.Conn, r *bufio.Reader, n int64) error {
	buffered, err := r.Discard(int(min(n, int64(r.Buffered()))))
	n -= int64(buffered)
	if err != nil || n == 0 {
		return err
	}
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		room := rooms.Get().(*[128 << 10]byte)
		defer rooms.Put(room)
		_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, io.LimitReader(c, n), room[:])
		return err
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	for n > 0 && err == nil {
		var dropped int
		rerr := raw.Read(func(fd uintptr) bool {
			dropped, _, err = unix.Recvfrom(int(fd), scratch[:min(n, int64(len(scratch)))], unix.MSG_TRUNC|unix.MSG_DONTWAIT)
			return !errors.Is(err, unix.EAGAIN)
		})
		switch {
		case rerr != nil:
			return rerr
		case err == nil && dropped == 0:
			return io.ErrUnexpectedEOF
		}
		n -= int64(dropped)
	}
	return err
}
