package jobs

import (
	"context"
	"fmt"
	"time"

	"lhsm-azblob/llapi"
)

// Bounds of the questions to the coordinator. It reads its whole log for each.
const (
	verifyShare = 0.1 // of the time, at most, is spent on them
	alarmShare  = 0.5 // while requests turn out to be lost
	mostPause   = 5 * time.Minute
)

// verify asks the coordinator about flights that take suspiciously long. A
// request that it does not know any more was lost: a copytool that notes nothing
// failed, somebody cancelled or purged it, it timed out, or the service was
// killed before it was sent.
func (x *export) verify(ctx context.Context) error {
	start := time.Now()
	share := verifyShare
	if x.alarm {
		share = alarmShare
	}
	budget := time.Duration(float64(start.Sub(x.verified)) * share)
	for _, f := range x.suspects(start) {
		if err := x.ask(ctx, f); err != nil {
			return err
		}
		x.verified = time.Now()
		if x.verified.Sub(start) > budget {
			return nil
		}
	}
	return nil
}

// suspects are the flights that it is time to ask about, the oldest first.
func (x *export) suspects(now time.Time) []*flight {
	var list []*flight
	for _, f := range x.flights {
		if now.After(f.check) {
			list = append(list, f)
		}
	}
	return list
}

// ask finds out what the coordinator does with a flight.
func (x *export) ask(ctx context.Context, f *flight) error {
	action, err := x.cdt.Action(f.fid)
	if lostMount(err) {
		return err
	}
	f.pause = min(2*f.pause, mostPause)
	f.check = time.Now().Add(f.pause)
	x.alarm = false
	if err != nil || action.Action == llapi.UserNone {
		return x.missing(ctx, f, err)
	}
	f.untold = false
	if action.Action != llapi.UserArchive {
		return nil // something else of the file's is on
	}
	f.waiting = action.State == llapi.ProgressWaiting
	if action.State == llapi.ProgressRunning {
		if !f.running || action.Location.Length != f.moved {
			x.move(f.lane)
		}
		f.running, f.moved = true, action.Location.Length
	}
	return nil
}

// missing is for a flight that the coordinator does not know, or cannot be asked about.
// It may have ended since it was looked at, and whatever its end has left was there before.
func (x *export) missing(ctx context.Context, f *flight, asked error) error {
	o, err := x.look(f)
	if err != nil {
		return err
	}
	before := f.untold
	f.untold = o.stateErr != nil
	switch {
	case o.fate != workOpen:
	case f.untold && !before: // it may pass, as when the client was evicted
	case o.stateErr != nil:
		o.fate, o.code = workFailed, codeOfErrno(o.stateErr)
		o.message = "it cannot be told what becomes of its archive, which was asked for: " + shorten(o.stateErr).Error()
	case asked == nil || gone(asked): // else the coordinator may say it later
		if err := x.unreported(&o); err != nil {
			return err
		}
	}
	return x.settle(ctx, []outcome{o})
}

// unreported decides about a request that came to an end of which the file's state and
// its notes say nothing.
func (x *export) unreported(o *outcome) error {
	anew, err := x.isCopiedAnew(o)
	switch {
	case err != nil:
		return err
	case anew:
		o.fate = workExported
		return x.addETag(o)
	}
	x.lost(o)
	return nil
}

// lost decides about a request that came to nothing. Others will have been lost with it.
func (x *export) lost(o *outcome) {
	x.alarm = true
	now := time.Now()
	for _, f := range x.flights {
		if f.check.After(now) {
			f.check = now
		}
	}
	if o.unsure {
		// It need not have been sent at all: that is no attempt of the file's.
		o.attempts--
		x.r.m.log.Debug("ask again for what another process may have asked for", "job", x.r.id, "fid", o.fid)
	}
	o.fate, o.again, o.code = workFailed, true, CodeRequestLost
	o.message = fmt.Sprintf("%d requests came to an end without a result: the coordinator's queue was purged, its time was up, somebody cancelled them, "+
		"or the copytool failed and said nothing; look at its log", o.attempts+1)
}

// adjust steers the window, if that is what holds files back.
func (x *export) adjust(context.Context) error {
	now := time.Now()
	if !x.full || now.Sub(x.adjusted) < adjustPause {
		return nil
	}
	waiting, known, err := x.youngestWaits(now)
	if err != nil || !known {
		return err
	}
	x.full, x.adjusted = false, now
	x.window.adjust(waiting, x.speed.value(now))
	return nil
}

// Times of the window.
const (
	adjustPause = 100 * time.Millisecond
	askPause    = time.Second // between two questions about the youngest flight
)

// youngestWaits tells whether the youngest request is still in the queue. Of a file
// that was never archived its state tells; of another only the coordinator knows.
func (x *export) youngestWaits(now time.Time) (waiting, known bool, err error) {
	if len(x.flights) == 0 {
		return false, true, nil
	}
	f := x.flights[len(x.flights)-1]
	if f.running {
		return false, true, nil
	}
	state, err := x.files.State(f.fid)
	if err != nil {
		return false, false, ofMount(err)
	}
	if archived(state.Flags) {
		return false, true, nil
	}
	if f.flags&llapi.HSExists == 0 {
		return state.Flags&llapi.HSExists == 0, true, nil
	}
	if now.Sub(x.asked) < askPause {
		return false, false, nil
	}
	x.asked = now
	action, err := x.cdt.Action(f.fid)
	if lostMount(err) {
		return false, false, err
	}
	return err == nil && action.State == llapi.ProgressWaiting && action.Action == llapi.UserArchive, err == nil, nil
}
