package copytool

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"lhsm-azblob/llapi"
)

// Limits are how many actions of each kind run at a time.
type Limits struct {
	Archives, Restores, Removes int
}

// refusals is how many actions are ended at a time that never ran. Each is one
// call to a metadata server.
const refusals = 8

// A scheduler decides which task runs when. Nothing in it waits but what run
// and size do on goroutines of their own, and a task costs the same whether
// ten are queued or a hundred thousand.
type scheduler struct {
	run     func(ctx context.Context, t *task) (rest time.Duration) // then again
	size    func(t *task) int64
	double  func(t *task) // told of tasks that were here already, and end with those
	occupy  func(bytes int64)
	workers sync.WaitGroup

	mu       sync.Mutex // guards all below, the lanes, and the marked fields of tasks
	tasks    map[key]*task
	files    map[llapi.FID]*fileLine // of files that an action may run on now
	restores *lane
	archives *lane
	removes  *lane
	refusals *lane
	resting  fifo               // where tasks are whose end was not taken; nothing is ever in it
	started  map[*task]struct{} // and not ended, nor resting
	unheard  waitList           // tasks that wait; first those that the coordinator was told of longest ago
	early    earlyCancels
	stopped  error         // set by abort: new tasks are ended with it
	doubles  []*task       // not told of yet
	quiet    chan struct{} // closed when no task is left; nil if nobody waits
	occupied int           // thousands of tasks that occupy was told of
}

func newScheduler(l Limits, run func(context.Context, *task) time.Duration, size func(*task) int64, double func(*task), occupy func(int64)) *scheduler {
	s := &scheduler{
		run: run, size: size, double: double, occupy: occupy,
		tasks: map[key]*task{}, files: map[llapi.FID]*fileLine{}, started: map[*task]struct{}{},
		restores: newLane(opRestore, 0), archives: newLane(opArchive, 0), removes: newLane(opRemove, 0),
		refusals: &lane{name: "refuse", limit: refusals, largeLimit: refusals},
	}
	s.setLimits(l)
	return s
}

// setLimits changes how many tasks may run. Those that run above a lower limit go on.
func (s *scheduler) setLimits(l Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.restores.setLimit(l.Restores)
	s.archives.setLimit(l.Archives)
	s.removes.setLimit(l.Removes)
	s.removes.largeLimit = s.removes.limit // a remove moves no bytes
	s.dispatch()
}

// lanes is in the order in which free slots are given away.
func (s *scheduler) lanes() []*lane {
	return []*lane{s.refusals, s.restores, s.archives, s.removes}
}

func (s *scheduler) laneFor(a llapi.Action) *lane {
	switch a {
	case llapi.ActionArchive:
		return s.archives
	case llapi.ActionRestore:
		return s.restores
	case llapi.ActionRemove:
		return s.removes
	}
	return nil
}

// submit takes over the tasks of one list and the targets of its CANCELs. A
// task that the list itself cancels never starts.
func (s *scheduler) submit(tasks []*task, cancels []key) {
	defer s.tellDoubles()
	s.mu.Lock()
	defer s.mu.Unlock()
	now, canceled := time.Now(), map[key]bool{}
	for _, k := range cancels {
		canceled[k] = true
	}
	for _, t := range tasks {
		if s.known(t) {
			continue
		}
		s.tasks[t.key] = t
		if s.early.take(t.key, now) || canceled[t.key] {
			delete(canceled, t.key)
			t.cause = errCanceled
		}
		s.enqueue(t)
	}
	for k := range canceled {
		s.cancelLocked(k)
	}
	s.dispatch()
}

// known tells whether the task is here already: a restart of a metadata server
// sends running restores again, with the same cookie. One that the coordinator
// forgot meanwhile is on its way out, and must be run again. If it turns out only
// later to have been forgotten, the new one takes its place then.
func (s *scheduler) known(t *task) bool {
	old := s.tasks[t.key]
	if old == nil || old.forgotten {
		return false
	}
	if old.again != nil {
		s.doubles = append(s.doubles, old.again)
	}
	old.again = t
	t.afterEnd = old.ending.Load()
	return true
}

func (s *scheduler) enqueue(t *task) {
	if t.cause == nil {
		t.cause = s.stopped
	}
	if t.cause != nil {
		s.wait(s.refusals, t)
		return
	}
	s.wait(s.laneFor(t.item.Action), t)
}

