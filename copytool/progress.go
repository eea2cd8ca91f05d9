package copytool

import (
	"context"
	"errors"
	"math"
	"slices"
	"syscall"
	"time"

	"lhsm-azblob/llapi"
)

// Waiting actions are reported more rarely than running ones: only so that the
// coordinator does not time them out (after an hour by default). Each report is a
// request to a metadata server, so however many wait, no more are sent than it takes
// to be in time with all, and the running ones come first.
const (
	waitingIntervals = 20               // from one report of a waiting action to the next, where few wait
	longestSilence   = 20 * time.Minute // about any action
	waitingBeats     = 250              // in an interval, unless more are needed
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
	a.flow.look(a.metrics, now)
	interval := a.o.ProgressInterval
	silence := min(waitingIntervals*interval, longestSilence)
	running, waiting := a.sched.due(now, silence, waitingShare(a.sched.waiting(), interval))
	for _, t := range slices.Concat(running, waiting) {
		a.beatOne(t)
	}
}

// waitingShare is how many of the actions that wait are reported in an interval.
func waitingShare(waiting int, interval time.Duration) int {
	inTime := float64(waiting) * float64(interval) / float64(longestSilence)
	return max(waitingBeats, int(math.Ceil(inTime)))
}

// beatOne tells how far an action is, and hears whether it is still wanted.
func (a *Agent) beatOne(t *task) {
	if t.ending.Load() {
		return
	}
	moved := t.moved.Load()
	t.reported = min(t.reported, moved) // an upload can start again
	err := a.current().ReportProgress(t.item, llapi.Extent{Offset: uint64(t.reported), Length: uint64(moved - t.reported)})
	if errors.Is(err, syscall.ENOENT) && t.ending.Load() {
		return // it ended while it was being reported; what the coordinator answers to its end is what counts
	}
	a.answered(t, err)
	switch {
	case err == nil:
		t.reported = moved
	case errors.Is(err, syscall.ECANCELED):
		a.sched.cancelTask(t, errCanceled)
	case errors.Is(err, syscall.ENOENT):
		a.sched.cancelTask(t, errForgotten)
	default:
		a.log.Debug("report progress", "cookie", cookieText(t.cookie), "fid", t.fid.String(), "err", err)
	}
}
