package copytool

import (
	"context"
	"sync/atomic"
	"time"

	"lhsm-azblob/llapi"
)

// A key is what makes an action unique: every metadata server numbers its
// cookies by itself.
type key struct {
	cookie uint64
	fid    llapi.FID
}

// A task is an action from the moment it is received until it has ended.
type task struct {
	key
	item      llapi.ActionItem
	archiveID uint32
	flags     llapi.RequestFlags
	received  time.Time
	urgent    bool // somebody waits for it

	entry   uint64        // its number in the journal
	adopted bool          // a process that died has received it
	staged  []stagedBlock // by that process

	owing  *job // its end was not taken; of whoever runs it
	redo   bool // to report it the work must be done again
	failed bool // only that it failed is left to be said

	moved  atomic.Int64           // bytes so far
	size   atomic.Int64           // of the file, once it is known
	path   atomic.Pointer[string] // once it is known
	ending atomic.Bool            // its end is being reported: no more progress
	away   atomic.Bool            // its coordinator did not answer the last report
	retry  atomic.Bool            // with that end the coordinator may send it again, under the same cookie

	reported int64 // bytes told to the coordinator; the reporter's own

	// The rest is guarded by the scheduler's mu.

	*turn               // the last it had; nil until then
	lastBeat  time.Time // when the coordinator last heard of it while it waits
	queued    links     // among those that wait
	parked    bool      // it has begun and waits without a slot
	lane      *lane
	in        *fifo // where it waits; nil while it runs
	cause     error // set before it runs: only end it, with this
	sized     bool  // it is known how large the file is
	large     bool  // or counts as that while it runs unsized
	ownsFile  bool  // it may run on its file
	forgotten bool  // the coordinator does not know it any more
	again     *task // the same action, received while this one was here
	afterEnd  bool  // received while the same action was reporting its end
}

func newTask(item llapi.ActionItem, list *llapi.ActionList, now time.Time) *task {
	t := &task{}
	t.init(item, list, now)
	return t
}

func (t *task) init(item llapi.ActionItem, list *llapi.ActionList, now time.Time) {
	t.key, t.item = key{item.Cookie, item.FID}, item
	t.archiveID, t.flags = list.ArchiveID, list.Flags
	t.received, t.lastBeat = now, now
	t.urgent = isUrgent(item, list.Flags)
}

func isUrgent(item llapi.ActionItem, flags llapi.RequestFlags) bool {
	return item.Action == llapi.ActionRestore && flags&llapi.FlagBlocking != 0
}

// A turn is what a task has from when it gets a slot.
type turn struct {
	began  time.Time
	speed  speedometer // of what is moved
	cancel context.CancelCauseFunc
}

// A waitList is the tasks that wait. It is made of links in the tasks themselves: with
// a hundred thousand, every object that the garbage collector must look at counts.
type waitList struct {
	first, last *task
	length      int
}

type links struct{ previous, next *task }

func (w *waitList) push(t *task) {
	t.queued = links{previous: w.last}
	if w.last == nil {
		w.first = t
	} else {
		w.last.queued.next = t
	}
	w.last = t
	w.length++
}

// remove does nothing for a task that is not in the list.
func (w *waitList) remove(t *task) {
	q := t.queued
	switch {
	case q.previous != nil:
		q.previous.queued.next = q.next
	case w.first == t:
		w.first = q.next
	default:
		return
	}
	if q.next == nil {
		w.last = q.previous
	} else {
		q.next.queued.previous = q.previous
	}
	t.queued = links{}
	w.length--
}

// A fifo is a queue of tasks. A task leaves it by pop, or by being put
// elsewhere: what no longer is "in" the queue is skipped.
type fifo struct {
	tasks []*task
	head  int
}

func (q *fifo) push(t *task) {
	t.in = q
	q.tasks = append(q.tasks, t)
}

// front is the task that is next, which stays; nil if there is none.
func (q *fifo) front() *task {
	for q.head < len(q.tasks) {
		if t := q.tasks[q.head]; t.in == q {
			return t
		}
		q.drop()
	}
	return nil
}

func (q *fifo) pop() *task {
	t := q.front()
	if t != nil {
		q.drop()
		t.in = nil
	}
	return t
}

// drop forgets the first entry, whatever it is.
func (q *fifo) drop() {
	q.tasks[q.head] = nil
	q.head++
	if q.head > len(q.tasks)/2 {
		n := copy(q.tasks, q.tasks[q.head:])
		clear(q.tasks[n:])
		q.tasks, q.head = q.tasks[:n], 0
	}
}
