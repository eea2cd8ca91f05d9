package copytool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
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
	start   time.Time
	archive *Archive
	ref     Ref // of the Lustre file
	log     *slog.Logger

	action Action   // nil until begun
	file   *os.File // the data: the file itself, or what a restore writes into

	path    string // for the log, when it becomes known
	blob    blobstore.Name
	size    int64      // of the file, for the log
	sized   bool       // it is known
	bytes   int64      // moved, for the log
	version uint64     // of the data that an archive has copied
	wrote   BlobRef    // what an archive has uploaded itself, if anything
	claim   *heldClaim // of a remove, on its file's copy

	moves int // of a restore, to another nameless file

	waits        int    // how often it has waited for another action
	awaited      uint64 // the cookie of that
	awaitedSince time.Time

	recorder *recorder // of requests, where traces are wanted

	verdict Verdict // what the coordinator is told
	err     error   // the reason
	debt    debt    // what the coordinator has not taken

	hasError bool // the file carries ErrorXattr
	// afterwards runs when the coordinator has taken a success.
	afterwards func(ctx context.Context)
}

// run takes a task to its end. Every path through it leads to one report: an
// action that gets none stays "started" at the coordinator until its timeout. If
// nobody takes the report, it says how long the task shall rest before the next.
func (a *Agent) run(ctx context.Context, t *task) (rest time.Duration) {
	j := a.jobOf(t)
	defer j.close()
	ctx = j.listen(ctx)
	err := j.outcome(ctx)
	if !j.leavesDebt(err) {
		rest = j.conclude(err)
	}
	switch {
	case rest > 0:
		return rest
	case j.debt.left:
		j.leave()
		return 0
	}
	a.o.Journal.ended(t)
	if j.claim != nil {
		j.claim.giveBack()
	}
	if j.verdict.Code == OK && j.afterwards != nil {
		j.afterwards(context.WithoutCancel(ctx))
	}
	j.finished()
	j.tell()
	return 0
}

// jobOf is the job of a task: a new one, or the one that still owes its end.
func (a *Agent) jobOf(t *task) *job {
	if t.owing != nil {
		return t.owing
	}
	return &job{
		Agent: a, t: t, ref: Ref{FID: t.fid}, start: time.Now(),
		log: a.log.With("op", t.item.Action.String(), "cookie", cookieText(t.cookie), "fid", t.fid.String()),
	}
}

// outcome is what there is to tell the coordinator.
func (j *job) outcome(ctx context.Context) error {
	cause := j.t.cause
	switch {
	case j.debt.failure != nil && (cause == nil || errors.Is(cause, errShuttingDown)):
		return j.debt.failure
	case cause != nil:
		return cause
	case j.debt.success:
		return settle(ctx, j.succeedAgain(ctx))
	}
	return settle(ctx, j.perform(ctx))
}

// conclude reports an outcome, unless that is only that nobody could be asked.
func (j *job) conclude(err error) (rest time.Duration) {
	var unheard *unheardError
	if errors.As(err, &unheard) {
		return j.owe(unheard.err)
	}
	var wait *waitError
	if errors.As(err, &wait) {
		return j.pause(wait)
	}
	j.decide(j.unlessReleased(err))
	j.t.retry.Store(j.verdict.Retry)
	j.t.ending.Store(true)
	rerr := j.report(j.verdict)
	j.answered(j.t, rerr)
	if rerr != nil {
		return j.notReported(rerr)
	}
	return 0
}

// decide fixes the verdict, and notes it on the file.
func (j *job) decide(err error) {
	j.verdict, j.err = VerdictFor(err), err
	j.note(j.verdict, err)
}

// setPath notes the file's path, for the log and for who looks on.
func (j *job) setPath(path string) {
	j.path = path
	j.t.path.Store(&path)
}

