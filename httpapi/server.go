package httpapi

import (
	"context"
	"iter"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"lhsm-azblob/jobs"
)

// A Reader looks at jobs. A job that does not exist is [jobs.ErrNotFound].
type Reader interface {
	Job(ctx context.Context, id int64) (jobs.Job, error)
	Jobs(ctx context.Context, before int64, limit int) ([]jobs.Job, error) // newest first; before 0: from the newest
	Current(ctx context.Context) (jobs.Job, bool, error)
}

// A Changer makes and ends jobs.
type Changer interface {
	Create(ctx context.Context, spec jobs.Spec) (job jobs.Job, created bool, err error)
	Cancel(ctx context.Context, id int64, drain bool) (jobs.Job, error)
	Retry(ctx context.Context, id int64) (jobs.Job, error)
}

// A Follower tells what becomes of a job and its files.
type Follower interface {
	Watch(ctx context.Context, id int64) <-chan jobs.Job
	Results(ctx context.Context, id int64, onlyFailures bool) iter.Seq2[jobs.FileResult, error]
	Explain(ctx context.Context, path string) (jobs.Explanation, error)
}

// A Summer adds up what all jobs have done.
type Summer interface {
	Totals(ctx context.Context) (jobs.Totals, error)
}

// Jobs is the engine behind the API: a *jobs.Manager.
type Jobs interface {
	Reader
	Changer
	Follower
	Summer
}

// Options are what a [Server] is made of.
type Options struct {
	Jobs       Jobs
	FileSystem string   // name of the Lustre file system
	Mount      string   // where it is mounted
	Version    string   // of this program
	Movers     []string // URLs of the copytools' metrics
	MoverToken string   // shows it to them, to be told paths; empty: none
	Log        *slog.Logger
}

// Server answers HTTP requests. Its handlers may be used at once.
type Server struct {
	o       Options
	started time.Time
	movers  *movers
	routes  []route
}

// A route is one operation of the API. Its pattern is the one of [http.ServeMux],
// and the method and path of openapi.json.
type route struct {
	pattern string
	handle  func(w http.ResponseWriter, r *http.Request) error
	style   style
	open    bool // to everybody: without it nobody could log in
}

// New makes a server. It starts nothing.
func New(o Options) *Server {
	s := &Server{o: o, started: time.Now(), movers: newMovers(o.Movers)}
	s.routes = []route{
		{pattern: "GET /v1/jobs", handle: s.listJobs},
		{pattern: "POST /v1/jobs", handle: s.createJob},
		{pattern: "GET /v1/jobs/{id}", handle: s.showJob},
		{pattern: "POST /v1/jobs/{id}/cancel", handle: s.cancelJob},
		{pattern: "POST /v1/jobs/{id}/retry", handle: s.retryJob},
		{pattern: "GET /v1/jobs/{id}/report", handle: s.report},
		{pattern: "GET /v1/jobs/{id}/events", handle: s.jobEvents},
		{pattern: "GET /v1/events", handle: s.events},
		{pattern: "GET /v1/status", handle: s.status},
		{pattern: "GET /v1/movers", handle: s.activity},
		{pattern: "GET /v1/explain", handle: s.explain},
		{pattern: "GET /metrics", handle: s.metrics()},
		{pattern: "GET /v1/openapi.json", handle: openapi, open: true},
	}
	for _, at := range []string{"/amlFilesystem", armPath} {
		s.routes = append(s.routes, route{pattern: "GET " + at, handle: s.managedStatus, style: armStyle})
	}
	for _, at := range []string{"", armPath} {
		s.routes = append(s.routes,
			route{pattern: "POST " + at + "/archive", handle: s.managedArchive, style: armStyle},
			route{pattern: "POST " + at + "/cancelArchive", handle: s.managedCancel, style: armStyle})
	}
	return s
}

// Handler serves the API and the page to those who have access.
func (s *Server) Handler(a Access) http.Handler {
	mux := http.NewServeMux()
	gate := a.gate()
	for _, r := range slices.Concat(s.routes, gate.routes()) {
		h := s.answer(r)
		if !r.open {
			h = gate.guard(h, r.style)
		}
		mux.Handle(r.pattern, h)
	}
	servePage(mux)
	return timed(protect(misrouted(mux)))
}
