package jobs

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"lhsm-azblob/llapi"
)

// An outcome is what became of a flight.
type outcome struct {
	*flight
	fate    workStatus // workOpen: nothing yet
	begun   bool       // a copytool has it
	code    Code
	message string
	etag    string
	noted   []byte // the error on the file that says so
	again   bool   // it may be asked for again

	state    llapi.StateFlags // the file's, now
	stateErr error            // why it cannot be told
}

// followFiles is how many flights are looked at before it is decided whether
// it is worth while to go on.
const followFiles = 128

// follow looks for flights that have ended. The coordinator works in the order
// of requests, more or less, so it looks at the oldest, and goes on as long as a
// good part of them has ended. A part of the rest is looked at in turn, for
// those that overtake.
func (x *export) follow(ctx context.Context) error {
	flights := slices.Clone(x.flights)
	seen, err := x.followFrom(ctx, flights)
	if err != nil {
		return err
	}
	found := len(flights) - len(x.flights)
	if rest := flights[seen:]; len(rest) > 0 {
		at := x.rotation % len(rest)
		n, err := x.followFrom(ctx, rest[at:])
		if err != nil {
			return err
		}
		x.rotation = at + n
		found = len(flights) - len(x.flights)
	}
	if found > 0 || len(flights) == 0 {
		x.interval = x.tune.pollLeast
	} else {
		x.interval = min(x.interval*3/2, x.tune.pollMost)
	}
	return nil
}

// followFrom looks at flights from the first on, and returns at how many.
func (x *export) followFrom(ctx context.Context, flights []*flight) (seen int, err error) {
	for part := range slices.Chunk(flights, followFiles) {
		seen += len(part)
		outcomes, err := lookAt(part, x.look)
		if err != nil {
			return seen, err
		}
		if err := x.settle(ctx, outcomes); err != nil {
			return seen, err
		}
		if ended(outcomes)*4 < len(part) {
			break
		}
	}
	return seen, nil
}

func ended(outcomes []outcome) (n int) {
	for _, o := range outcomes {
		if o.fate != workOpen {
			n++
		}
	}
	return n
}

// lookAt looks at some flights at once.
func lookAt(flights []*flight, look func(*flight) (outcome, error)) ([]outcome, error) {
	outcomes := make([]outcome, len(flights))
	err := each(len(flights), func(i int) (err error) {
		outcomes[i], err = look(flights[i])
		return err
	})
	return outcomes, err
}

// look reads from a file whether its archive has ended, well or not. It changes
// nothing, so it can be called for many at once.
func (x *export) look(f *flight) (outcome, error) {
	o, err := x.lookAtState(f)
	if err != nil || o.fate != workOpen || o.state&llapi.HSExists == 0 && o.stateErr == nil {
		return o, err
	}
	noted, err := x.files.Xattr(f.fid, errorXattr)
	if err != nil || noted == nil || bytes.Equal(noted, f.prior) {
		return o, ofMount(err)
	}
	return x.failed(o, noted), nil
}

// lookAtState reads from a file whether it is in the archive, or gone. To be asked it is
// opened, which may fail for this file alone: that is no reason to hold up the others.
func (x *export) lookAtState(f *flight) (outcome, error) {
	o := outcome{flight: f}
	state, err := x.files.State(f.fid)
	switch {
	case gone(err):
		o.fate, o.code, o.message = workVanished, CodeFileVanished, "the file was removed before its archive ended"
		return o, nil
	case err != nil:
		o.stateErr = err
		return o, ofMount(err)
	case archived(state.Flags), state.Flags&^f.flags&llapi.HSArchived != 0:
		// The second is a file that was archived for the first time, and has changed again
		// since. Of one that was archived before, its state does not tell that it was again.
		o.fate = workExported
		return o, x.addETag(&o)
	}
	o.state = state.Flags
	o.begun = state.Flags&^f.flags&llapi.HSExists != 0
	return o, nil
}

// failed reads the outcome from what the copytool noted on the file.
func (x *export) failed(o outcome, noted []byte) outcome {
	last, err := parseLastError(noted)
	if err != nil {
		last = LastError{Op: "ARCHIVE", Code: CodeInternal, Message: fmt.Sprintf("the note on the file cannot be read: %v", err)}
	}
	if last.Op != "ARCHIVE" {
		return o // the failure of a restore, say, that somebody else asked for
	}
	if o.unsure && last.Time.Before(x.r.started().Truncate(time.Second)) {
		return o // it need not have been asked for at all, and this is an old failure
	}
	o.fate, o.noted, o.code, o.message = workFailed, noted, last.Code, last.Message
	switch last.Code {
	case CodeFileChanged:
		o.fate, o.again = workChanged, true
	case "ShuttingDown", "Throttled", "AccountUnreachable", "Forgotten", "NotReported":
		o.again = true // they pass; the copytool's manual says "ask again"
	}
	return o
}

// copied reads of which data version the file's copy is.
func (x *export) copied(w *work) (uint64, error) {
	b, err := x.files.Xattr(w.fid, identityXattr)
	if err != nil || b == nil {
		return 0, err
	}
	version, err := parseCopied(b)
	if err != nil {
		return 0, nil // nobody knows what it was written by
	}
	return version, nil
}

// isCopiedAnew tells of a flight that the coordinator does not know any more whether our
// copytool has archived it, though its state says that it was changed since an archive,
// as that of a log does most of the time. The copytool writes of which data the copy is
// before it ends an archive, and takes that off to remove it; before a process that died
// sent it, nobody has read that.
func (x *export) isCopiedAnew(o *outcome) (bool, error) {
	if o.unsure || o.state&(llapi.HSArchived|llapi.HSLost) != llapi.HSArchived {
		return false, nil
	}
	version, err := x.copied(o.work)
	return err == nil && version != 0 && version != o.version, ofMount(err)
}

// addETag notes which blob it is, for a report that lists every file.
func (x *export) addETag(o *outcome) error {
	if !x.r.spec.ReportAll {
		return nil
	}
	b, err := x.files.Xattr(o.fid, identityXattr)
	if err == nil && b != nil {
		if id, err := parseIdentity(b); err == nil { // another copytool's file has none that we know
			o.etag = id.ETag
		}
	}
	return ofMount(err)
}
