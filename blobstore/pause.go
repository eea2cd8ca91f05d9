package blobstore

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// pause holds back every request of the process while the service says that it
// is busy. One answer of that kind stops all: the limit that was hit belongs to
// the account, and whoever goes on sending makes it last.
//
// The pause doubles from one busy answer to the next, as long as no request
// sent after a pause succeeds. Requests leave it scattered, not at once.
type pause struct {
	mu    sync.Mutex // guards what follows
	until time.Time
	level int // busy answers in a row, each after the pause of the one before
}

// Lengths of a pause.
const (
	firstPause   = 500 * time.Millisecond
	longestPause = 30 * time.Second
	pauseSpread  = 0.5 // of the length, added at random to each request's wait
)

// wait returns when requests may be sent, or when ctx ends.
func (p *pause) wait(ctx context.Context) error {
	for {
		d := p.left(time.Now())
		if d <= 0 {
			return ctx.Err()
		}
		d += time.Duration(rand.Float64() * pauseSpread * float64(d))
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *pause) left(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.until.Sub(now)
}

// busy says that a request sent at that time was answered with "busy". retryAfter
// is what the service asked for, if anything.
func (p *pause) busy(sent time.Time, retryAfter time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if sent.After(p.until) { // else it is news of the same jam
		p.level++
		d := min(firstPause<<min(p.level-1, 10), longestPause)
		p.until = now.Add(d - time.Duration(rand.Float64()*0.2*float64(d)))
	}
	if asked := now.Add(min(retryAfter, 2*longestPause)); asked.After(p.until) {
		p.until = asked
	}
}

// succeeded says that a request sent at that time was served.
func (p *pause) succeeded(sent time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.level > 0 && sent.After(p.until) {
		p.level--
	}
}