// wait queues a task until a slot of the lane is free.
func (s *scheduler) wait(l *lane, t *task) {
	l.add(t)
	if t.cause == nil { // else the coordinator hears of its end at once
		s.unheard.push(t)
	}
}

// waitsNoMore is for a task that leaves its queue.
func (s *scheduler) waitsNoMore(t *task) {
	t.lane.waiting--
	if t.in == &s.resting {
		t.lane.resting--
	}
	s.unheard.remove(t)
}

// cancelTask ends the task with the cause, wherever it is.
func (s *scheduler) cancelTask(t *task, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(t, cause)
	s.dispatch()
}

func (s *scheduler) cancelLocked(k key) {
	if t := s.tasks[k]; t != nil {
		s.endLocked(t, errCanceled)
		return
	}
	s.early.note(k, time.Now())
}

// endLocked interrupts a running task, and takes a waiting one out of its
// queue to be ended without having run.
func (s *scheduler) endLocked(t *task, cause error) {
	if errors.Is(cause, errForgotten) {
		t.forgotten = true
	}
	if t.in == nil {
		t.cancel(cause)
		return
	}
	if t.cause != nil {
		return
	}
	t.cause = cause
	s.waitsNoMore(t)
	s.wait(s.refusals, t)
	s.releaseFile(t)
}

// taskMemory is what a task takes that waits, in bytes, its place in the journal and
// the garbage that may lie beside it included: 100,000 were measured.
const taskMemory = 1 << 10

// tellOccupied tells how much memory tasks take, by the thousand.
func (s *scheduler) tellOccupied() {
	if n := len(s.tasks) / 1000; n != s.occupied {
		s.occupied = n
		s.occupy(int64(n) * 1000 * taskMemory)
	}
}

// dispatch starts what may start.
func (s *scheduler) dispatch() {
	s.tellOccupied()
	for _, l := range s.lanes() {
		for l.running < l.limit {
			t := l.next()
			if t == nil {
				break
			}
			if l.perFile && !s.claimFile(t) {
				continue
			}
			s.start(l, t)
		}
	}
}

// claimFile tells whether the task may run on its file now. If not, it waits for
// the one that does.
func (s *scheduler) claimFile(t *task) bool {
	if t.ownsFile {
		return true
	}
	line := s.files[t.fid]
	if line == nil {
		line = &fileLine{}
		s.files[t.fid] = line
	}
	t.ownsFile = line.enter(t)
	return t.ownsFile
}

// releaseFile hands the file to the next task that waits for it. That one
// owns it while it queues again, so that the line behind it stays in order.
func (s *scheduler) releaseFile(t *task) {
	if !t.ownsFile {
		return
	}
	t.ownsFile = false
	line := s.files[t.fid]
	next := line.leave(t)
	if line.empty() {
		delete(s.files, t.fid)
	}
	if next != nil {
		next.ownsFile = true
		next.lane.urgent.push(next)
	}
}

func (s *scheduler) start(l *lane, t *task) {
	// The context of no caller: actions outlive the loop that received them,
	// and end with a cause, by cancelTask or abort.
	ctx, cancel := context.WithCancelCause(context.Background())
	t.turn = &turn{began: time.Now(), cancel: cancel}
	t.speed.start(t.began)
	s.waitsNoMore(t)
	s.started[t] = struct{}{}
	t.large = t.large || !t.sized && l.takesUnsized()
	s.countRunning(l, t, +1)
	unknown := t.cause == nil && l.sizes() && !t.sized && !t.large
	s.workers.Go(func() {
		defer cancel(nil)
		growStack()
		s.work(ctx, l, t, unknown)
	})
}

// growStack makes room for the calls of a transfer, which go deep, while there is
// little on the stack. It would be copied several times else, for each small file.
//
//go:noinline
func growStack() {
	var room [stackRoom]byte
	runtime.KeepAlive(&room)
}

// stackRoom is in bytes; Go rounds what it needs for it up to a power of two.
const stackRoom = 12 << 10

// work has a slot of the lane. If the size of the file is unknown and wanted, and it
// learns that the file is large and that large files have their share of slots, it
// gives the slot back.
func (s *scheduler) work(ctx context.Context, l *lane, t *task, unknown bool) {
	if unknown && s.stepAside(ctx, l, t, s.size(t)) {
		return
	}
	rest := s.run(ctx, t)
	defer s.tellDoubles()
	s.mu.Lock()
	defer s.mu.Unlock()
	if rest > 0 {
		s.rest(l, t, rest)
		return
	}
	s.leave(t)
	s.releaseFile(t)
	s.freeSlot(l, t)
}

