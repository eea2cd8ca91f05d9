package copytool

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
)

// adopt takes over what a process that died has received and not ended. The
// coordinator sends nothing twice; but any process may end an action whose cookie
// it knows. Blocks that were staged are used, restores begin again with another
// volatile file, and who waits for one does not notice.
func (a *Agent) adopt(tasks []*task) {
	if len(tasks) == 0 {
		return
	}
	a.log.Info("taking over the actions of a process that died", "actions", len(tasks))
	a.metrics.adopted.Add(float64(len(tasks)))
	for _, t := range tasks {
		t.cause = a.refusal(t)
	}
	a.sched.submit(tasks, nil)
}

// adoptedTask is an action of a process that died.
func adoptedTask(r *record) *task {
	t := newTask(r.item, &llapi.ActionList{ArchiveID: r.archiveID, Flags: r.flags}, r.received)
	t.entry, t.adopted, t.lastBeat = r.entry, true, time.Now()
	return t
}

// stillWanted asks the coordinator about an action of a process that died, or whose
// end it did not take, before anything is done for it: a removal that somebody else has ended long ago could
// hit a copy that was made since.
func (j *job) stillWanted() error {
	err := j.withSession(func(s Session) error { return s.ReportProgress(j.t.item, llapi.Extent{}) })
	j.answered(j.t, err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ECANCELED):
		return errCanceled
	case errors.Is(err, syscall.ENOENT):
		j.sched.cancelTask(j.t, errForgotten) // it may be sent again at any moment
		return errForgotten
	}
	return &unheardError{fmt.Errorf("ask whether the action is still wanted: %w", err)}
}

// resumable are the blocks that the service has of the file as it is now.
func (t *task) resumable(version uint64) []blobstore.StagedBlock {
	var blocks []blobstore.StagedBlock
	for _, s := range t.staged {
		if s.version == version {
			blocks = append(blocks, s.block)
		}
	}
	return blocks
}
