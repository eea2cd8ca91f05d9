package jobs

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"lhsm-azblob/llapi"
)

// A run is one job while it is worked on by this process.
type run struct {
	m       *Manager
	id      int64
	spec    Spec
	resumed bool          // it began before, in this process or another
	stop    chan struct{} // closed when the job is to be cancelled
	news    chan struct{} // capacity 1: the table of work has something new, or the scan is over

	commitMu sync.Mutex // makes a transaction and what follows from it one step
	lastLine int64      // of the report

	mu        sync.Mutex // guards what follows
	job       Job        // as it is stored
	progress  progress
	stopped   bool // stop is closed
	waitsFor  string
	rate      rate
	announced time.Time
	untold    bool // something has changed since
}

func newRun(m *Manager, job Job) *run {
	r := &run{m: m, id: job.ID, spec: job.Spec, job: job, stop: make(chan struct{}), news: make(chan struct{}, 1)}
	if job.State == Cancelling {
		r.stopped = true
		close(r.stop)
	}
	return r
}

// run works on the job until it is over or ctx ends. When the mount or the
// database fails, it is no fault of the job: it goes on when they do, as it
// would after a crash.
func (r *run) run(ctx context.Context) {
	for {
		err := r.prepare(ctx)
		if err == nil {
			err = r.work(ctx)
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		r.setWait(fmt.Sprintf("it cannot go on and tries again every %v: %v", r.m.o.tune.restart, err))
		if !pause(ctx, r.m.o.tune.restart) {
			return
		}
	}
}

// prepare begins a job, or takes up what another attempt, or another process, has left.
func (r *run) prepare(ctx context.Context) (err error) {
	r.commitMu.Lock()
	defer r.commitMu.Unlock()
	r.mu.Lock()
	job := r.job
	r.mu.Unlock()
	if job.Started.IsZero() {
		job.Started, job.Counters = time.Now().UTC(), Counters{SkippedBy: map[Reason]int64{}}
		if job.State == Queued {
			job.State = FSScanInProgress
		}
		if err := r.m.store.begin(ctx, job); err != nil {
			return err
		}
		r.set(job, progress{})
		return nil
	}
	r.resumed = true
	p, err := r.m.store.progress(ctx, r.id)
	if err == nil {
		job.Counters, err = r.countAgain(ctx, job.Counters, p)
	}
	if err == nil {
		r.lastLine, err = r.m.store.lastResult(ctx, r.id)
	}
	if err == nil {
		job.FirstErrors, _, err = r.m.store.resultPage(ctx, r.id, 0, true, maxFirstErrors)
	}
	if err == nil {
		r.set(job, p)
	}
	return err
}

// countAgain corrects the counters of a process that died. What needs no archive is
// counted by the scan, if that begins again. What was sent is stored before it is
// counted, so that the count may lack the last requests.
func (r *run) countAgain(ctx context.Context, c Counters, p progress) (Counters, error) {
	if !p.scanned {
		return r.m.store.recount(ctx, p.sent)
	}
	now, err := r.m.store.countWork(ctx, p.sent)
	c.FilesSubmitted, c.BytesSubmitted = now.FilesSubmitted, now.BytesSubmitted
	return c, err
}

func (r *run) set(job Job, p progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.job, r.progress = job, p
}

// work does the job. An error means that it is not over.
func (r *run) work(ctx context.Context) error {
	fs, err := openMount(r.m.o.Mount)
	if err != nil {
		return err
	}
	defer fs.close()
	g, gctx := errgroup.WithContext(ctx)
	scanCtx, stopScan := context.WithCancel(gctx)
	defer stopScan()
	scanOver := make(chan struct{})
	g.Go(func() error {
		defer close(scanOver)
		if r.scanIsOver() || r.cancelled() {
			return nil
		}
		err := r.scan(scanCtx, fs)
		if scanCtx.Err() != nil && gctx.Err() == nil {
			return nil // the export has stopped it
		}
		return err
	})
	g.Go(func() error {
		x := newExport(r, fs, fs)
		x.stopScan = func() { stopScan(); <-scanOver }
		return x.run(gctx)
	})
	return g.Wait()
}

// A change is what a transaction does beside its own statements.
type change struct {
	counters Counters
	progress progress
	results  []FileResult
}

// commit runs f in a transaction, and with it stores the counters, the progress
// and the results that f leaves in c: so they can never disagree with the tables.
func (r *run) commit(ctx context.Context, f func(t tx, c *change) error) error {
	r.commitMu.Lock()
	defer r.commitMu.Unlock()
	r.mu.Lock()
	job, c := r.job, &change{counters: r.job.Counters.clone(), progress: r.progress}
	r.mu.Unlock()
	line := r.lastLine
	err := r.m.store.tx(ctx, func(t tx) error {
		if err := f(t, c); err != nil {
			return err
		}
		if err := t.addResults(r.id, &line, c.results); err != nil {
			return err
		}
		return t.saveCounters(r.id, c.counters, c.progress)
	})
	if err != nil {
		return fmt.Errorf("store the progress of job %d: %w", job.ID, err)
	}
	r.lastLine = line
	r.m.sums.files(&job.Counters, &c.counters)
	r.apply(c)
	return nil
}

// apply publishes what a transaction has stored.
func (r *run) apply(c *change) {
	r.mu.Lock()
	r.job.Counters, r.progress.scanned, r.progress.sent = c.counters, c.progress.scanned, c.progress.sent
	for _, res := range c.results {
		if res.Status.failure() && len(r.job.FirstErrors) < maxFirstErrors {
			r.job.FirstErrors = append(r.job.FirstErrors, res)
		}
	}
	r.mu.Unlock()
	r.tell()
	r.announce()
}

// tell lets the export look for new work.
func (r *run) tell() {
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// announcePause is the least time between two announcements of progress.
const announcePause = 100 * time.Millisecond

// announce tells those who watch that something has changed. If they have just been
// told of something else, the next call of measure tells them.
func (r *run) announce() {
	r.mu.Lock()
	r.untold = true
	r.mu.Unlock()
	r.announceDue()
}

func (r *run) announceDue() {
	r.mu.Lock()
	now := time.Now()
	due := r.untold && now.Sub(r.announced) >= announcePause
	if due {
		r.announced, r.untold = now, false
	}
	r.mu.Unlock()
	if due {
		r.m.announce()
	}
}

// scanned notes that the scan is over.
func (r *run) scanned(ctx context.Context) error {
	err := r.commit(ctx, func(_ tx, c *change) error {
		c.progress.scanned = true
		return nil
	})
	if err == nil {
		err = r.setState(ctx, InProgress)
	}
	return err
}

// setState moves the job on, if it is not being cancelled.
func (r *run) setState(ctx context.Context, s State) error {
	r.commitMu.Lock()
	defer r.commitMu.Unlock()
	r.mu.Lock()
	if r.job.State != Cancelling {
		r.job.State = s
	}
	job, p := r.job, r.progress
	r.mu.Unlock()
	defer r.m.announce()
	return r.m.store.saveState(ctx, job, p)
}

// position is how far the job has come.
func (r *run) position() progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.progress
}

// started is when the job began.
func (r *run) started() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.job.Started
}

