package copytool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Options are what an agent is made of. Zero values mean the defaults that
// each field names.
type Options struct {
	FSName   string // lists for another file system are refused
	Archives []*Archive
	Limits   Limits // 64 archives, 64 restores, 16 removes
	Conflict ConflictPolicy
	// ProgressInterval is the time between two reports of one running action
	// (5 s). An action that waits is reported every 20 of them, or every 20 minutes
	// where thousands do.
	ProgressInterval time.Duration
	DrainTimeout     time.Duration // 5 min
	// RenewInterval is the time without any action after which the registration is
	// renewed (5 min).
	RenewInterval time.Duration
	// HolesAfter is the time without a change after which it is believed where the file
	// system says that a file has holes. 0: always.
	HolesAfter time.Duration
	Log        *slog.Logger // none
	Metrics    *Metrics     // none
	// Trace is told of every action when it is over. It must be fast. nil: nobody is.
	Trace func(Trace)
	// Occupy is told of how many bytes of memory the actions take that there are, when
	// that changes much. It must be fast. nil: nobody is.
	Occupy func(bytes int64)
	// Ready is called once, when the first registration stands.
	Ready func()
	// Journal is what makes actions outlive this process. Without one, those of a
	// process that dies wait for the coordinator's timeout.
	Journal *Journal
}

func (o Options) withDefaults() Options {
	o.Limits = o.Limits.withDefaults()
	o.Conflict = cmp.Or(o.Conflict, IfOurs)
	o.ProgressInterval = cmp.Or(o.ProgressInterval, 5*time.Second)
	o.DrainTimeout = cmp.Or(o.DrainTimeout, 5*time.Minute)
	o.RenewInterval = cmp.Or(o.RenewInterval, 5*time.Minute)
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics()
	}
	if o.Occupy == nil {
		o.Occupy = func(int64) {}
	}
	if o.Ready == nil {
		o.Ready = func() {}
	}
	return o
}

func (l Limits) withDefaults() Limits {
	return Limits{Archives: cmp.Or(l.Archives, 64), Restores: cmp.Or(l.Restores, 64), Removes: cmp.Or(l.Removes, 16)}
}

// An Agent serves the actions of one mount. See the package documentation for
// the life of an action.
type Agent struct {
	o        Options
	fs       FileSystem
	register func(archiveIDs []uint32) (Session, error)
	archives archives
	log      *slog.Logger
	metrics  *Metrics
	host     string
	sched    *scheduler
	markers  *markers
	recent   *recent
	room     *room
	flow     flow
	failures failures

	session  atomic.Pointer[Session] // the newest; never nil while actions run
	serving  atomic.Bool             // registered, and not draining
	draining atomic.Bool
	refused  atomic.Bool    // the credential was, by the last action that used it
	closing  sync.WaitGroup // of sessions that were replaced, and of renewals
	doubt    chan struct{}  // of capacity 1: a coordinator may have forgotten us
	heard    atomic.Int64   // UnixNano of the last list, or renewal
}

// New returns an agent for one file system. register is called by Serve, again
// whenever the registration is lost.
func New(o Options, fs FileSystem, register func(archiveIDs []uint32) (Session, error)) (*Agent, error) {
	o = o.withDefaults()
	if err := archives(o.Archives).check(); err != nil {
		return nil, err
	}
	if err := o.Conflict.check(); err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown" // it only labels the error attribute
	}
	a := &Agent{
		o: o, fs: fs, register: register, archives: o.Archives, log: o.Log, metrics: o.Metrics, host: host,
		markers: newMarkers(), recent: newRecent(recentSize), room: newRoom(),
		doubt: make(chan struct{}, 1),
	}
	a.sched = newScheduler(o.Limits, a.run, a.sizeOf, o.Journal.ended, o.Occupy)
	a.metrics.watch(a)
	return a, nil
}

// Serve registers and serves until accept ends. Then it takes no more actions
// and lets those it has go on to their end, until DrainTimeout or the end of
// work; what is left is reported as ShuttingDown. What the journal holds of a
// process that died comes before what the coordinator sends. The error is that of the
// first registration; a later loss is repaired, however long it takes.
func (a *Agent) Serve(accept, work context.Context) error {
	orphans := a.o.Journal.orphans()
	// From here on the coordinator sends, and what is not read dies with the process.
	first, err := a.register(a.archives.ids())
	if err != nil {
		return err
	}
	a.session.Store(&first)
	a.heard.Store(time.Now().UnixNano())
	a.serving.Store(true)
	a.log.Info("serving", "archive_ids", fmt.Sprint(a.archives.ids()), "limits", fmt.Sprintf("%+v", a.o.Limits))

	report, stopReports := context.WithCancel(context.WithoutCancel(work))
	var reporter sync.WaitGroup
	reporter.Go(func() { a.reportProgress(report) })
	a.closing.Go(func() { a.keepRegistered(accept) })
	a.adopt(orphans)
	a.o.Ready()

	a.receive(accept)
	a.drain(work)
	stopReports()
	reporter.Wait()
	a.closing.Wait()
	return a.current().Close()
}

// drain lets the agent's tasks end.
func (a *Agent) drain(work context.Context) {
	a.serving.Store(false)
	a.draining.Store(true)
	a.log.Info("draining", "timeout", a.o.DrainTimeout)
	timer := time.NewTimer(a.o.DrainTimeout)
	defer timer.Stop()
	a.unregister(work, a.current())
	select {
	case <-a.sched.idle():
	case <-timer.C:
		a.log.Warn("the drain timeout is over; what is left will have to be asked for again")
	case <-work.Done():
	}
	a.sched.abort(errShuttingDown)
}

// unregister ends a registration, and files what is sent until then. It does so even
// when ctx has ended, since the end needs a reader, and nobody else gets those actions.
func (a *Agent) unregister(ctx context.Context, s Session) {
	ended := make(chan error, 1)
	go func() { ended <- s.Unregister() }()
	var err error
	for err == nil || errors.Is(err, syscall.EPROTO) {
		err = a.next(context.WithoutCancel(ctx), s)
	}
	if err := <-ended; err != nil {
		a.log.Warn("unregister", "err", err)
	}
}

func (a *Agent) current() Session { return *a.session.Load() }

// SetLimits changes how many actions run at a time; zero values are the defaults of
// [Options]. What runs above a lower limit goes on to its end.
func (a *Agent) SetLimits(l Limits) { a.sched.setLimits(l.withDefaults()) }

// Status is what an operator wants to see at a glance.
type Status struct {
	Serving  bool           `json:"serving"`  // registered with the coordinators
	Draining bool           `json:"draining"` // stopping
	Waiting  map[string]int `json:"waiting"`  // actions by kind
	Running  map[string]int `json:"running"`
	Parked   int            `json:"parked"` // have begun, and wait for room in Lustre
	// CredentialRefused: so the last action ended that needed one.
	CredentialRefused bool `json:"credential_refused"`
}

// Status may be called at any time after New. That it returns at all shows
// that the scheduler is alive.
func (a *Agent) Status() Status {
	st := Status{Serving: a.serving.Load(), Draining: a.draining.Load(), CredentialRefused: a.refused.Load(), Waiting: map[string]int{}, Running: map[string]int{}}
	for _, l := range a.sched.state() {
		st.Waiting[l.name], st.Running[l.name] = l.waiting, l.running
		st.Parked += l.parked
	}
	return st
}
