package copytool

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"lhsm-azblob/llapi"
)

// A debt is an end that the coordinator has not taken: it was stopped, its
// metadata server was away, or this client was evicted. The action rests, without a
// slot, and its end is said again until it is taken, until the coordinator says
// that it does not know the action, or until the process stops; then the journal
// keeps it for the next. Else the action would hold one of the coordinator's slots,
// and its readers, for an hour.
type debt struct {
	success bool  // the work is done
	failure error // or this is why it is not
	tries   int
	left    bool // to the next process
}

// maxRest is the longest time between two tries to report an end: they cost little,
// and somebody may wait for what is done already.
const maxRest = 30 * time.Second

// An unheardError is that the coordinator could not be asked or told. It says
// nothing about the action.
type unheardError struct{ err error }

func (u *unheardError) Error() string { return u.err.Error() }
func (u *unheardError) Unwrap() error { return u.err }

// owe notes that an end was not taken, and tells for how long the task shall rest.
func (j *job) owe(err error) (rest time.Duration) {
	j.debt.tries++
	if j.debt.left = errors.Is(j.t.cause, errShuttingDown); j.debt.left {
		return 0
	}
	j.t.owing = j
	j.t.failed = j.debt.failure != nil
	j.t.redo = !j.t.failed && (!j.debt.success || j.t.item.Action == llapi.ActionRestore)
	rest = min(minBackoff<<min(j.debt.tries-1, 10), maxRest)
	log := j.log.Debug
	if j.debt.tries == 1 {
		log = j.log.Warn
	}
	log("the coordinator does not take the end; it is said again", "err", err, "next_try", rest)
	return rest
}

// leavesDebt tells whether an outcome is only that the process stops, of an action
// whose work is done. To fail it now would undo that, so the next process says it.
func (j *job) leavesDebt(err error) bool {
	j.debt.left = j.debt.success && j.o.Journal != nil && errors.Is(err, errShuttingDown)
	return j.debt.left
}

// leave writes the one line about an action that the next process ends.
func (j *job) leave() {
	took := time.Since(j.start)
	j.metrics.actionDone(j.t.item.Action.String(), NotReported, took)
	j.log.Warn("action left to the next start; the coordinator does not take its end", j.figures(NotReported, took)...)
}

// succeedAgain brings an action whose work is done to where its end can be reported
// once more. The library has freed it, so it is begun anew. A restore has lost the
// file that it had written with that, and is done again.
func (j *job) succeedAgain(ctx context.Context) error {
	if j.t.item.Action == llapi.ActionRestore {
		return j.perform(ctx)
	}
	if err := j.stillWanted(); err != nil {
		return err
	}
	if err := j.begin(-1, 0); err != nil {
		if errors.Is(err, syscall.ENOENT) || errors.Is(err, errCanceled) {
			return err
		}
		return &unheardError{err}
	}
	if j.t.item.Action != llapi.ActionArchive {
		return nil
	}
	// The kernel compares with the version at this begin, not at the first.
	j.ref.File = j.file
	now, err := j.fs.DataVersion(j.file)
	switch {
	case err != nil:
		return fmt.Errorf("data version: %w", err)
	case now != j.version:
		return failf(FileChanged, "the file changed after its copy was complete; the copy is good, and older than the file")
	}
	if j.afterwards == nil {
		return nil // the file was released, and nothing had to be recorded
	}
	return j.stillRecorded()
}
