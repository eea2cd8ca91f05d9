package soak

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A watch knows what is under way, so that a hang is seen while it hangs.
type watch struct {
	limit time.Duration
	seen  *figures

	mu   sync.Mutex // guards open and next
	open map[int]underWay
	next int
}

type underWay struct {
	kind, what string
	since      time.Time
}

func newWatch(limit time.Duration, g *figures) *watch {
	return &watch{limit: limit, seen: g, open: map[int]underWay{}}
}

// begin notes that something begins. The function it returns ends it.
func (w *watch) begin(kind, what string) (end func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, u := w.next, underWay{kind, what, time.Now()}
	w.next++
	w.open[n] = u
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.open, n)
		w.seen.took(kind, what, time.Since(u.since))
	}
}

// hanging is an error if something has been under way for too long.
func (w *watch) hanging() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range w.open {
		if d := time.Since(u.since); d > w.limit {
			w.seen.took(u.kind, u.what, d)
			return fmt.Errorf("hang: %s of %s for %v", u.kind, u.what, d.Round(time.Second))
		}
	}
	return nil
}

// every calls f at intervals until ctx ends or f fails.
func every(ctx context.Context, interval time.Duration, f func() error) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := f(); err != nil {
				return err
			}
		}
	}
}

// pause waits, and tells whether ctx still lasts.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
