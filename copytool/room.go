package copytool

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// How long a restore that nobody waits for waits for room in Lustre, and how long
// it is from one look to the next: it doubles from roomFirst to roomLongest.
const (
	roomPatience = 30 * time.Minute
	roomFirst    = time.Second
	roomLongest  = time.Minute
)

// mostMoves is how many nameless files more a restore may begin.
const mostMoves = 2

// A room is where restores wait that found no space in Lustre. Somebody who asks
// for thousands of files at once and fills the file system wants the others when
// there is space again, and not thousands of failures within a minute.
type room struct {
	turn chan struct{} // held by the one who looks next

	mu    sync.Mutex    // guards all below
	wait  time.Duration // until the next look
	found chan struct{} // closed when somebody who waited has found space
}

func newRoom() *room {
	return &room{turn: make(chan struct{}, 1), wait: roomFirst, found: make(chan struct{})}
}

// await returns when it is time to try again: after a while if it is this
// caller's turn to look, at once if another one has found space.
func (r *room) await(ctx context.Context) {
	found := r.news()
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
		timer := time.NewTimer(r.next())
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-found:
		case <-ctx.Done():
		}
	case <-found:
	case <-ctx.Done():
	}
}

func (r *room) news() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.found
}

func (r *room) next() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait := r.wait
	r.wait = min(2*wait, roomLongest)
	return wait
}

// spread tells all who wait that there is space.
func (r *room) spread() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.found)
	r.found, r.wait = make(chan struct{}), roomFirst
}

// whenThereIsRoom does a restore as soon as Lustre has the space: at once where it is
// only short of it on some targets. Meanwhile no other begins that nobody waits for. A
// blocked reader is told at once: it has waited enough, and may know better what to do.
func (j *job) whenThereIsRoom(ctx context.Context, restore func() error) error {
	giveUp, cancel := context.WithTimeout(ctx, roomPatience)
	defer cancel()
	waited := false
	for {
		err := restore()
		if err == nil && waited {
			j.room.spread()
		}
		if VerdictFor(err).Code != NoSpace || giveUp.Err() != nil {
			return err
		}
		if j.startsOver() {
			continue
		}
		if j.t.urgent {
			return err
		}
		if !waited {
			waited = true
			j.log.Warn("Lustre has no room for a restore; it and others that nobody waits for are held back for now", "patience", roomPatience, "err", err)
		}
		if err := j.giveBack(); err != nil {
			return err
		}
		j.sched.park(j.t, func() { j.room.await(giveUp) })
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// startsOver gives the nameless file up for another if the file system as a whole has
// room for it: then it is the targets of this one that are full, and the next will be
// on others.
func (j *job) startsOver() bool {
	if j.action == nil || j.moves == mostMoves {
		return false
	}
	if free, err := j.fs.Free(); err != nil || free < j.size {
		return false
	}
	j.moves++
	_ = j.giveBack() // now, and not only with the file
	j.abandon()
	return true
}

// giveBack frees the space that a restore has taken so far.
func (j *job) giveBack() error {
	if j.file == nil {
		return nil
	}
	j.t.moved.Store(0)
	if err := j.file.Truncate(0); err != nil {
		return fmt.Errorf("empty the restored file: %w", err)
	}
	return nil
}
