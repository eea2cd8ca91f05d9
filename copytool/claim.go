package copytool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"lhsm-azblob/llapi"
)

// ClaimXattr is the attribute of a Lustre file that says which action alone may change
// or take away the identity that the file has, and delete its copy. A remove has the
// claim from before it reads the identity until its end is taken; an archive that finds
// an identity, for as long as it replaces that.
const ClaimXattr = "trusted.lhsm_azblob_claim"

const (
	// claimTries is how often one who finds a claim looks again before it gives up, with
	// pauses that double from claimFirst: archives have it for a moment only.
	claimTries = 8
	claimFirst = 10 * time.Millisecond
	// claimSettle is between writing over the claim of an action that is over and the
	// look whether somebody else did the same.
	claimSettle = time.Second
	// archivePatience and removePatience are how long an action may go on that others
	// wait for. Then it is ended in their place: its mover may have died for good, and
	// the coordinator will not find out, since each question about an action is a sign
	// of life to it.
	archivePatience = 2 * time.Minute
	removePatience  = 10 * time.Minute
	// claimQuick is how long a claim is taken back without looking whose it is.
	claimQuick = 10 * time.Second
)

// A claim is what [ClaimXattr] holds.
type claim struct {
	Version int          `json:"v"` // 1
	Action  llapi.Action `json:"op"`
	Cookie  uint64       `json:"cookie"`
	FID     string       `json:"fid"` // of the action; another file's if it moves a copy out of its way
	Host    string       `json:"host"`
	Time    time.Time    `json:"t"`
}

func (c *claim) is(o *claim) bool { return c.Cookie == o.Cookie && c.FID == o.FID }

func (c *claim) patience() time.Duration {
	if c.Action == llapi.ActionRemove {
		return removePatience
	}
	return archivePatience
}

// A heldClaim is one that this process has on a file.
type heldClaim struct {
	j     *job
	ref   Ref
	since time.Time
	// afterRemove: it was a remove's, which is over and has not taken it back. What that
	// has asked the storage for may still come.
	afterRemove bool
}

func readClaim(x Xattrs, r Ref) (*claim, error) {
	b, err := x.Get(r, ClaimXattr)
	if errors.Is(err, syscall.ENODATA) {
		return nil, nil
	}
	c := &claim{}
	if err == nil {
		err = json.Unmarshal(b, c)
	}
	if err == nil && c.Version != 1 {
		err = fmt.Errorf("form %d; a newer copytool wrote it", c.Version)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s of %s: %w", ClaimXattr, r.FID, err)
	}
	return c, nil
}

func (j *job) ownClaim() *claim {
	return &claim{Version: 1, Action: j.t.item.Action, Cookie: j.t.cookie, FID: j.t.fid.String(), Host: j.host, Time: time.Now().UTC()}
}

func (j *job) writeClaim(r Ref, mode SetMode) error {
	b, err := json.Marshal(j.ownClaim())
	if err == nil {
		err = j.fs.Set(r, ClaimXattr, b, mode)
	}
	if err != nil {
		return fmt.Errorf("claim the copy of %s: %w", r.FID, err)
	}
	return nil
}

// takeClaim makes this action the one that may change the file's identity. The error
// is a Failure with code Busy if another one is that, and goes on.
func (j *job) takeClaim(ctx context.Context, r Ref) (*heldClaim, error) {
	wait := claimFirst
	for try := 0; ; try++ {
		err := j.writeClaim(r, SetCreate)
		if err == nil {
			return &heldClaim{j: j, ref: r, since: time.Now()}, nil
		}
		if !errors.Is(err, syscall.EEXIST) {
			return nil, err
		}
		there, err := readClaim(j.fs, r)
		switch {
		case err != nil:
			return nil, err
		case there == nil: // given back meanwhile
		case there.is(j.ownClaim()): // of an earlier try, or of the process that died
			return &heldClaim{j: j, ref: r, since: time.Now()}, nil
		case try >= claimTries:
			return j.takeOver(ctx, r, there)
		}
		if sleep(ctx, wait); ctx.Err() != nil {
			return nil, ctx.Err()
		}
		wait *= 2
	}
}

// takeOver takes the claim of an action that is over, or that has had its time. Of two
// who do so at once the one that wrote last has it, and the other sees that.
func (j *job) takeOver(ctx context.Context, r Ref, there *claim) (*heldClaim, error) {
	if err := j.outlive(there); err != nil {
		return nil, err
	}
	if err := j.writeClaim(r, SetAny); err != nil {
		return nil, err
	}
	h := &heldClaim{j: j, ref: r, since: time.Now(), afterRemove: there.Action == llapi.ActionRemove}
	if sleep(ctx, claimSettle); ctx.Err() != nil {
		return nil, ctx.Err()
	}
	j.log.Info("the claim of an action that is over is taken", "of", there.Action.String(), "its_cookie", cookieText(there.Cookie), "host", there.Host)
	return h, h.check()
}

