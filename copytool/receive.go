package copytool

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"syscall"
	"time"

	"lhsm-azblob/llapi"
)

// Back-off between two attempts to register again.
const (
	minBackoff = time.Second
	maxBackoff = time.Minute
)

// maxLostLists is how many lists may be lost in a row before the registration
// is renewed: until 2.17 the library can lose its place in the stream for good
// (LU-20183).
const maxLostLists = 3

// receive files lists until accept ends. It must never wait for anything else:
// what the kernel cannot write into the pipe, it holds locks for.
func (a *Agent) receive(accept context.Context) {
	lost, ever := 0, 0
	for accept.Err() == nil {
		err := a.next(accept, a.current())
		switch {
		case err == nil:
			lost = 0
			a.heard.Store(time.Now().UnixNano())
			continue
		case accept.Err() != nil:
			return
		}
		a.metrics.receiveErrors.Inc()
		if lost++; errors.Is(err, syscall.EPROTO) && lost < maxLostLists {
			ever++
			a.log.Warn("a list of actions was lost; the coordinator will time them out", "lost_so_far", ever, "err", err)
			continue
		}
		a.log.Warn("the registration is lost; registering again", "err", err)
		a.registerAgain(accept)
		lost = 0
	}
}

// registerAgain replaces the session. Actions of the old one go on: reports
// are not bound to a registration.
func (a *Agent) registerAgain(accept context.Context) {
	old := a.current()
	a.serving.Store(false)
	a.unregister(accept, old)
	for wait := minBackoff; accept.Err() == nil; wait = min(2*wait, maxBackoff) {
		next, err := a.register(a.archives.ids())
		if err == nil {
			a.session.Store(&next)
			a.serving.Store(true)
			a.metrics.registrations.Inc()
			a.log.Info("registered again")
			a.sched.wakeAll() // whose ends could not be told
			a.closing.Go(func() { a.closeOld(old) })
			return
		}
		a.log.Warn("register again", "err", err, "next_try", wait)
		sleep(accept, wait/2+rand.N(wait/2))
	}
}

func (a *Agent) closeOld(old Session) {
	if err := old.Close(); err != nil {
		a.log.Debug("close the old registration", "err", err)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// next files the next list. It is in the journal before it is out of the pipe, where the
// keeper finds it: whenever this process dies, its actions are in one of them. In both
// they are the same actions twice, which the scheduler sees.
func (a *Agent) next(ctx context.Context, s Session) error {
	list, ok := s.Peek(ctx)
	var b batch
	if ok {
		b = a.note(&list)
		ctx = context.WithoutCancel(ctx) // what is noted is taken
	}
	list, err := s.Recv(ctx)
	if err != nil {
		return err
	}
	if !ok {
		b = a.note(&list)
	}
	a.logReceived(&list)
	a.sched.submit(b.tasks, b.cancels)
	return nil
}

// A batch is a list, sorted.
type batch struct {
	tasks   []*task
	cancels []key
}

// note writes the tasks of a list into the journal. Those that cannot be done here
// will be ended without waiting their turn.
func (a *Agent) note(list *llapi.ActionList) (b batch) {
	if list.FSName != a.o.FSName {
		// Ended here, its cookies could hit actions of our own file system.
		a.metrics.receiveErrors.Inc()
		a.log.Error("a list of actions is for another file system; it is ignored", "fsname", list.FSName, "ours", a.o.FSName, "items", len(list.Items))
		return batch{}
	}
	now := time.Now()
	// One piece of memory: they come together and end about together, and to the
	// garbage collector a list of them is no more than one.
	tasks := make([]task, len(list.Items))
	for i, item := range list.Items {
		if item.Action == llapi.ActionCancel {
			b.cancels = append(b.cancels, key{item.Cookie, item.FID})
			continue
		}
		t := &tasks[i]
		t.init(item, list, now)
		t.cause = a.refusal(t)
		b.tasks = append(b.tasks, t)
	}
	a.o.Journal.received(b.tasks)
	return b
}

// logReceived comes after the journal: what the log shows is not lost any more.
func (a *Agent) logReceived(list *llapi.ActionList) {
	if !a.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	for _, item := range list.Items {
		a.log.Debug("received", "op", item.Action.String(), "cookie", cookieText(item.Cookie), "fid", item.FID.String(), "archive_id", list.ArchiveID, "flags", uint64(list.Flags))
	}
}

// refusal is why a task cannot be done here, or nil.
func (a *Agent) refusal(t *task) error {
	if a.sched.laneFor(t.item.Action) == nil {
		return failf(UnknownAction, "the coordinator asks for %s, which this copytool does not know", t.item.Action)
	}
	_, err := a.archives.byID(t.archiveID)
	return err
}
