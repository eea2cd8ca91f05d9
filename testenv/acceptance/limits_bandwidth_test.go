package acceptance

import (
	"cmp"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/blobsink"
)

// A meter is a listener that counts what passes through its connections.
type meter struct {
	net.Listener
	moved atomic.Int64
}

// socketBuffers is what a connection's two ends may hold that nobody has asked for.
const socketBuffers = 64 << 10

func (m *meter) Accept() (net.Conn, error) {
	c, err := m.Listener.Accept()
	if err != nil {
		return nil, err
	}
	err = c.(*net.TCPConn).SetWriteBuffer(32 << 10) // what lies there has not been sent
	return &meteredConn{c, m}, err
}

type meteredConn struct {
	net.Conn
	m *meter
}

func (c *meteredConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.m.moved.Add(int64(n))
	return n, err
}

// Write counts piece by piece: a long one returns when all has passed.
func (c *meteredConn) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = c.Conn.Write(p[n:min(len(p), n+meteredPiece)])
		c.m.moved.Add(int64(m))
		n += m
	}
	return n, err
}

const meteredPiece = 16 << 10

// startMeter serves a blobsink behind a meter.
func startMeter(t *testing.T) (m *meter, url string) {
	t.Helper()
	sink, err := blobsink.New(blobsink.Dotted, 0)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m = &meter{Listener: l}
	t.Cleanup(func() { l.Close() })
	go func() { _ = sink.Serve(m) }() // ends with the listener
	return m, "http://" + l.Addr().String() + "/sink"
}

// TestBandwidth archives and restores at the same time, and counts bytes where the
// server is, for ten seconds at each limit, or for $LHSM_BANDWIDTH_SECONDS. One of
// the limits has room for a sixteenth of a block in a second. The upper bound holds
// always; the lower one where the machine is fast enough.
func TestBandwidth(t *testing.T) {
	seconds, err := strconv.Atoi(cmp.Or(os.Getenv("LHSM_BANDWIDTH_SECONDS"), "10"))
	if err != nil {
		t.Fatal(err)
	}
	m, url := startMeter(t)
	e := newSinkEnv(t, url, testenv.Options{})
	released := e.dotted("released", 8, 64<<20)
	c := e.startQuiet()
	began := time.Now()
	e.request("archive", released...)
	e.lustre.WaitIdle()
	unlimited := float64(m.moved.Load()) / time.Since(began).Seconds()
	e.request("release", released...)
	c.stop()
	for _, limit := range []int64{512 << 10, 8 << 20} {
		c := e.startQuiet("--bandwidth", strconv.FormatInt(limit, 10))
		e.request("restore", released...)
		e.request("archive", e.dotted("new"+strconv.FormatInt(limit, 10), 8, 64<<20)...)
		first := e.measure(m, 3) // until the buffers of sockets are full
		rate := e.measure(m, seconds)
		t.Logf("limit %d bytes/s: %.1f %% of it over %d s, %.1f %% over the first 3; without a limit %.0f %%",
			limit, 100*rate/float64(limit), seconds, 100*first/float64(limit), 100*unlimited/float64(limit))
		// What lies in sockets at either end of the time is counted early or late.
		slack := 0.05 + float64(min(96, limit/(64<<10))*socketBuffers)/float64(limit)/float64(seconds)
		switch {
		case rate > (1+slack)*float64(limit):
			t.Errorf("limit %d bytes/s: %.0f were moved", limit, rate)
		case unlimited < 20*float64(limit):
			t.Logf("this machine is too slow to tell whether the limit of %d bytes/s is used up", limit)
		case rate < (1-slack)*float64(limit):
			t.Errorf("limit %d bytes/s: only %.0f were moved", limit, rate)
		}
		c.kill()
	}
}

// measure is the rate over some seconds.
func (e *env) measure(m *meter, seconds int) float64 {
	before, began := m.moved.Load(), time.Now()
	<-time.After(time.Duration(seconds) * time.Second) // it is time that is measured
	return float64(m.moved.Load()-before) / time.Since(began).Seconds()
}
