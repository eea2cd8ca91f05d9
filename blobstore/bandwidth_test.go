package blobstore

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// transferFor writes to one connection and reads from another as fast as the
// limit lets it, and returns the bytes moved in each second.
func transferFor(t *testing.T, b *bandwidth, limit int64, seconds int) []int64 {
	moved := make(chan int, 1)
	bite := make([]byte, max(1, limit/1000))
	var ends []net.Conn
	for range 2 { // several connections, each in its direction
		local, remote := net.Pipe()
		up := newMeteredConn(local, b, time.Hour)
		go func() { _, _ = io.Copy(io.Discard, remote) }()
		go func() {
			for n, err := up.Write(bite); err == nil; n, err = up.Write(bite) {
				moved <- n
			}
		}()
		local2, remote2 := net.Pipe()
		down := newMeteredConn(local2, b, time.Hour)
		go func() {
			for _, err := remote2.Write(make([]byte, 1<<20)); err == nil; _, err = remote2.Write(make([]byte, 1<<20)) {
			}
		}()
		go func() {
			buf := make([]byte, 8<<20)
			for n, err := down.Read(buf); err == nil; n, err = down.Read(buf) {
				moved <- n
			}
		}()
		ends = append(ends, up, down, remote, remote2)
	}
	perSecond := make([]int64, seconds)
	start := time.Now()
	for end := time.After(time.Duration(seconds) * time.Second); ; {
		select {
		case n := <-moved:
			if s := int(time.Since(start) / time.Second); s < seconds {
				perSecond[s] += int64(n)
			}
			continue
		case <-end:
		}
		break
	}
	for _, c := range ends {
		c.Close()
	}
	for {
		synctest.Wait()
		select {
		case <-moved:
			continue
		default:
		}
		return perSecond
	}
}

// The limit holds in every single second, counts both directions together, and
// is used up; also one that has room for less than a block in a second.
func TestBandwidthIsExactOverEachSecond(t *testing.T) {
	for _, limit := range []int64{1000, 100_000, 3 << 20, 16 << 20} {
		synctest.Test(t, func(t *testing.T) {
			var b bandwidth
			b.set(limit)
			for s, n := range transferFor(t, &b, limit, 5) {
				if n > limit+limit/piecesPerSecond || n < limit-limit/10 {
					t.Errorf("limit %d: %d bytes in second %d", limit, n, s)
				}
			}
		})
	}
}

func TestBandwidthChangesUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bandwidth
		b.set(1 << 20)
		time.AfterFunc(2*time.Second, func() { b.set(10_000) })
		got := transferFor(t, &b, 10_000, 6)
		if got[0] < 1<<19 || got[4] > 11_000 || got[4] == 0 {
			t.Errorf("bytes per second: %v", got)
		}
	})
}

// A connection that is closed while it waits for its turn must not wait on.
func TestCloseEndsTheWaitForBandwidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bandwidth
		b.set(10)
		local, remote := net.Pipe()
		defer remote.Close()
		go func() { _, _ = io.Copy(io.Discard, remote) }()
		c := newMeteredConn(local, &b, time.Hour)
		failed := make(chan error)
		go func() {
			_, err := c.Write(make([]byte, 1000))
			failed <- err
		}()
		synctest.Wait()
		start := time.Now()
		c.Close()
		if err := <-failed; err == nil || time.Since(start) != 0 {
			t.Errorf("write ended with %v after %s", err, time.Since(start))
		}
	})
}

func TestStalledConnectionIsGivenUp(t *testing.T) {
	var b bandwidth
	local, remote := net.Pipe()
	defer remote.Close()
	c := newMeteredConn(local, &b, 20*time.Millisecond)
	defer c.Close()
	if _, err := c.Write(make([]byte, 10)); !isNetwork(err) {
		t.Errorf("write to nobody ends with %v", err)
	}
}
