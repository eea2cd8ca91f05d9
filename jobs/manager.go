package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"lhsm-azblob/llapi"
)

// Options of [Open].
type Options struct {
	Mount string // mount point of the file system, its root
	Path  string // of the database, which is made if need be; its directory too
	Log   *slog.Logger
	// Scanners is how many files are looked at at once during a scan. 0: 16.
	Scanners int
	// MaxUnfinished bounds the requests that the coordinator has from a job and
	// has not done. The job finds the number that keeps the copytools busy by
	// itself; this is for the sake of the metadata server's memory. 0: 10,000. Beside
	// them it may have one of each archive id that nobody serves.
	MaxUnfinished int
	// KeepJobs and KeepFor bound the history, in jobs and in time. 0: 1,000 jobs, 90 days.
	KeepJobs int
	KeepFor  time.Duration

	tune tuning
}

// withDefaults fills in what is 0.
func (o Options) withDefaults() Options {
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	o.Scanners = cmp.Or(o.Scanners, 16)
	o.MaxUnfinished = cmp.Or(o.MaxUnfinished, 10_000)
	o.KeepJobs = cmp.Or(o.KeepJobs, 1000)
	o.KeepFor = cmp.Or(o.KeepFor, 90*24*time.Hour)
	if o.tune.pollLeast == 0 {
		o.tune = defaultTuning()
	}
	return o
}

// A Manager has the jobs of one file system. Its methods may be called from
// many goroutines at once.
type Manager struct {
	o      Options
	fsname string
	store  *store
	lock   *serviceLock
	log    *slog.Logger
	kick   chan struct{} // something is in the queue

	sums sums

	createMu sync.Mutex // makes Create one step: look, then add

	mu      sync.Mutex    // guards what follows
	queue   []Job         // not worked on, the oldest first
	active  *run          // nil: none
	changed chan struct{} // closed at the next change of any job
}

