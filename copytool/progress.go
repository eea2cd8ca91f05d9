package copytool

import (
	"context"
	"errors"
	"syscall"
	"time"

	"lhsm-azblob/llapi"
)

// Waiting actions are reported more rarely than running ones: only so that the
// coordinator does not time them out (after an hour by default), and no more
// than so many at a time, since each is a request to a metadata server.
const (
	waitingIntervals = 20
	maxWaitingBeats  = 1000
)

// reportProgress is the one goroutine that reports, for all actions. Reports
// can block while a metadata server fails over; then nothing else does.
func (a *Agent) reportProgress(ctx context.Context) {
	ticker := time.NewTicker(a.o.ProgressInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			a.beat(now)
		}
	}
}

func (a *Agent) beat(now time.Time) {
	running, waiting := a.sched.due(now.Add(-waitingIntervals * a.o.ProgressInterval))
	for _, t := range running {
		a.beatOne(t, now)
	}
	for _, t := range waiting[:min(len(waiting), maxWaitingBeats)] {
		a.beatOne(t, now)
	}
}

// beatOne tells how far an action is, and hears whether it is still wanted.
func (a *Agent) beatOne(t *task, now time.Time) {
	if t.ending.Load() {
		return
	}
	moved := t.moved.Load()
	t.reported = min(t.reported, moved) // an upload can start again
	err := a.current().ReportProgress(t.item, llapi.Extent{Offset: uint64(t.reported), Length: uint64(moved - t.reported)})
	t.lastBeat = now
	switch {
	case err == nil:
		t.reported = moved
	case errors.Is(err, syscall.ECANCELED):
		a.sched.cancelTask(t, errCanceled)
	case t.ending.Load():
		// It ended while it was being reported.
	case errors.Is(err, syscall.ENOENT):
		a.doubtRegistration()
		a.sched.cancelTask(t, errForgotten)
	default:
		if errors.Is(err, syscall.EAGAIN) { // it is stopped, and will have forgotten us when it starts
			a.doubtRegistration()
		}
		a.log.Debug("report progress", "cookie", cookieText(t.cookie), "fid", t.fid.String(), "err", err)
	}
}
