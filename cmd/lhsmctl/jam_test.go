package main

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lhsm-azblob/httpapi"
)

// oneConn is a listener that has one connection, and tells when the server closes it.
type oneConn struct {
	net.Conn
	accept chan net.Conn // closed with the listener
	end    sync.Once
	ended  chan struct{}
}

func (o *oneConn) Close() error {
	o.end.Do(func() { close(o.ended) })
	return o.Conn.Close()
}

type oneConnListener struct{ *oneConn }

func (l oneConnListener) Accept() (net.Conn, error) {
	if c, ok := <-l.accept; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l oneConnListener) Addr() net.Addr { return l.LocalAddr() }

func (l oneConnListener) Close() error {
	close(l.accept)
	return nil
}

// TestJam: who asks in HTTP/2 and takes nothing, not even the words that end a request, is
// rid of the connection.
func TestJam(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority(t)
		s := settings{}
		s.tlsCert, s.tlsKey = ca.issue("server")
		config, err := s.serverTLS()
		if err != nil {
			t.Fatal(err)
		}
		client, server := net.Pipe()
		conn := &oneConn{Conn: server, accept: make(chan net.Conn, 1), ended: make(chan struct{})}
		conn.accept <- conn
		d := door{listener: oneConnListener{conn}, tls: config}
		ctx, cancel := context.WithCancel(t.Context())
		log := slog.New(slog.DiscardHandler)
		done := make(chan error)
		go func() { done <- d.serve(ctx, httpapi.New(httpapi.Options{Log: log}), log) }()
		asker := tls.Client(client, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}) //nolint:gosec // it is about what follows
		const settings, getRoot = "\x00\x00\x00\x04\x00\x00\x00\x00\x00", "\x00\x00\x06\x01\x05\x00\x00\x00\x01\x82\x87\x84\x41\x01x"
		if _, err := io.WriteString(asker, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+settings+getRoot); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		select {
		case <-conn.ended:
		case <-time.After(time.Hour):
			t.Error("the connection is held")
		}
		if took := time.Since(start); took > 2*jamTime {
			t.Errorf("the connection was held for %v", took)
		}
		cancel()
		client.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
