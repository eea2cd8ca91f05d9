package blobstore

import (
	"context"
	"crypto/tls"
	"errors"
	"math"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Sizes and times of connections.
const (
	// Bodies smaller than this leave in one write, behind their headers; longer ones
	// follow their first bytes straight from the block's buffer.
	writeBuffer = 128 << 10
	// Answers smaller than this arrive in one read. What is longer is read straight
	// into the buffer of the block, and not copied there.
	readBuffer = 16 << 10

	dialTimeout      = 15 * time.Second
	handshakeTimeout = 15 * time.Second
)

// newTransport makes the one transport of a pool. HTTP/1.1 only: a connection
// per request in flight moves more bytes than streams that share one window.
func newTransport(o PoolOptions, b *bandwidth, transfers *atomic.Int64) *http.Transport {
	o.TLS = tlsConfig(o.TLS)
	d := dialer{
		tcp:       net.Dialer{Timeout: min(dialTimeout, o.StallTimeout), KeepAlive: 30 * time.Second},
		tls:       o.TLS,
		bandwidth: b,
		transfers: transfers,
		stall:     o.StallTimeout,
	}
	t := &http.Transport{
		Proxy:               proxyFor,
		DialContext:         d.dial,
		DialTLSContext:      d.dialTLS,
		TLSClientConfig:     o.TLS, // for connections through a proxy
		TLSHandshakeTimeout: handshakeTimeout,
		// After a busy answer the SDK asks before it sends a body.
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true,
		MaxIdleConnsPerHost:   math.MaxInt, // the slots for requests see to it that there are few
		IdleConnTimeout:       o.StallTimeout,
		WriteBufferSize:       writeBuffer,
		ReadBufferSize:        readBuffer,
		Protocols:             new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	return t
}

// tlsConfig completes the caller's, or makes one. Certificates are always
// verified: no caller, option or variable of the environment has a say in that,
// nor makes an older TLS do.
func tlsConfig(c *tls.Config) *tls.Config {
	if c == nil {
		c = &tls.Config{}
	}
	c = c.Clone()
	c.InsecureSkipVerify = false
	c.MinVersion = tls.VersionTLS12
	return c
}

// dialer opens connections that keep to the pool's limits.
type dialer struct {
	tcp       net.Dialer
	tls       *tls.Config
	bandwidth *bandwidth
	transfers *atomic.Int64
	stall     time.Duration
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := d.connect(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return bodyConn{c}, nil
}

func (d *dialer) connect(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := d.tcp.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		if n := d.bandwidth.receiveBuffer(d.transfers.Load()); n > 0 {
			_ = tcp.SetReadBuffer(n) // without it the limit is only less exact
		}
	}
	return newMeteredConn(c, d.bandwidth, d.stall), nil
}

// dialTLS does what net/http would do by itself, but for the bodyConn around.
func (d *dialer) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	plain, err := d.connect(ctx, network, address)
	if err != nil {
		return nil, err
	}
	config := d.tls.Clone()
	if config.ServerName == "" {
		config.ServerName = host
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	secure := tls.Client(plain, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		plain.Close()
		if errors.Is(err, context.DeadlineExceeded) {
			err = &net.OpError{Op: "dial", Net: "tls", Addr: plain.RemoteAddr(), Err: err}
		}
		return nil, err
	}
	return bodyConn{secure}, nil
}