// Open opens the database of a file system's jobs. It needs root: nobody else
// sees the HSM state of all files. What was running when the last process
// ended goes on when [Manager.Run] is called.
//
// Errors: ErrLocked while another process has the database or the mount.
func Open(o Options) (*Manager, error) {
	o = o.withDefaults()
	mount, fsname, err := usable(o.Mount)
	if err != nil {
		return nil, err
	}
	o.Mount = mount
	m := &Manager{o: o, fsname: fsname, log: o.Log, kick: make(chan struct{}, 1), changed: make(chan struct{})}
	if m.lock, err = lockService(o.Path, mount); err != nil {
		return nil, err
	}
	if m.store, err = openStore(o.Path, fsname); err == nil {
		m.queue, err = m.store.unfinished(context.Background())
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// usable finds the root of the mount that a path is in, if this process may see there
// what a job depends on.
func usable(path string) (mount, fsname string, err error) {
	if err := checkPrivilege(); err != nil {
		return "", "", fmt.Errorf("open the jobs of %s: %w", path, err)
	}
	if mount, fsname, err = llapi.MountRoot(path); err != nil {
		err = fmt.Errorf("%s is not on a mounted Lustre: %w", path, err)
	}
	return mount, fsname, err
}

// Close closes the database. Run must have returned.
func (m *Manager) Close() error {
	var err error
	if m.store != nil {
		err = m.store.close()
	}
	return errors.Join(err, m.lock.release())
}

// FSName is the name of the file system, and Mount where it is mounted.
func (m *Manager) FSName() string { return m.fsname }

// Mount is where the file system is mounted.
func (m *Manager) Mount() string { return m.o.Mount }

// Create makes a job, which runs as soon as it is the oldest that is not over.
// created is false where the request id is one that has been used: then it is
// the job that was made for it.
//
// Errors: *InvalidError; ErrBusy, with the job that has the file system.
func (m *Manager) Create(ctx context.Context, spec Spec) (job Job, created bool, err error) {
	spec.RetryOf = 0 // only Retry makes those
	if spec, err = spec.normalize(m.o.Mount); err != nil {
		return Job{}, false, err
	}
	files := spec.Files
	spec.Files = nil
	return m.add(ctx, spec, func(yield func(listed, error) bool) {
		for _, path := range files {
			if !yield(listed{path: path}, nil) {
				return
			}
		}
	})
}

func (m *Manager) add(ctx context.Context, spec Spec, list iter.Seq2[listed, error]) (job Job, created bool, err error) {
	m.createMu.Lock()
	defer m.createMu.Unlock()
	if spec.RequestID != "" {
		job, err := m.store.jobByRequest(ctx, spec.RequestID)
		if !errors.Is(err, ErrNotFound) {
			return job, false, err
		}
	}
	if current, busy, err := m.Current(ctx); err != nil || busy && spec.IfBusy == BusyFail {
		return current, false, cmp.Or(err, ErrBusy)
	}
	job = Job{Spec: spec, State: Queued, Created: time.Now().UTC()}
	if job.ID, err = m.store.create(ctx, job, list); err != nil {
		return Job{}, false, err
	}
	m.mu.Lock()
	m.queue = append(m.queue, job)
	m.mu.Unlock()
	m.announce()
	m.wake()
	job, err = m.Job(ctx, job.ID)
	return job, true, err
}

// wake makes Run look at the queue.
func (m *Manager) wake() {
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// announce wakes those who watch.
func (m *Manager) announce() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.announceLocked()
}

func (m *Manager) announceLocked() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// Retry makes a job of the files that failed in a job that is over, found by
// their FIDs wherever they are now, and of what that job could not look at. It waits
// for its turn, whatever that job was to do while another had the file system.
//
// Errors: ErrNotFound; *InvalidError when that job is not over or had no failures.
func (m *Manager) Retry(ctx context.Context, id int64) (Job, error) {
	old, err := m.Job(ctx, id)
	if err != nil {
		return Job{}, err
	}
	if !old.State.Finished() {
		return Job{}, &InvalidError{"id", fmt.Sprintf("job %d is not over; its failures are not all known yet", id)}
	}
	if old.Counters.FilesFailed == 0 {
		return Job{}, &InvalidError{"id", fmt.Sprintf("job %d had no failures; there is nothing to try again", id)}
	}
	spec := old.Spec
	spec.Prefixes, spec.RequestID, spec.RetryOf, spec.FileCount, spec.IfBusy = nil, "", id, old.Counters.FilesFailed, BusyQueue
	job, _, err := m.add(ctx, spec, func(yield func(listed, error) bool) {
		for r, err := range m.store.results(ctx, id, true) {
			fid, _ := llapi.ParseFID(r.FID) // empty where there was none
			if !yield(listed{r.Path, fid, r.prefix}, err) {
				return
			}
		}
	})
	return job, err
}

// Job returns a job as it is now. Of one that runs it is read from memory.
//
// Errors: ErrNotFound.
func (m *Manager) Job(ctx context.Context, id int64) (Job, error) {
	if r := m.running(id); r != nil {
		return r.snapshot(), nil
	}
	job, err := m.store.job(ctx, id)
	if err != nil {
		return Job{}, err
	}
	m.fill(&job)
	job.FirstErrors, _, err = m.store.resultPage(ctx, id, 0, true, maxFirstErrors)
	return job, err
}

// maxFirstErrors is how many failures a Job shows.
const maxFirstErrors = 10

// running returns the run of a job, nil if it does not run.
func (m *Manager) running(id int64) *run {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.active != nil && m.active.id == id {
		return m.active
	}
	return nil
}

// fill adds to a job from the database what is not stored.
func (m *Manager) fill(job *Job) {
	if job.State.Finished() {
		job.complete()
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.active != nil && job.State == Queued:
		job.WaitsFor = fmt.Sprintf("job %d has the file system", m.active.id)
	case len(m.queue) > 0 && m.queue[0].ID != job.ID:
		job.WaitsFor = fmt.Sprintf("job %d comes first", m.queue[0].ID)
	}
}

// Jobs returns up to limit jobs, the newest first: those older than the job
// before, or from the newest on if that is 0. Only the one that runs comes with
// its FirstErrors.
func (m *Manager) Jobs(ctx context.Context, before int64, limit int) ([]Job, error) {
	if before <= 0 {
		before = math.MaxInt64
	}
	jobs, err := m.store.jobs(ctx, before, limit)
	for i := range jobs {
		if r := m.running(jobs[i].ID); r != nil {
			jobs[i] = r.snapshot()
		} else {
			m.fill(&jobs[i])
		}
	}
	return jobs, err
}

// Current returns the job that has the file system, or is about to; ok is false
// if there is none.
func (m *Manager) Current(ctx context.Context) (job Job, ok bool, err error) {
	m.mu.Lock()
	var id int64
	if m.active != nil {
		id = m.active.id
	} else if len(m.queue) > 0 {
		id = m.queue[0].ID
	}
	m.mu.Unlock()
	if id == 0 {
		return Job{}, false, nil
	}
	job, err = m.Job(ctx, id)
	return job, err == nil, err
}

// Cancel ends a job. What the coordinator has of it is withdrawn, what runs is
// cancelled; or, with drain, what the coordinator has is waited for, and only
// the rest is left. It returns at once, with the job in the state Cancelling,
// or Canceled if it had not started. A second Cancel without drain stops a drain.
//
// Errors: ErrNotFound; ErrFinished, with the job.
func (m *Manager) Cancel(ctx context.Context, id int64, drain bool) (Job, error) {
	r, err := m.cancelQueued(ctx, id, drain)
	if r != nil {
		err = r.cancel(ctx, drain)
	}
	job, e := m.Job(ctx, id)
	return job, cmp.Or(err, e)
}

// cancelQueued cancels a job that nobody works on; if somebody does, it returns
// that run. A job that another process has begun is left to Run, which knows how
// to withdraw what was sent.
func (m *Manager) cancelQueued(ctx context.Context, id int64, drain bool) (*run, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.active != nil && m.active.id == id {
		return m.active, nil
	}
	job, err := m.store.job(ctx, id)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(m.queue, func(j Job) bool { return j.ID == id })
	if i < 0 {
		return nil, ErrFinished
	}
	defer m.announceLocked()
	ctx = context.WithoutCancel(ctx) // the client may go; the queue and the database must not part
	if !job.Started.IsZero() {
		job.State = Cancelling
		if err := m.store.saveState(ctx, job, progress{drain: drain}); err != nil {
			return nil, err
		}
		m.queue[i].State = Cancelling
		return nil, nil
	}
	job.State, job.Finished = Canceled, time.Now().UTC()
	if err := m.store.finish(ctx, job); err != nil {
		return nil, err
	}
	m.queue = slices.Delete(m.queue, i, i+1)
	m.sums.ended(job.State)
	return nil, nil
}

// Results returns what became of a job's files, in the order in which they
// were done: every failure, and on ReportAll (or a dry run) every file that had to go.
func (m *Manager) Results(ctx context.Context, id int64, onlyFailures bool) iter.Seq2[FileResult, error] {
	return func(yield func(FileResult, error) bool) {
		if _, err := m.store.job(ctx, id); err != nil {
			yield(FileResult{}, err)
			return
		}
		m.store.results(ctx, id, onlyFailures)(yield)
	}
}

// Run works on the jobs until ctx ends. They survive that, and the next Run goes on.
func (m *Manager) Run(ctx context.Context) error {
	prune := time.NewTicker(time.Hour)
	defer prune.Stop()
	for {
		if err := m.store.prune(ctx, time.Now().Add(-m.o.KeepFor), m.o.KeepJobs); err != nil && ctx.Err() == nil {
			m.log.Warn("prune the history", "err", err)
		}
		for r := m.take(); r != nil; r = m.take() {
			r.run(ctx)
			if ctx.Err() != nil {
				return nil
			}
			m.drop(ctx)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-m.kick:
		case <-prune.C:
		}
	}
}

// take makes the first job of the queue the active one.
func (m *Manager) take() *run {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.queue) == 0 {
		return nil
	}
	m.active = newRun(m, m.queue[0])
	m.queue = m.queue[1:]
	return m.active
}

// drop lets go of a job that is over.
func (m *Manager) drop(ctx context.Context) {
	m.mu.Lock()
	m.active = nil
	m.mu.Unlock()
	m.announce()
	if err := m.store.clearWork(ctx); err != nil {
		m.log.Warn("clear the table of work; the next job will", "err", err)
	}
}