// setSize does the same for its size.
func (j *job) setSize(n int64) {
	j.size, j.sized = n, true
	j.t.size.Store(n)
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
	if j.t.adopted || j.debt.tries > 0 || j.waits > 0 {
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
	switch {
	case errors.Is(err, syscall.ECANCELED):
		return errCanceled
	case errors.Is(err, syscall.ENOENT) && j.fileLives():
		j.sched.cancelTask(j.t, errForgotten) // it may be sent again at any moment
		return errForgotten
	case err != nil:
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

// fileLives tells what ENOENT means: that the file is gone, or that the coordinator
// does not know the action.
func (j *job) fileLives() bool {
	_, err := j.fs.Stat(j.t.fid)
	return err == nil
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
	case j.action != nil && v.Code == Forgotten && j.t.item.Action == llapi.ActionRestore:
		_ = j.giveBack() // now, and not only with the file
		j.abandon()
		return nil
	case j.action != nil:
		return j.action.End(llapi.Extent{Length: uint64(j.t.moved.Load())}, v.flags(), v.Errno)
	case v.Code == Forgotten:
		return nil // an error now could hit the same action sent again
	}
	return j.fail(v)
}

// abandon lets go of a restore that the coordinator does not know any more. One
// that was restarted sends its restores again, under their old cookies, and an end
// said now could hit that. Archives and removes are never sent twice.
func (j *job) abandon() {
	action := j.action
	j.close()
	action.Abandon()
}

// fail ends the action without its descriptors.
func (j *job) fail(v Verdict) error {
	return j.withSession(func(s Session) error { return s.Fail(j.t.item, v.flags(), v.Errno) })
}

// notReported decides what follows when the coordinator did not take the verdict.
func (j *job) notReported(rerr error) (rest time.Duration) {
	forgotten := errors.Is(rerr, syscall.ENOENT)
	if forgotten {
		j.sched.cancelTask(j.t, errForgotten) // it may be sent again at any moment
	}
	switch {
	case j.verdict.Code != OK && forgotten: // it had given up on the action before we did
	case j.verdict.Code != OK:
		j.debt.failure = j.err
		return j.owe(rerr)
	case forgotten:
		j.decide(failf(Forgotten, "the coordinator no longer knows the action; what was copied stays: %w", rerr))
	case errors.Is(rerr, syscall.EBUSY):
		// The kernel looks at the data version once more, later than we could.
		j.decide(failf(FileChanged, "the file changed after its copy was complete; the copy is good, and older than the file: %w", rerr))
	case errors.Is(rerr, syscall.EOPNOTSUPP):
		// Only mdd_swap_layouts says so, and by then the coordinator has ended it.
		j.decide(fmt.Errorf("what was restored has a layout that Lustre does not give the file: %w", rerr))
	case errors.Is(rerr, syscall.EINVAL):
		j.action = nil // that it failed can still be said
		return j.conclude(failf(NotReported, "the coordinator waits for the volatile file of a process that died, and takes no other; ask again: %w", rerr))
	default:
		j.debt.success = true
		return j.owe(rerr)
	}
	return 0
}

// finished writes the one line about the action, and counts it.
func (j *job) finished() {
	op, took, v := j.t.item.Action.String(), time.Since(j.start), j.verdict
	j.metrics.actionDone(op, v.Code, took)
	if v.Code == AuthFailed || v.Code == OK {
		j.refused.Store(v.Code == AuthFailed)
	}
	attrs := j.figures(v.Code, took)
	switch {
	case v.Code == Forgotten && j.t.adopted:
		j.log.Info("the action was over already", attrs...)
		return
	case v.Code == Canceled:
		j.log.Info("action canceled", append(attrs, "errno", int(v.Errno))...)
		return
	case j.err != nil:
		j.failures.add(FailedAction{Time: time.Now(), Op: op, FID: j.t.fid.String(), Path: j.path, Code: v.Code, Message: j.err.Error()})
		j.log.Warn("action failed", append(attrs, "errno", int(v.Errno), "retry", v.Retry, "err", j.err)...)
		return
	}
	j.log.Info("action done", attrs...)
}

// figures are what the line about an action says of it: the size of the file, where
// that was found out, the bytes that were moved, none if the copy was there already,
// and how long it took.
func (j *job) figures(code Code, took time.Duration) []any {
	attrs := []any{"code", string(code), "path", j.path, "blob", string(j.blob)}
	if j.sized {
		attrs = append(attrs, "size", j.size)
	}
	attrs = append(attrs, "bytes", j.bytes, "seconds", round(took.Seconds()))
	if j.bytes > 0 && took > 0 {
		attrs = append(attrs, "mib_per_second", round(float64(j.bytes)/(1<<20)/took.Seconds()))
	}
	return attrs
}

// round is to the precision that is worth reading.
func round(f float64) float64 { return math.Round(f*1000) / 1000 }

// close closes what the library has freed by now, so that the job can begin anew.
func (j *job) close() {
	if j.file != nil {
		_ = j.file.Close() // what was written has been synced
	}
	j.action, j.file, j.ref.File = nil, nil, nil
}

// sizeOf is the size of the file a task is about. A failure is not worth a
// word: the action itself will run into it.
func (a *Agent) sizeOf(t *task) int64 {
	attr, err := a.fs.Stat(t.fid)
	if err != nil {
		return 0
	}
	t.size.Store(attr.Size)
	return attr.Size
}
