package jobs

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lhsm-azblob/llapi"
)

// submitFiles is how many files are asked for between two looks at what is done.
const submitFiles = 20 * llapi.MaxRequestItems

// submit fills the window.
func (x *export) submit(ctx context.Context) error {
	x.more = false
	if time.Now().Before(x.hold) || x.r.cancelled() { // one that drains
		return nil
	}
	works, err := x.take(ctx, min(x.room(), submitFiles))
	if err != nil || len(works) == 0 {
		return err
	}
	x.more = x.more || len(works) == submitFiles
	if works, err = x.prepare(ctx, works); err != nil {
		return err
	}
	for call := range slices.Chunk(works, llapi.MaxRequestItems) {
		if time.Now().Before(x.hold) {
			x.queue = append(slices.Clone(call), x.queue...)
			continue
		}
		if err := x.request(ctx, call); err != nil {
			return err
		}
	}
	return x.settle(ctx, nil) // stores what was counted
}

// room is how many requests the window has room for. Those of archive ids that nobody
// serves, so far, have no place in it, since they may keep it for as long as the job lasts.
func (x *export) room() int {
	sent := len(x.flights)
	for _, l := range x.lanes {
		if !l.served {
			sent -= l.flights
		}
	}
	return x.window.room(sent)
}

// take returns up to room files whose turn it is.
func (x *export) take(ctx context.Context, room int) ([]*work, error) {
	if room > 0 {
		if err := x.park(ctx); err != nil {
			return nil, err
		}
	}
	if len(x.queue) < room || len(x.queue) == 0 {
		if err := x.refill(ctx); err != nil {
			return nil, err
		}
	}
	var works []*work
	begun := map[*lane]int{}
	fits := func(w *work) bool {
		l := x.lane(w)
		if len(works) == room || !l.served && l.flights+begun[l] > 0 {
			x.full = x.full || len(works) == room
			return false
		}
		begun[l]++
		works = append(works, w)
		return true
	}
	now := time.Now()
	x.retries = slices.DeleteFunc(x.retries, func(r retry) bool { return r.due.Before(now) && fits(r.work) })
	if len(x.retries) < x.r.m.o.MaxUnfinished { // else whatever ails so many will ail the next
		x.queue = slices.DeleteFunc(x.queue, fits)
	}
	return works, nil
}

// prepare makes files ready to be asked for, and stores that they are about to
// be, so that a process after this one does not ask a second time. It returns
// those that are ready.
func (x *export) prepare(ctx context.Context, works []*work) (ready []*work, err error) {
	errs := make([]error, len(works))
	_ = each(len(works), func(i int) error { // the errors are in errs
		errs[i] = x.prepareOne(works[i])
		return nil
	})
	var noted []*work
	sent := int64(0)
	for i, w := range works {
		sent = max(sent, w.id)
		if lostMount(errs[i]) {
			return nil, errs[i]
		}
		if errs[i] != nil {
			if err := x.rejected(ctx, w, errs[i]); err != nil {
				return nil, err
			}
			continue
		}
		ready = append(ready, w)
		if w.prior != nil {
			noted = append(noted, w)
		}
	}
	err = x.r.commit(ctx, func(t tx, c *change) error {
		c.progress.sent = max(c.progress.sent, sent)
		return t.setWork(noted)
	})
	return ready, err
}

// prepareOne notes the failure and the copy that a file has already, so that they are
// not taken for new ones. A file whose copy is lost is marked dirty, which it is in
// truth: to the coordinator one that is archived and clean needs nothing.
func (x *export) prepareOne(w *work) (err error) {
	if w.flags&llapi.HSExists != 0 || w.attempts > 0 {
		w.prior, err = x.files.Xattr(w.fid, errorXattr)
		if err == nil {
			w.version, err = x.copied(w)
		}
	}
	if err == nil && w.flags&(llapi.HSLost|llapi.HSDirty) == llapi.HSLost {
		err = x.files.MarkDirty(w.fid)
	}
	return err
}

// ofMount drops the error of a file: what is done next with it says what is the matter.
func ofMount(err error) error {
	if lostMount(err) {
		return err
	}
	return nil
}

// request asks for files in one call.
func (x *export) request(ctx context.Context, works []*work) error {
	r := llapi.Request{Action: llapi.UserArchive, ArchiveID: x.r.spec.ArchiveID}
	for _, w := range works {
		r.Items = append(r.Items, w.fid)
	}
	err := x.cdt.Request(r)
	switch {
	case err == nil:
		x.holdFor = 0
		for _, w := range works {
			x.launch(w)
		}
		return nil
	case errors.Is(err, syscall.EAGAIN):
		x.refuse(works)
		return nil
	case lostMount(err):
		return err
	case len(works) > 1:
		return x.oneByOne(ctx, works)
	}
	if fatal := fatalRequest(err); fatal != nil {
		return fatal
	}
	return x.rejected(ctx, works[0], err)
}

// fatalRequest tells by the coordinator's answer that it will give no other to any
// request; nil if that need not be so. The same errors say nothing of the kind when
// something else than the coordinator was asked.
func fatalRequest(err error) error {
	switch {
	case errors.Is(err, unix.EROFS):
		return &fatalError{CodeLustreError, "the file system is mounted read-only, and Lustre takes no archive requests from such a mount"}
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOTTY), errors.Is(err, unix.ENOSYS):
		return &fatalError{CodeHsmDisabled, "the file system takes no HSM requests: " + err.Error()}
	}
	return nil
}

// refuse waits for a coordinator that takes no requests.
func (x *export) refuse(works []*work) {
	x.queue = append(slices.Clone(works), x.queue...)
	x.holdFor = min(max(2*x.holdFor, x.tune.refused), 15*time.Second)
	x.hold = time.Now().Add(x.holdFor)
	x.holdWhy = "the HSM coordinator takes no requests (hsm_control is stopped); on the MDS: lctl set_param mdt.*.hsm_control=enabled"
	x.window.shrink()
}

// oneByOne is for a call that failed for some of its files. Those before were
// recorded all the same, and a second request for one would archive it twice
// at the same time; so the coordinator is asked before.
func (x *export) oneByOne(ctx context.Context, works []*work) error {
	for i, w := range works {
		action, err := x.cdt.Action(w.fid)
		switch {
		case lostMount(err):
			return err
		case err == nil && action.Action == llapi.UserArchive:
			x.launch(w)
			continue
		}
		if err := x.request(ctx, works[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

// rejected is for a file that cannot be asked for, or that the coordinator does not take.
func (x *export) rejected(ctx context.Context, w *work, err error) error {
	f := &flight{work: w, lane: x.lane(w)}
	if gone(err) {
		return x.settle(ctx, []outcome{{flight: f, fate: workVanished, code: CodeFileVanished}})
	}
	o := outcome{flight: f, fate: workFailed, code: codeOfErrno(err), message: "it cannot be asked for: " + shorten(err).Error()}
	if state, e := x.files.State(w.fid); e == nil {
		switch skipReason(state.Flags) {
		case SkipArchived:
			o = outcome{flight: f, fate: workExported}
		case SkipNeverArchive:
			o.message = "it cannot be asked for: never_archive was set on the file after it was found"
		}
	}
	return x.settle(ctx, []outcome{o})
}
