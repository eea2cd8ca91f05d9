package bench

import (
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"

	"lhsm-azblob/blobstore"
)

// requests collects what is seen of HTTP requests.
type requests struct {
	mu    sync.Mutex // guards what follows
	sent  int
	busy  int
	times []time.Duration // of those that carried data and were answered
}

// add implements blobstore's Observe.
func (r *requests) add(e blobstore.RequestEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent++
	switch {
	case e.Status == http.StatusServiceUnavailable || e.Status == http.StatusTooManyRequests:
		r.busy++
	case e.Err == nil && e.Sent+e.Received > 0:
		r.times = append(r.times, e.Duration)
	}
}

func (r *requests) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent, r.busy, r.times = 0, 0, nil
}

// into puts the sums into a result.
func (r *requests) into(res *Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	res.Sent, res.Busy = r.sent, r.busy
	slices.Sort(r.times)
	res.P50, res.P99 = quantile(r.times, 50).Seconds(), quantile(r.times, 99).Seconds()
}

// quantile is the smallest of sorted times that so many of a hundred do not exceed.
func quantile(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)*percent+99)/100-1]
}

// processorTime is what this process has used so far, user and system.
func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
