package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
)

// sockets is what the kernel alone can do: sendfile, and for the way back reads
// from the socket into a buffer and writes into the file.
type sockets struct {
	host, path string
	conn       *net.TCPConn // dialed for the first request
	answers    *bufio.Reader
}

func newSockets(o options) ([]sender, error) {
	u, err := url.Parse(o.url)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "http" {
		return nil, errors.New("sendfile goes without TLS only")
	}
	return repeat(o.transfers, func() sender { return &sockets{host: u.Host, path: u.Path} }), nil
}

func (s *sockets) putBlob(ctx context.Context, p piece) error { return s.put(ctx, p, p.file.name) }

func (s *sockets) putBlock(ctx context.Context, p piece, id string) error {
	return s.put(ctx, p, p.file.name+blockQuery(id))
}

func (s *sockets) put(ctx context.Context, p piece, target string) error {
	if _, err := p.handle.Seek(p.at, io.SeekStart); err != nil {
		return err
	}
	// A TCPConn knows a limited file, and calls sendfile.
	return s.do(ctx, http.MethodPut, target, "", int64(len(p.buf)), &io.LimitedReader{R: p.handle, N: int64(len(p.buf))}, nil)
}

func (s *sockets) commit(ctx context.Context, name string, ids []string) error {
	list := blockList(ids)
	return s.do(ctx, http.MethodPut, name+listQuery, "", int64(len(list)), strings.NewReader(list), nil)
}

func (s *sockets) get(ctx context.Context, p piece) error {
	if err := s.do(ctx, http.MethodGet, p.file.name, byteRange(p), 0, nil, p.buf); err != nil {
		return err
	}
	return p.write()
}

func (s *sockets) do(ctx context.Context, method, target, ranged string, length int64, body io.Reader, into []byte) error {
	if err := s.dial(ctx); err != nil {
		return err
	}
	head := fmt.Sprintf("%s %s/%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", method, s.path, target, s.host, length)
	if ranged != "" {
		head += "Range: " + ranged + "\r\n"
	}
	if _, err := io.WriteString(s.conn, head+"\r\n"); err != nil {
		return err
	}
	if body != nil {
		if _, err := s.conn.ReadFrom(body); err != nil {
			return err
		}
	}
	return s.answer(method+" "+target, into)
}

func (s *sockets) dial(ctx context.Context) error {
	if s.conn != nil {
		return nil
	}
	c, err := new(net.Dialer).DialContext(ctx, "tcp", s.host)
	if err != nil {
		return err
	}
	s.conn = c.(*net.TCPConn) // "tcp" was asked for
	s.answers = bufio.NewReader(s.conn)
	return nil
}

// answer reads the head of one by hand, and the body into a buffer.
func (s *sockets) answer(request string, into []byte) error {
	r := textproto.NewReader(s.answers)
	status, err := r.ReadLine()
	if err != nil {
		return err
	}
	header, err := r.ReadMIMEHeader()
	if err != nil {
		return err
	}
	length, err := strconv.Atoi(header.Get("Content-Length"))
	if err != nil || length != len(into) || !strings.HasPrefix(status, "HTTP/1.1 20") {
		return fmt.Errorf("%s: %s, %s bytes", request, status, header.Get("Content-Length"))
	}
	_, err = io.ReadFull(s.answers, into)
	return err
}