// leave takes a task that has ended out of the books, and lets the one in that
// was taken for its double, if the coordinator meant another.
func (s *scheduler) leave(t *task) {
	if s.tasks[t.key] == t {
		delete(s.tasks, t.key)
	}
	switch again := t.again; {
	case again == nil:
	case s.tasks[t.key] == nil && (t.forgotten || t.retry.Load() && again.afterEnd):
		s.tasks[t.key] = again
		s.enqueue(again)
	default:
		s.doubles = append(s.doubles, again)
	}
}

// tellDoubles is for who does not hold mu.
func (s *scheduler) tellDoubles() {
	s.mu.Lock()
	doubles := s.doubles
	s.doubles = nil
	s.mu.Unlock()
	for _, t := range doubles {
		s.double(t)
	}
}

func (s *scheduler) stepAside(ctx context.Context, l *lane, t *task, size int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.sized = true
	if size < largeFile || ctx.Err() != nil { // a cancelled one must go on, to be ended
		return false
	}
	if l.admitLarge(t) {
		t.large = true
		l.largeRunning++
		return false
	}
	s.freeSlotFor(l, t)
	return true
}

// sized is told, by the task itself, how large the file is that it runs on.
func (s *scheduler) sized(t *task, size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.sized {
		return
	}
	t.sized = true
	if t.large && size < largeFile {
		t.large = false
		t.lane.largeRunning--
		s.dispatch()
	}
}

// freeSlotFor gives the slot back and queues the task among the large ones.
func (s *scheduler) freeSlotFor(l *lane, t *task) {
	l.running--
	delete(s.started, t)
	s.releaseFile(t)
	t.large = true
	s.wait(l, t)
	s.dispatch()
}

// park takes a running task's slot away for as long as wait takes. Meanwhile only
// urgent tasks of its lane begin.
func (s *scheduler) park(t *task, wait func()) {
	s.mu.Lock()
	l := t.lane
	l.parked++
	t.parked = true
	s.countRunning(l, t, -1)
	s.dispatch()
	s.mu.Unlock()
	wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	l.parked--
	t.parked = false
	s.countRunning(l, t, +1) // above the limit, perhaps, until some have ended
	s.dispatch()
}

func (s *scheduler) countRunning(l *lane, t *task, n int) {
	l.running += n
	if t.large {
		l.largeRunning += n
	}
}

func (s *scheduler) freeSlot(l *lane, t *task) {
	s.countRunning(l, t, -1)
	t.large = t.large && t.sized
	delete(s.started, t)
	s.dispatch()
	if s.quiet != nil && len(s.tasks) == 0 {
		close(s.quiet)
		s.quiet = nil
	}
}

// idle returns a channel that is closed as soon as there is no task.
func (s *scheduler) idle() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := s.quiet
	if done == nil {
		done = make(chan struct{})
		s.quiet = done
	}
	if len(s.tasks) == 0 {
		close(done)
		s.quiet = nil
	}
	return done
}

// abort ends every task, and every later one, with the cause, and waits for it.
func (s *scheduler) abort(cause error) {
	s.mu.Lock()
	s.stopped = cause
	for _, t := range s.tasks {
		if t.in == &s.resting {
			s.lastWord(t)
		} else {
			s.endLocked(t, cause)
		}
	}
	s.dispatch()
	s.mu.Unlock()
	s.workers.Wait()
}

// due returns the running tasks, and those waiting ones of which the coordinator
// has not heard for so long: the most silent first, and so many at most. Those count
// as heard of.
func (s *scheduler) due(now time.Time, silence time.Duration, most int) (running, waiting []*task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := range s.started {
		t.speed.look(t.moved.Load(), now)
		if t.cause == nil {
			running = append(running, t)
		}
	}
	for t := s.unheard.first; t != nil && len(waiting) < most; t = s.unheard.first {
		if !t.lastBeat.Before(now.Add(-silence)) {
			break
		}
		waiting = append(waiting, t)
		s.unheard.remove(t)
		s.unheard.push(t)
		t.lastBeat = time.Now()
	}
	return running, waiting
}

// waiting is how many tasks wait for a slot, or for another on the same file.
func (s *scheduler) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unheard.length
}