// outlive fails if the claim's action goes on, unless that has had its time.
func (j *job) outlive(there *claim) error {
	fid, err := llapi.ParseFID(there.FID)
	if err != nil {
		return fmt.Errorf("read %s: %w", ClaimXattr, err)
	}
	item := llapi.ActionItem{Action: there.Action, FID: fid, DFID: fid, Extent: llapi.WholeFile, Cookie: there.Cookie}
	alive, err := j.isAlive(item)
	switch {
	case err != nil:
		return failf(Busy, "%s on %s has claimed the file's copy, and the coordinator does not say whether it goes on; ask again: %w", there.Action, there.Host, err)
	case !alive:
		return nil
	case time.Since(there.Time) < there.patience():
		return failf(Busy, "%s on %s, cookie %#x, is at work on the file's copy; ask again when it has ended", there.Action, there.Host, there.Cookie)
	}
	return j.endOther(item)
}

// check fails if the claim is another's by now.
func (h *heldClaim) check() error {
	now, err := readClaim(h.j.fs, h.ref)
	if err != nil {
		return err
	}
	if now == nil || !now.is(h.j.ownClaim()) {
		return failf(Busy, "another action has claimed the file's copy; ask again")
	}
	return nil
}

// giveBack lets others have the claim. If it cannot, they find out that its action is over.
func (h *heldClaim) giveBack() {
	var err error
	if time.Since(h.since) > claimQuick {
		err = h.check() // somebody may have lost patience
	}
	if err == nil {
		err = h.j.fs.Set(h.ref, ClaimXattr, nil, SetAny)
	}
	if err != nil {
		h.j.log.Debug("give the claim on the copy back", "err", err)
	}
}

// isAlive asks the coordinator whether it would take the end of an action, which any
// mover may have. It answers for actions that it has sent and that have not ended. One
// whose cancel waits can still end well. After a restart it knows no archive or remove
// any more, and takes no end of theirs; what it sends anew begins anew.
func (j *job) isAlive(item llapi.ActionItem) (bool, error) {
	err := j.withSession(func(s Session) error { return s.ReportProgress(item, llapi.Extent{}) })
	switch {
	case err == nil, errors.Is(err, syscall.ECANCELED):
		return true, nil
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.EINVAL): // EINVAL: the cookie is another file's
		return false, nil
	}
	return false, fmt.Errorf("ask whether an action goes on: %w", err)
}

// endOther ends another mover's action: its own end will not be taken any more.
func (j *job) endOther(item llapi.ActionItem) error {
	j.log.Warn("an action that others wait for does not end; it is ended in its mover's place", "of", item.Action.String(), "its_cookie", cookieText(item.Cookie))
	err := j.withSession(func(s Session) error { return s.Fail(item, 0, syscall.EBUSY) })
	if err != nil && !errors.Is(err, syscall.ENOENT) {
		return failf(Busy, "end an action in its mover's place: %w", err)
	}
	return nil
}

// A waitError is that an action cannot go on before another one has ended. It has
// done nothing yet that the library would have to be told of.
type waitError struct{ err error }

func (w *waitError) Error() string { return w.err.Error() }
func (w *waitError) Unwrap() error { return w.err }

// maxWait is the longest time between two looks whether another action has ended.
const maxWait = 5 * time.Second

// pause lets the task rest, to begin anew when the other action may have ended.
func (j *job) pause(w *waitError) (rest time.Duration) {
	if j.waits == 0 {
		j.log.Info("waits for another action on the file's copy", "reason", w.err)
	}
	rest = min(minBackoff<<min(j.waits, 10), maxWait)
	j.waits++
	j.t.owing, j.t.redo, j.t.failed = j, true, false
	return rest
}

// await returns when none of the file's archives goes on that have these cookies, and
// else a waitError. The coordinator would call the file archived when they end.
func (j *job) await(cookies ...uint64) error {
	for _, cookie := range cookies {
		if cookie == 0 { // a copytool of before cookies were noted has written the blob
			continue
		}
		item := llapi.ActionItem{Action: llapi.ActionArchive, FID: j.t.fid, DFID: j.t.fid, Extent: llapi.WholeFile, Cookie: cookie}
		alive, err := j.isAlive(item)
		switch {
		case err != nil:
			return &waitError{err}
		case !alive:
			continue
		}
		err = fmt.Errorf("the archive with cookie %#x has not ended", cookie)
		if j.awaited != cookie {
			j.awaited, j.awaitedSince = cookie, time.Now()
		} else if time.Since(j.awaitedSince) > archivePatience {
			j.awaited = 0
			err = errors.Join(err, j.endOther(item))
		}
		return &waitError{err}
	}
	return nil
}

// stillAlive are those of the cookies that other archives of the file have, and that
// are not over.
func (j *job) stillAlive(cookies []uint64) []uint64 {
	return slices.DeleteFunc(slices.Clone(cookies), func(cookie uint64) bool {
		if cookie == j.t.cookie {
			return true
		}
		alive, err := j.isAlive(llapi.ActionItem{Action: llapi.ActionArchive, FID: j.t.fid, Cookie: cookie})
		return err == nil && !alive
	})
}
