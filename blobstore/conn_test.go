package blobstore

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// dripping asks for an answer that comes n bytes at a time, with a pause before
// each, and reads it. It returns when and with what error the reading ended.
func dripping(t *testing.T, stall, pause time.Duration, n, times int) (took time.Duration, err error) {
	synctest.Test(t, func(*testing.T) {
		local, remote := net.Pipe()
		c := newMeteredConn(local, &bandwidth{}, stall)
		over := make(chan struct{})
		go func() {
			defer close(over)
			defer remote.Close()
			_, err := remote.Read(make([]byte, 10))
			for range times {
				if err == nil {
					<-time.After(pause)
					_, err = remote.Write(make([]byte, n))
				}
			}
		}()
		start := time.Now()
		_, err = c.Write([]byte("request"))
		for left := times * n; err == nil && left > 0; {
			var got int
			got, err = c.Read(make([]byte, leastMoved))
			left -= got
		}
		took = time.Since(start)
		c.Close()
		<-over
	})
	return took, err
}

// Bytes that come one by one, each in time, would hold a slot, its memory and an
// action for as long as the other end likes.
func TestDripIsGivenUp(t *testing.T) {
	for _, n := range []int{1, 1000, leastMoved / 7} {
		took, err := dripping(t, time.Minute, 10*time.Second, n, 1000)
		if !isNetwork(err) || took > 90*time.Second {
			t.Errorf("%d bytes each 10 s: ended after %s with %v", n, took, err)
		}
	}
}

// A slow line is no reason to give up, nor is a service that thinks for long
// before each answer.
func TestSlowAnswersAreAwaited(t *testing.T) {
	for _, tt := range []struct {
		pause time.Duration
		n     int
		times int
	}{
		{10 * time.Second, 1, 6},
		{10 * time.Second, leastMoved / 5, 1000},
		{59 * time.Second, leastMoved, 100},
	} {
		if took, err := dripping(t, time.Minute, tt.pause, tt.n, tt.times); err != nil {
			t.Errorf("%d bytes each %s: ended after %s with %v", tt.n, tt.pause, took, err)
		}
	}
}

// A connection that is used for a long time for little is not a slow one: each
// answer is looked at for itself.
func TestEachAnswerCountsForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		local, remote := net.Pipe()
		c := newMeteredConn(local, &bandwidth{}, time.Minute)
		over := make(chan struct{})
		go func() {
			defer close(over)
			for _, err := remote.Read(make([]byte, 10)); err == nil; _, err = remote.Read(make([]byte, 10)) {
				for range 2 {
					<-time.After(50 * time.Second)
					_, _ = remote.Write([]byte("half")) // the next read tells
				}
			}
		}()
		for i := range 10 {
			_, err := c.Write([]byte("request"))
			for range 2 {
				if err == nil {
					_, err = c.Read(make([]byte, 100))
				}
			}
			if err != nil {
				t.Errorf("request %d: %v", i, err)
			}
		}
		c.Close()
		<-over
	})
}
