package httpapi

import (
	"context"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lhsm-azblob/jobs"
)

// fakeJobs is an engine in which nothing happens but what a test says.
type fakeJobs struct {
	mu        sync.Mutex // guards what follows
	jobs      []jobs.Job // by id, from 1
	results   []jobs.FileResult
	broken    error // of Results, after the last
	totals    jobs.Totals
	totalsErr error
	watching  int
	changed   chan struct{} // closed and replaced on every change
}

func newFake() *fakeJobs { return &fakeJobs{changed: make(chan struct{})} }

var moment2026 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// put adds a job in a state, and returns its id.
func (f *fakeJobs) put(state jobs.State, change ...func(*jobs.Job)) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	j := jobs.Job{ID: int64(len(f.jobs) + 1), State: state, Spec: jobs.Spec{Prefixes: []string{"/data"}}, Created: moment2026, Started: moment2026}
	if state.Finished() {
		j.Finished = moment2026.Add(time.Minute)
	}
	for _, c := range change {
		c(&j)
	}
	f.jobs = append(f.jobs, j)
	f.announce()
	return j.ID
}

func (f *fakeJobs) announce() {
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fakeJobs) change(id int64, change func(*jobs.Job)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.jobs[id-1])
	f.announce()
}

func (f *fakeJobs) get(id int64) (jobs.Job, chan struct{}, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id < 1 || int(id) > len(f.jobs) {
		return jobs.Job{}, nil, jobs.ErrNotFound
	}
	return f.jobs[id-1], f.changed, nil
}

func (f *fakeJobs) Job(_ context.Context, id int64) (jobs.Job, error) {
	j, _, err := f.get(id)
	return j, err
}

func (f *fakeJobs) Jobs(_ context.Context, before int64, limit int) ([]jobs.Job, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []jobs.Job
	for _, j := range slices.Backward(f.jobs) {
		if (before == 0 || j.ID < before) && len(list) < limit {
			list = append(list, j)
		}
	}
	return list, nil
}

func (f *fakeJobs) Current(context.Context) (jobs.Job, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, j := range f.jobs {
		if !j.State.Finished() {
			return j, true, nil
		}
	}
	return jobs.Job{}, false, nil
}

func (f *fakeJobs) Totals(context.Context) (jobs.Totals, error) { return f.totals, f.totalsErr }

func (f *fakeJobs) Create(ctx context.Context, spec jobs.Spec) (jobs.Job, bool, error) {
	for _, p := range spec.Prefixes {
		if p == "" {
			return jobs.Job{}, false, &jobs.InvalidError{Field: "prefixes", Problem: `"" is no path`}
		}
		if strings.Contains(p, "outside") {
			return jobs.Job{}, false, &jobs.InvalidError{Field: "prefixes", Problem: "it is outside the mount"}
		}
	}
	cur, running, _ := f.Current(ctx)
	if running && spec.IfBusy == jobs.BusyFail {
		return cur, false, jobs.ErrBusy
	}
	f.mu.Lock()
	for _, j := range f.jobs {
		if spec.RequestID != "" && j.Spec.RequestID == spec.RequestID {
			f.mu.Unlock()
			return j, false, nil
		}
	}
	f.mu.Unlock()
	spec.FileCount, spec.Files = int64(len(spec.Files)), nil
	j, err := f.Job(ctx, f.put(jobs.Queued, func(j *jobs.Job) { j.Spec = spec }))
	return j, true, err
}

func (f *fakeJobs) Cancel(_ context.Context, id int64, _ bool) (jobs.Job, error) {
	j, _, err := f.get(id)
	if err != nil {
		return j, err
	}
	if j.State.Finished() {
		return j, jobs.ErrFinished
	}
	f.change(id, func(j *jobs.Job) { j.State = jobs.Cancelling })
	j, _, err = f.get(id)
	return j, err
}

func (f *fakeJobs) Retry(ctx context.Context, id int64) (jobs.Job, error) {
	j, _, err := f.get(id)
	if err != nil {
		return j, err
	}
	if j.Counters.FilesFailed == 0 {
		return j, &jobs.InvalidError{Field: "id", Problem: "the job has no failures"}
	}
	return f.Job(ctx, f.put(jobs.Queued, func(j *jobs.Job) { j.Spec.RetryOf = id }))
}

func (f *fakeJobs) Watch(ctx context.Context, id int64) <-chan jobs.Job {
	ch := make(chan jobs.Job)
	f.mu.Lock()
	f.watching++
	f.mu.Unlock()
	go func() {
		defer func() {
			f.mu.Lock()
			f.watching--
			f.announce()
			f.mu.Unlock()
			close(ch)
		}()
		for {
			j, changed, _ := f.get(id)
			select {
			case ch <- j:
			case <-ctx.Done():
				return
			}
			if j.State.Finished() {
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ch
}

func (f *fakeJobs) Results(_ context.Context, _ int64, onlyFailures bool) iter.Seq2[jobs.FileResult, error] {
	return func(yield func(jobs.FileResult, error) bool) {
		for _, r := range f.results {
			if (!onlyFailures || r.Status == jobs.StatusFailed) && !yield(r, nil) {
				return
			}
		}
		if f.broken != nil {
			yield(jobs.FileResult{}, f.broken)
		}
	}
}

func (f *fakeJobs) Explain(_ context.Context, path string) (jobs.Explanation, error) {
	if strings.HasPrefix(path, "/no") {
		return jobs.Explanation{}, &jobs.InvalidError{Field: "path", Problem: "there is no such file"}
	}
	return jobs.Explanation{
		Path: path, FID: "[0x200000401:0x1:0x0]", State: "(0x0000000b) exists dirty archived, archive_id:1", Flags: []string{"exists", "dirty", "archived"}, ArchiveID: 1,
		Action:    "ARCHIVE running (7 bytes moved)",
		Copy:      &jobs.BlobCopy{Account: "a", Container: "c", Blob: "f", ETag: "e", VersionID: "v", CRC64: "00", Size: 7, Time: moment2026},
		LastError: &jobs.LastError{Time: moment2026, Op: "ARCHIVE", Code: jobs.CodeFileChanged, Message: "it changed", Host: "mover1"},

		WouldArchive: true, Why: "changed since it was archived",
	}, nil
}

// waitIdle waits until nobody watches a job.
func (f *fakeJobs) waitIdle(t *testing.T) {
	t.Helper()
	for {
		f.mu.Lock()
		n, changed := f.watching, f.changed
		f.mu.Unlock()
		if n == 0 {
			return
		}
		select {
		case <-changed:
		case <-time.After(patience):
			t.Fatalf("%d watch a job that nobody asks about any more", n)
		}
	}
}

// patience turns a hang into a failure.
const patience = 30 * time.Second

const testToken = "a-token-that-is-long-enough"

// serve starts a server on the fake.
func serve(t *testing.T, f *fakeJobs, a Access, movers ...string) *httptest.Server {
	t.Helper()
	s := New(Options{
		Jobs: f, FileSystem: "lustre", Mount: "/mnt/lustre", Version: "test", Movers: movers,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	s.movers.client.Timeout, s.movers.age = time.Minute, time.Hour // whatever the machine
	server := httptest.NewServer(s.Handler(a))
	t.Cleanup(server.Close)
	return server
}

// ask sends a request; a body is JSON.
func ask(t *testing.T, method, url, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(b)
}