// scanIsOver tells whether all there is to do has been found.
func (r *run) scanIsOver() bool { return r.position().scanned }

// cancelled tells whether the job is to be cancelled; drain whether what the
// coordinator has is waited for.
func (r *run) cancelled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stopped
}

func (r *run) draining() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stopped && r.progress.drain
}

// cancel asks the run to stop. That is stored before anybody knows, and whether the
// client still waits or not.
func (r *run) cancel(ctx context.Context, drain bool) error {
	r.commitMu.Lock()
	defer r.commitMu.Unlock()
	r.mu.Lock()
	job, p, stopped := r.job, r.progress, r.stopped
	r.mu.Unlock()
	if job.State.Finished() {
		return ErrFinished
	}
	job.State, p.drain = Cancelling, drain && (!stopped || p.drain)
	if err := r.m.store.saveState(context.WithoutCancel(ctx), job, p); err != nil {
		return err
	}
	r.halt(p.drain)
	r.tell()
	r.m.announce()
	return nil
}

// halt tells those who work on the job that it is being cancelled.
func (r *run) halt(drain bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.job.State, r.progress.drain = Cancelling, drain
	if !r.stopped {
		r.stopped = true
		close(r.stop)
	}
}

// finish ends the job.
func (r *run) finish(ctx context.Context, s State, code Code, message string) error {
	r.commitMu.Lock()
	defer r.commitMu.Unlock()
	r.mu.Lock()
	job := r.job
	r.mu.Unlock()
	job.State, job.ErrorCode, job.ErrorMessage, job.Finished = s, code, message, time.Now().UTC()
	if err := r.m.store.finish(ctx, job); err != nil {
		return err
	}
	r.m.sums.ended(s)
	r.mu.Lock()
	r.job = job
	r.mu.Unlock()
	c := &job.Counters
	r.m.log.Info("job is over", "job", r.id, "state", s, "exported", c.FilesExported, "failed", c.FilesFailed,
		"skipped", c.FilesSkipped, "left", c.FilesLeft, "message", message)
	return nil
}

// measure notes how much has been exported by now. It is called a few times per second.
func (r *run) measure() {
	r.mu.Lock()
	r.rate.add(time.Now(), r.job.Counters.FilesExported, r.job.Counters.BytesExported)
	r.mu.Unlock()
	r.announceDue()
}

// setWait says why nothing moves, or that something does.
func (r *run) setWait(why string) {
	r.mu.Lock()
	changed := r.waitsFor != why
	r.waitsFor = why
	r.mu.Unlock()
	if changed {
		r.m.announce()
	}
	if changed && why != "" {
		r.m.log.Warn("job waits", "job", r.id, "for", why)
	}
}

// snapshot is the job as it is now.
func (r *run) snapshot() Job {
	r.mu.Lock()
	defer r.mu.Unlock()
	job := r.job
	job.Counters = job.Counters.clone()
	job.FirstErrors = append([]FileResult(nil), job.FirstErrors...)
	if job.State.Finished() {
		job.complete()
		return job
	}
	job.WaitsFor = r.waitsFor
	job.PercentComplete = job.Counters.percent()
	job.FilesPerSecond, job.BytesPerSecond = r.rate.perSecond(time.Now())
	if r.progress.scanned {
		job.ETA = job.Counters.eta(job.FilesPerSecond, job.BytesPerSecond)
	}
	return job
}

// complete fills in what follows from the rest of a job that is over.
func (j *Job) complete() {
	j.PercentComplete = j.Counters.percent()
	if j.State == Completed || j.State == CompletedPartial {
		j.PercentComplete = 100
	}
	if took := j.Finished.Sub(j.Started).Seconds(); took > 0 && !j.Started.IsZero() {
		j.FilesPerSecond = float64(j.Counters.FilesExported) / took
		j.BytesPerSecond = float64(j.Counters.BytesExported) / took
	}
}

// files is what the export needs of files, by FID.
type files interface {
	State(llapi.FID) (llapi.State, error)
	Xattr(f llapi.FID, name string) ([]byte, error) // nil: it has none
	MarkDirty(llapi.FID) error
}

// coordinator is whom the export asks.
type coordinator interface {
	Request(llapi.Request) error
	Action(llapi.FID) (llapi.CurrentAction, error)
}
