package jobs

import (
	"context"
	"slices"
	"time"
)

// Files of a lane that nobody serves wait for its one request, which may be for as
// long as the job lasts. They must not wait in the queue, where they would stop those
// of every other lane, nor all in memory. So they go back into the table, to be read
// again when their lane can take one.

// waits tells whether the files of a lane cannot go for some time: its request has
// had enough to begin, and has not.
func (x *export) waits(l *lane) bool {
	return !l.served && l.flights > 0 && time.Since(l.tried) > 2*x.tune.probe
}

// park puts files of the queue aside that cannot go. There is no sense in it where all
// files of the job go to one archive.
func (x *export) park(ctx context.Context) error {
	if x.r.spec.ArchiveID != 0 {
		return nil
	}
	var parked []*work
	for _, w := range x.queue {
		if w.attempts == 0 && x.waits(x.lane(w)) { // those that were asked for before are few
			w.status = workParked
			parked = append(parked, w)
		}
	}
	if len(parked) == 0 {
		return nil
	}
	if err := x.r.m.store.tx(ctx, func(t tx) error { return t.setWork(parked) }); err != nil {
		return err
	}
	for _, w := range parked {
		l := x.lane(w)
		l.parked, l.unparked = true, min(l.unparked, w.id-1)
	}
	x.queue = slices.DeleteFunc(x.queue, func(w *work) bool { return w.status == workParked })
	x.more = true
	return nil
}

// unpark reads files of a lane that can go again.
func (x *export) unpark(ctx context.Context) error {
	for _, l := range x.lanes {
		if !l.parked || !l.served && l.flights > 0 {
			continue
		}
		works, err := x.r.m.store.unpark(ctx, l.archive, l.unparked, listPage)
		if err != nil {
			return err
		}
		x.queue = append(x.queue, works...)
		l.parked = len(works) == listPage
		if l.parked {
			l.unparked = works[len(works)-1].id
		}
	}
	return nil
}

// anyParked tells whether files are put aside.
func (x *export) anyParked() bool {
	for _, l := range x.lanes {
		if l.parked {
			return true
		}
	}
	return false
}

// findParked takes over what a process before this one has put aside.
func (x *export) findParked(ctx context.Context) error {
	archives, err := x.r.m.store.parkedArchives(ctx)
	for _, a := range archives {
		x.laneOf(a).parked = true
	}
	return err
}
