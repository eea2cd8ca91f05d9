package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// A Handler carries out one command. It must return soon after ctx ends.
type Handler func(ctx context.Context, args []string) Response

// A Server answers commands on one socket.
type Server struct {
	listener net.Listener
	handle   Handler
	cancel   context.CancelFunc
	ctx      context.Context
	conns    sync.WaitGroup
}

// Listen starts a server on a new socket at path.
func Listen(path string, h Handler) (*Server, error) {
	l, err := net.Listen("unix", path) //nolint:noctx // lives as long as the daemon
	if err != nil {
		return nil, fmt.Errorf("open the admin socket: %w", err)
	}
	s := &Server{listener: l, handle: h}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.conns.Add(1)
	go s.accept() // ended by Close, which waits for it
	return s, nil
}

// Close ends all commands that run and waits for them.
func (s *Server) Close() {
	s.cancel()
	_ = s.listener.Close() // accept ends either way
	s.conns.Wait()
}

func (s *Server) accept() {
	defer s.conns.Done()
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.conns.Add(1)
		go s.serve(conn) // ended by the client or by Close, which waits for it
	}
}

// serve reads requests in one goroutine and answers in this one, so that the
// end of the connection is seen while a command runs.
func (s *Server) serve(conn net.Conn) {
	defer s.conns.Done()
	defer conn.Close()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	requests := make(chan Request)
	go func() { // ends when conn closes, as the defers above see to
		defer close(requests)
		defer cancel()
		read(ctx, conn, requests)
	}()
	out := json.NewEncoder(conn)
	for r := range requests {
		if err := out.Encode(s.answer(ctx, r)); err != nil {
			return
		}
	}
}

func (s *Server) answer(ctx context.Context, r Request) Response {
	if len(r.Args) == 0 {
		return Response{Stderr: "no command\n", Code: 2}
	}
	return s.handle(ctx, r.Args)
}

func read(ctx context.Context, conn io.Reader, requests chan<- Request) {
	in := json.NewDecoder(bufio.NewReader(conn))
	for {
		var r Request
		if err := in.Decode(&r); err != nil {
			var syntax *json.SyntaxError
			if !errors.As(err, &syntax) {
				return
			}
			r = Request{} // answered as a request without a command, and the end: framing is lost
			select {
			case requests <- r:
			case <-ctx.Done():
			}
			return
		}
		select {
		case requests <- r:
		case <-ctx.Done():
			return
		}
	}
}
