package jobs

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// An export sends the files that the scan has found to the coordinator, and
// follows each until it is accounted for:
//
//	table of work ──▶ queue ──request──▶ flights ──▶ exported, failed, vanished
//	                    ▲                   │
//	                    └──── retries ◀─────┘ changed, lost
//
// What cannot go is put aside, in the table; see park.
//
// Files are followed by their FIDs, since people rename them, and by their HSM
// state, which is cheap to have. The coordinator is asked only about a request
// that takes suspiciously long, since it reads its whole log for an answer.
//
// All of it is one goroutine's; what it waits for are calls of the file system.
type export struct {
	r        *run
	files    files
	cdt      coordinator
	tune     tuning
	stopScan func() // stops the scan, and returns when it has stopped

	lanes   map[uint32]*lane // by archive id
	queue   []*work          // read from the table and not sent
	next    int64            // row of the table that was read last
	dry     bool             // there was nothing more in the table
	readAll bool             // and there will not be

	flights []*flight // the oldest first
	retries []retry
	owed    tally // launched, and not yet counted as submitted

	window   window
	full     bool // the window held something back since it was adjusted
	more     bool // there is room, and there may be more to ask for
	adjusted time.Time
	speed    meter     // completions
	lastMove time.Time // something began or ended
	rotation int       // where the next look at the younger flights begins
	interval time.Duration

	hold     time.Time // no request before
	holdFor  time.Duration
	holdWhy  string
	verified time.Time // when the coordinator was asked last, and for how long
	alarm    bool      // the last answer was that a request is lost
	asked    time.Time // when it was last asked about the youngest
}

// A tuning has the times of an export. Tests shorten them.
type tuning struct {
	pollLeast, pollMost time.Duration   // between two looks at the flights
	probe               time.Duration   // until the coordinator is asked about the first request of an archive id
	suspect             time.Duration   // the same for any other
	stall               time.Duration   // without any move until a reason is looked for
	silent              time.Duration   // without progress of what copytools have; lhsmtool_posix reports every 30 s
	retry               []time.Duration // before each further attempt; the last one again
	refused             time.Duration   // before the next request to a coordinator that refuses; doubles up to 15 s
	grace               time.Duration   // after a cancel, for what is ending
	restart             time.Duration   // before a run that could not go on is tried again
}

func defaultTuning() tuning {
	return tuning{
		pollLeast: 20 * time.Millisecond, pollMost: time.Second,
		probe: 500 * time.Millisecond, suspect: 15 * time.Second, stall: 10 * time.Second, silent: time.Minute,
		retry:   []time.Duration{2 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute},
		refused: time.Second, grace: 3 * time.Second, restart: 5 * time.Second,
	}
}

// A lane is the requests of one archive id. Until one of them has begun, it
// has one only: requests for an id that nobody serves fill the coordinator's
// slots, and stop those of all other ids for as long as they wait.
type lane struct {
	archive  uint32 // 0: the file system's default
	served   bool
	flights  int
	tried    time.Time // when the first of the flights was sent
	parked   bool      // files of it are put aside
	unparked int64     // row of the table up to which none are
}

// A flight is a file whose archive has been asked for.
type flight struct {
	*work
	lane    *lane
	sent    time.Time
	check   time.Time     // when the coordinator is asked about it
	pause   time.Duration // until the question after that
	running bool          // a copytool has it
	waiting bool          // the coordinator said so
	moved   uint64        // bytes, as the coordinator said
	untold  bool          // when the coordinator was asked about it last, nobody could say anything
	unsure  bool          // another process may have asked for it, or not
}

// A retry is a file that is asked for again, later.
type retry struct {
	*work
	due time.Time
}

func newExport(r *run, f files, c coordinator) *export {
	return &export{
		r: r, files: f, cdt: c, tune: r.m.o.tune, lanes: map[uint32]*lane{}, window: newWindow(r.m.o.MaxUnfinished),
		lastMove: time.Now(), interval: r.m.o.tune.pollLeast,
	}
}

// A fatalError ends a job as Failed.
type fatalError struct {
	code    Code
	message string
}

func (e *fatalError) Error() string { return string(e.code) + ": " + e.message }

// run returns when the job is over.
func (x *export) run(ctx context.Context) error {
	err := x.resume(ctx)
	for err == nil {
		if x.r.cancelled() {
			x.stopScan()
			x.queue, x.retries, x.readAll = nil, nil, true
			if !x.r.draining() || len(x.flights) == 0 {
				return x.withdraw(ctx)
			}
		}
		if x.done() {
			return x.end(ctx)
		}
		if err = x.step(ctx); err == nil {
			err = x.sleep(ctx)
		}
	}
	var fatal *fatalError
	if errors.As(err, &fatal) {
		x.stopScan()
		return x.r.finish(ctx, Failed, fatal.code, fatal.message)
	}
	return err
}

