package copytool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
)

// A job is an action that has a slot: what the handlers work on.
type job struct {
	*Agent
	t       *task
	archive *Archive
	ref     Ref // of the Lustre file
	log     *slog.Logger

	action Action   // nil until begun
	file   *os.File // the data: the file itself, or what a restore writes into

	path  string // for the log, when it becomes known
	blob  blobstore.Name
	bytes int64 // moved, for the log

	open     bool // the coordinator has not heard of the end: the next process says it
	hasError bool // the file carries ErrorXattr
	// afterwards runs when the coordinator has taken a success.
	afterwards func(ctx context.Context)
}

// run takes a task to its end. Every path through it leads to one report: an
// action that gets none stays "started" at the coordinator until its timeout.
func (a *Agent) run(ctx context.Context, t *task) {
	start := time.Now()
	j := &job{
		Agent: a, t: t, ref: Ref{FID: t.fid},
		log: a.log.With("op", t.item.Action.String(), "cookie", cookieText(t.cookie), "fid", t.fid.String()),
	}
	defer j.close()
	err := t.cause
	if err == nil {
		err = settle(ctx, j.perform(ctx))
	}
	v := VerdictFor(err)
	j.note(v, err)
	t.ending.Store(true)
	if rerr := j.report(v); rerr != nil {
		v, err = j.notReported(v, err, rerr)
	}
	if !j.open {
		a.o.Journal.ended(t)
	}
	if v.Code == OK && j.afterwards != nil {
		j.afterwards(context.WithoutCancel(ctx))
	}
	j.finished(v, err, time.Since(start))
}

// cookieText is a cookie as Lustre prints it.
func cookieText(cookie uint64) string { return fmt.Sprintf("%#x", cookie) }

// settle puts the cause in place of what a cancelled context led to.
func settle(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return context.Cause(ctx)
}

func (j *job) perform(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if j.t.adopted {
		if err := j.stillWanted(); err != nil {
			return err
		}
	}
	archive, err := j.archives.byID(j.t.archiveID)
	if err != nil {
		return err
	}
	j.archive = archive
	switch j.t.item.Action {
	case llapi.ActionArchive:
		return j.doArchive(ctx)
	case llapi.ActionRestore:
		return j.doRestore(ctx)
	default:
		return j.doRemove(ctx)
	}
}

// begin tells the coordinator that the work starts, and opens the data.
func (j *job) begin(mdtIndex, openFlags int) error {
	item := j.t.item
	// A restore that is sent again can carry the volatile file of its first life.
	item.DFID = item.FID
	var action Action
	err := j.withSession(func(s Session) (err error) {
		action, err = s.Begin(item, mdtIndex, openFlags)
		return err
	})
	if errors.Is(err, syscall.ECANCELED) {
		return errCanceled
	}
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	j.action = action
	if item.Action == llapi.ActionRemove {
		return nil // has no data
	}
	if j.file, err = action.File(); err != nil {
		return fmt.Errorf("begin: data descriptor: %w", err)
	}
	return nil
}

// withSession makes a call to the newest session. The one it has just looked at
// may be replaced and closed under it.
func (a *Agent) withSession(call func(Session) error) error {
	for {
		s := a.session.Load()
		err := call(*s)
		if !errors.Is(err, llapi.ErrClosed) || a.session.Load() == s {
			return err
		}
	}
}

// report is the one end of the action.
func (j *job) report(v Verdict) error {
	switch {
	case j.action != nil:
		var flags llapi.EndFlags
		if v.Retry {
			flags = llapi.EndRetry
		}
		return j.action.End(llapi.Extent{Length: uint64(j.t.moved.Load())}, flags, v.Errno)
	case v.Code == Forgotten:
		return nil // an error now could hit the same action sent again
	}
	return j.fail(v.Errno)
}

// fail ends the action without its descriptors.
func (j *job) fail(errno syscall.Errno) error {
	return j.withSession(func(s Session) error { return s.Fail(j.t.item, errno) })
}

// notReported is the verdict when the coordinator did not take the one we had.
func (j *job) notReported(v Verdict, err, rerr error) (Verdict, error) {
	if errors.Is(rerr, syscall.ENOENT) {
		j.sched.cancelTask(j.t, errForgotten) // it may be sent again at any moment
	}
	switch {
	case v.Code != OK && errors.Is(rerr, syscall.ENOENT):
		return v, err // it had given up on the action before we did
	case v.Code != OK:
		j.log.Warn("report the end", "err", rerr)
		j.failAfterAll(v)
		return v, err
	case errors.Is(rerr, syscall.EBUSY):
		// The kernel looks at the data version once more, later than we could.
		rerr = failf(FileChanged, "the file changed after its copy was complete; the copy is good, and older than the file: %w", rerr)
	case errors.Is(rerr, syscall.ENOENT):
		rerr = failf(Forgotten, "the coordinator no longer knows the action; what was copied stays: %w", rerr)
	case j.t.adopted && errors.Is(rerr, syscall.EINVAL):
		rerr = failf(NotReported, "the coordinator waits for the volatile file of a process that died, and takes no other; ask again: %w", rerr)
	default:
		rerr = failf(NotReported, "report the end: %w", rerr)
	}
	v = VerdictFor(rerr)
	j.note(v, rerr)
	if v.Code == NotReported {
		j.failAfterAll(v)
	}
	return v, rerr
}

// failAfterAll is for an action whose end did not reach the coordinator, as
// happens once when the client was evicted. The library has freed it and cannot
// send the same again; but that it failed can still be said. Else it keeps its
// slot, and its readers waiting, for an hour.
func (j *job) failAfterAll(v Verdict) {
	if err := j.fail(v.Errno); err != nil {
		j.open = true
		j.log.Warn("the coordinator does not take the end; the next start tries again", "err", err)
	}
}

// finished writes the one line about the action, and counts it.
func (j *job) finished(v Verdict, err error, took time.Duration) {
	op := j.t.item.Action.String()
	j.metrics.actionDone(op, v.Code, took)
	attrs := []any{"code", string(v.Code), "path", j.path, "blob", string(j.blob), "bytes", j.bytes, "seconds", took.Seconds()}
	if v.Code == Forgotten && j.t.adopted {
		j.log.Info("the action was over already", attrs...)
		return
	}
	if err != nil {
		j.log.Warn("action failed", append(attrs, "errno", int(v.Errno), "retry", v.Retry, "err", err)...)
		return
	}
	j.log.Info("action done", attrs...)
}

func (j *job) close() {
	if j.file != nil {
		_ = j.file.Close() // what was written has been synced
	}
}

// sizeOf is the size of the file a task is about. A failure is not worth a
// word: the action itself will run into it.
func (a *Agent) sizeOf(t *task) int64 {
	attr, err := a.fs.Stat(t.fid)
	if err != nil {
		return 0
	}
	return attr.Size
}