// resume takes over the requests that a process before this one may have sent.
func (x *export) resume(ctx context.Context) error {
	sent := x.r.position().sent
	for {
		open, err := x.r.m.store.openWork(ctx, x.next, sent, listPage)
		if err != nil {
			return err
		}
		for _, w := range open {
			w.counted = true
			x.launch(w)
			x.flights[len(x.flights)-1].unsure = true
			x.next = w.id
		}
		if len(open) < listPage {
			x.next = sent
			return x.findParked(ctx)
		}
	}
}

func (x *export) done() bool {
	return x.readAll && len(x.queue) == 0 && len(x.flights) == 0 && len(x.retries) == 0 && !x.anyParked()
}

// end is for a job that has done everything.
func (x *export) end(ctx context.Context) error {
	if x.r.snapshot().Counters.FilesFailed > 0 {
		return x.r.finish(ctx, CompletedPartial, "", "")
	}
	return x.r.finish(ctx, Completed, "", "")
}

func (x *export) step(ctx context.Context) error {
	for _, f := range []func(context.Context) error{x.submit, x.follow, x.verify, x.adjust} {
		if err := f(ctx); err != nil {
			return err
		}
	}
	x.explain()
	x.r.measure()
	return nil
}

// sleep waits until there is something to do.
func (x *export) sleep(ctx context.Context) error {
	if x.more {
		return ctx.Err()
	}
	t := time.NewTimer(x.interval)
	defer t.Stop()
	stop := x.r.stop
	if x.r.cancelled() { // it drains
		stop = nil
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-stop:
			return nil
		case <-t.C:
			return nil
		case <-x.r.news:
			// News matter only to one who could send them, or who must see a second cancel.
			x.dry = false
			if len(x.queue) == 0 && x.room() > 0 || stop == nil {
				return nil
			}
		}
	}
}

// refill reads more of the table.
func (x *export) refill(ctx context.Context) error {
	before := len(x.queue)
	if err := x.unpark(ctx); err != nil || len(x.queue) > before || x.dry || x.readAll {
		return err
	}
	over := x.r.scanIsOver() // before the look, which then was the last
	more, err := x.r.m.store.openWork(ctx, x.next, math.MaxInt64, listPage)
	if err != nil {
		return err
	}
	if len(more) == 0 {
		x.dry, x.readAll = true, over
		return nil
	}
	x.queue, x.next = append(x.queue, more...), more[len(more)-1].id
	return nil
}

// lane returns the lane of a file.
func (x *export) lane(w *work) *lane {
	return x.laneOf(cmp.Or(x.r.spec.ArchiveID, w.archive))
}

func (x *export) laneOf(archive uint32) *lane {
	l := x.lanes[archive]
	if l == nil {
		l = &lane{archive: archive}
		x.lanes[archive] = l
	}
	return l
}

// launch makes a flight of a file that was asked for.
func (x *export) launch(w *work) {
	now := time.Now()
	f := &flight{work: w, lane: x.lane(w), sent: now, pause: x.tune.suspect}
	if !f.lane.served {
		f.pause = x.tune.probe
	}
	f.check = now.Add(f.pause)
	if f.lane.flights == 0 {
		f.lane.tried = now
	}
	f.lane.flights++
	x.flights = append(x.flights, f)
	x.count(w)
}

// count counts a file that was asked for, once.
func (x *export) count(w *work) {
	if !w.counted {
		w.counted = true
		x.owed = tally{x.owed.files + 1, x.owed.bytes + w.size}
	}
}

// land takes flights off the list.
func (x *export) land(over map[*flight]bool) {
	if len(over) == 0 {
		return
	}
	x.flights = slices.DeleteFunc(x.flights, func(f *flight) bool {
		if over[f] {
			f.lane.flights--
		}
		return over[f]
	})
}

// move notes that the coordinator does something for a lane.
func (x *export) move(l *lane) {
	x.lastMove = time.Now()
	l.served = true
}

// parallelCalls is how many calls that read files are made at once.
const parallelCalls = 8

// each calls f for the numbers below n, some at once.
func each(n int, f func(i int) error) error {
	if n == 1 {
		return f(0)
	}
	var g errgroup.Group
	g.SetLimit(parallelCalls)
	const stride = 8
	for from := 0; from < n; from += stride {
		g.Go(func() error {
			for i := from; i < min(from+stride, n); i++ {
				if err := f(i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// A meter is a rate of events, of which the last few seconds count most.
type meter struct {
	perSecond float64
	at        time.Time
}

// meterSpan is the time after which an event counts for a third.
const meterSpan = 5 * time.Second

func (m *meter) add(n int, now time.Time) {
	m.perSecond = m.value(now) + float64(n)/meterSpan.Seconds()
	m.at = now
}

func (m *meter) value(now time.Time) float64 {
	return m.perSecond * math.Exp(-now.Sub(m.at).Seconds()/meterSpan.Seconds())
}
