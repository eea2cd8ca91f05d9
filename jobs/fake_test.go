package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"lhsm-azblob/llapi"
)

// A fakeLustre is files and a coordinator in memory. Nothing happens in it but
// what a test does.
type fakeLustre struct {
	states   map[llapi.FID]llapi.State
	errors   map[llapi.FID][]byte
	copies   map[llapi.FID]uint64 // the data version that our copytool has copied
	actions  map[llapi.FID]llapi.CurrentAction
	calls    [][]llapi.FID // of archive requests
	cancels  int
	answer   func(llapi.Request) error
	asked    int // questions about actions
	stateErr error
	unopened map[llapi.FID]error // of those that cannot be asked about
	dirtyErr error               // of MarkDirty
}

func newFakeLustre() *fakeLustre {
	return &fakeLustre{states: map[llapi.FID]llapi.State{}, errors: map[llapi.FID][]byte{}, copies: map[llapi.FID]uint64{}, actions: map[llapi.FID]llapi.CurrentAction{}}
}

func (l *fakeLustre) State(f llapi.FID) (llapi.State, error) {
	s, ok := l.states[f]
	if !ok {
		return s, syscall.ENOENT
	}
	return s, cmp.Or(l.unopened[f], l.stateErr)
}

func (l *fakeLustre) Xattr(f llapi.FID, name string) ([]byte, error) {
	if name == errorXattr {
		return l.errors[f], nil
	}
	if version := l.copies[f]; version != 0 {
		return fmt.Appendf(nil, `{"v":1,"acct":"a","ctr":"c","name":"f","etag":"e%d","size":10,"dv":%[1]d}`, version), nil
	}
	return nil, nil
}

func (l *fakeLustre) MarkDirty(f llapi.FID) error {
	s := l.states[f]
	s.Flags |= llapi.HSDirty
	l.states[f] = s
	return l.dirtyErr
}

func (l *fakeLustre) Request(r llapi.Request) error {
	if r.Action == llapi.UserCancel {
		l.cancels += len(r.Items)
		return nil
	}
	l.calls = append(l.calls, slices.Clone(r.Items))
	if l.answer != nil {
		if err := l.answer(r); err != nil {
			return err
		}
	}
	for _, f := range r.Items {
		l.actions[f] = llapi.CurrentAction{Action: llapi.UserArchive, State: llapi.ProgressWaiting}
	}
	return nil
}

func (l *fakeLustre) Action(f llapi.FID) (llapi.CurrentAction, error) {
	l.asked++
	if err := l.unopened[f]; err != nil {
		return llapi.CurrentAction{}, err
	}
	if a, ok := l.actions[f]; ok {
		return a, nil
	}
	return llapi.CurrentAction{Action: llapi.UserNone}, nil
}

// archive ends an archive well.
func (l *fakeLustre) archive(f llapi.FID) {
	l.states[f] = llapi.State{Flags: llapi.HSExists | llapi.HSArchived}
	delete(l.actions, f)
}

func fakeFID(i int) llapi.FID { return llapi.FID{Seq: 0x200000401, OID: uint32(i + 1)} }

// newFakeManager has the jobs of a file system that nobody looks at, and nobody runs them.
func newFakeManager(t *testing.T) *Manager {
	t.Helper()
	o := Options{Path: filepath.Join(t.TempDir(), "jobs.db"), Mount: "/mnt/l"}
	o.Quick()
	m := &Manager{o: o.withDefaults(), changed: make(chan struct{})}
	m.log = m.o.Log
	var err error
	if m.store, err = openStore(m.o.Path, "lustre"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.store.close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// newFakeExport is an export of some new files, of which the scan is over.
func newFakeExport(t *testing.T, l *fakeLustre, count int) *export {
	t.Helper()
	m := newFakeManager(t)
	job := Job{State: Queued, Created: time.Now()}
	var err error
	if job.ID, err = m.store.create(t.Context(), job, func(func(listed, error) bool) {}); err != nil {
		t.Fatal(err)
	}
	r := newRun(m, job)
	if err := r.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	var found sighting
	for i := range count {
		f := fakeFID(i)
		l.states[f] = llapi.State{}
		found.add(work{fid: f, path: "/f", size: 10}, "", FileResult{})
	}
	if err := r.recordSighting(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	if err := r.scanned(t.Context()); err != nil {
		t.Fatal(err)
	}
	x := newExport(r, l, l)
	x.stopScan = func() {}
	return x
}

func (x *export) steps(t *testing.T, n int) {
	t.Helper()
	for range n {
		if err := x.step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPartialCall: one file of a call is refused. Those before it were recorded,
// and must not be asked for again.
func TestPartialCall(t *testing.T) {
	l := newFakeLustre()
	x := newFakeExport(t, l, 30)
	x.window.size, x.lane(&work{}).served = 100, true
	bad, vanished := fakeFID(10), fakeFID(20)
	delete(l.states, vanished)
	l.answer = func(r llapi.Request) error {
		for _, f := range r.Items {
			switch f {
			case bad:
				return &llapi.Error{Func: "llapi_hsm_request", Errno: syscall.EPERM}
			case vanished:
				return &llapi.Error{Func: "llapi_hsm_request", Errno: syscall.ENOENT}
			}
			l.actions[f] = llapi.CurrentAction{Action: llapi.UserArchive, State: llapi.ProgressWaiting}
		}
		return nil
	}
	x.steps(t, 1)
	asked := map[llapi.FID]int{}
	for _, call := range l.calls[1:] { // after the one that failed
		for _, f := range call {
			asked[f]++
		}
	}
	for i := range 10 {
		if asked[fakeFID(i)] != 0 {
			t.Errorf("file %d was recorded and asked for again", i)
		}
	}
	c := x.r.snapshot().Counters
	if len(x.flights) != 28 || c.FilesFailed != 1 || c.SkippedBy[SkipVanished] != 1 || c.FilesSubmitted != 30 {
		t.Errorf("%d flights, %+v", len(x.flights), c)
	}
}

// TestQuestionsAreRare: while the coordinator works, it is hardly ever asked.
func TestQuestionsAreRare(t *testing.T) {
	l := newFakeLustre()
	x := newFakeExport(t, l, 5000)
	x.tune = defaultTuning()
	for i := 0; !x.done(); i++ {
		x.steps(t, 1)
		for _, f := range x.flights { // everything that was asked for is done at once
			l.archive(f.fid)
		}
		x.adjusted = time.Time{} // as if time went by
	}
	if l.asked > 5 {
		t.Errorf("%d questions for 5000 files", l.asked)
	}
	if c := x.r.snapshot().Counters; c.FilesExported != 5000 || c.BytesExported != 50_000 {
		t.Errorf("%+v", c)
	}
}

// TestOldNotesAreNoFailures: a file may have the note of a former failure, and
// the failure of a restore is not ours.
func TestOldNotesAreNoFailures(t *testing.T) {
	l := newFakeLustre()
	x := newFakeExport(t, l, 3)
	x.window.size, x.lane(&work{}).served = 100, true
	old := []byte(`{"v":1,"t":"2020-01-01T00:00:00Z","op":"ARCHIVE","code":"BlobLeased","msg":"old"}`)
	fresh := []byte(`{"v":1,"t":"2020-01-01T00:00:00Z","op":"ARCHIVE","code":"BlobLeased","msg":"new"}`) // whatever that clock says
	restore := []byte(`{"v":1,"t":"2020-01-01T00:00:00Z","op":"RESTORE","code":"NoSpace","msg":"full"}`)
	if err := x.refill(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, w := range x.queue {
		w.flags = llapi.HSExists
		l.states[fakeFID(i)] = llapi.State{Flags: llapi.HSExists}
		l.errors[fakeFID(i)] = old
	}
	x.steps(t, 3)
	if len(x.flights) != 3 {
		t.Fatalf("%d flights: an old note was taken for a failure", len(x.flights))
	}
	l.errors[fakeFID(0)], l.errors[fakeFID(1)] = fresh, restore
	x.steps(t, 3)
	if c := x.r.snapshot().Counters; len(x.flights) != 2 || c.FilesFailed != 1 {
		t.Errorf("%d flights, %+v", len(x.flights), c)
	}
}

// TestChangedAfterwards: a file that was archived for the first time and has changed again is exported.
func TestChangedAfterwards(t *testing.T) {
	l := newFakeLustre()
	x := newFakeExport(t, l, 1)
	x.steps(t, 1)
	l.states[fakeFID(0)] = llapi.State{Flags: llapi.HSExists | llapi.HSArchived | llapi.HSDirty}
	x.steps(t, 1)
	if c := x.r.snapshot().Counters; c.FilesExported != 1 {
		t.Errorf("%+v", c)
	}
}

// TestActiveFile: a log that was archived before is archived, and written to again before
// anybody looks. That is no lost request, and no reason to ask about all others.
func TestActiveFile(t *testing.T) {
	l := newFakeLustre()
	const count, active = 200, 0
	x := newFakeExport(t, l, count)
	x.r.spec.ReportAll = true
	if err := x.refill(t.Context()); err != nil {
		t.Fatal(err)
	}
	x.window.size, x.lane(&work{}).served = 1000, true
	for i, w := range x.queue {
		w.flags = llapi.HSExists | llapi.HSArchived | llapi.HSDirty
		l.states[fakeFID(i)], l.copies[fakeFID(i)] = llapi.State{Flags: w.flags}, 5
	}
	x.steps(t, 1)
	for i := range count {
		l.actions[fakeFID(i)] = llapi.CurrentAction{Action: llapi.UserArchive, State: llapi.ProgressRunning}
	}
	delete(l.actions, fakeFID(active))
	l.copies[fakeFID(active)] = 6
	x.verified = time.Now().Add(-time.Hour)
	for _, f := range x.flights {
		if f.fid == fakeFID(active) {
			f.check = time.Time{}
		}
	}
	x.steps(t, 3)
	if c := x.r.snapshot().Counters; c.FilesExported != 1 || len(x.flights) != count-1 || len(x.retries) != 0 || l.asked > 1 {
		t.Errorf("%d flights, %d retries, %d questions, %+v", len(x.flights), len(x.retries), l.asked, c)
	}
	if page, _, err := x.r.m.store.resultPage(t.Context(), x.r.id, 0, false, 1); err != nil || len(page) != 1 || page[0].ETag != "e6" {
		t.Errorf("%+v, %v", page, err)
	}
}

// TestCopiesThatSayNothing: where the archive has not ended well the request is lost,
// whatever is noted of a copy.
func TestCopiesThatSayNothing(t *testing.T) {
	const dirty = llapi.HSExists | llapi.HSArchived | llapi.HSDirty
	for name, tt := range map[string]struct {
		before, after llapi.StateFlags
		copied        uint64
		unsure        bool
	}{
		"the copy of before":      {dirty, dirty, 5, false},
		"the copy is removed":     {dirty, dirty, 0, false},
		"never archived":          {llapi.HSExists, llapi.HSExists, 6, false},
		"the copy is lost":        {dirty | llapi.HSLost, dirty | llapi.HSLost, 6, false},
		"sent by another process": {dirty, dirty, 6, true},
	} {
		l := newFakeLustre()
		x := newFakeExport(t, l, 1)
		if err := x.refill(t.Context()); err != nil {
			t.Fatal(err)
		}
		x.queue[0].flags = tt.before
		l.states[fakeFID(0)], l.copies[fakeFID(0)] = llapi.State{Flags: tt.before}, 5
		x.steps(t, 1)
		delete(l.actions, fakeFID(0))
		l.states[fakeFID(0)], l.copies[fakeFID(0)] = llapi.State{Flags: tt.after}, tt.copied
		x.verified = time.Now().Add(-time.Hour)
		x.flights[0].check, x.flights[0].unsure = time.Time{}, tt.unsure
		x.steps(t, 1)
		if c := x.r.snapshot().Counters; c.FilesExported != 0 || len(x.retries) != 1 {
			t.Errorf("%s: %d retries, %+v", name, len(x.retries), c)
		}
	}
}

// TestLostMount is an error of everything, and of no file.
func TestLostMount(t *testing.T) {
	l := newFakeLustre()
	x := newFakeExport(t, l, 3)
	x.steps(t, 1)
	l.stateErr = syscall.ENOTCONN
	if err := x.step(t.Context()); !errors.Is(err, syscall.ENOTCONN) {
		t.Errorf("step: %v", err)
	}
	l.stateErr, l.answer = nil, func(llapi.Request) error { return syscall.ESHUTDOWN }
	l.archive(fakeFID(0))
	var err error
	for range 20 {
		if err = x.step(t.Context()); err != nil {
			break
		}
	}
	if !errors.Is(err, syscall.ESHUTDOWN) {
		t.Errorf("step: %v", err)
	}
	if c := x.r.snapshot().Counters; c.FilesFailed != 0 {
		t.Errorf("%+v", c)
	}
}

// TestCannotBeAsked: one file's state cannot be asked for any more. It is given up, and
// no other, nor the end of a cancelled job, waits for it.
func TestCannotBeAsked(t *testing.T) {
	for errno, code := range map[syscall.Errno]Code{syscall.ENOKEY: CodePermissionDenied, syscall.EACCES: CodePermissionDenied, syscall.EIO: CodeLustreError} {
		l := newFakeLustre()
		x := newFakeExport(t, l, 4)
		x.window.size, x.lane(&work{}).served = 100, true
		x.steps(t, 1)
		l.archive(fakeFID(0))
		l.unopened = map[llapi.FID]error{fakeFID(3): errno, fakeFID(2): errno}
		l.errors[fakeFID(2)] = []byte(someError) // which is read without opening it
		x.steps(t, 1)
		if c := x.r.snapshot().Counters; c.FilesExported != 1 || c.FilesFailed != 1 || len(x.flights) != 2 {
			t.Errorf("%v: %d flights, %+v", errno, len(x.flights), c)
		}
		for _, now := range []error{errno, nil, errno, errno} { // twice in succession
			if len(x.flights) != 2 {
				t.Fatalf("%v: given up too soon", errno)
			}
			if l.unopened[fakeFID(3)] = now; now == nil {
				delete(l.unopened, fakeFID(3))
			}
			x.verified, x.flights[1].check = time.Now().Add(-time.Hour), time.Time{}
			x.steps(t, 1)
		}
		j := x.r.snapshot()
		if r := j.FirstErrors; len(x.flights) != 1 || len(r) != 2 || r[0].ErrorCode != "BlobLeased" || r[1].ErrorCode != code || !strings.Contains(r[1].Message, "cannot be told") {
			t.Errorf("%v: %d flights, %+v", errno, len(x.flights), r)
		}
		l.unopened[fakeFID(1)] = errno
		if err := x.r.cancel(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if err := x.withdraw(t.Context()); err != nil {
			t.Fatal(err)
		}
		if j := x.r.snapshot(); j.State != Canceled || j.Counters.FilesLeft != 1 {
			t.Errorf("%v: %+v", errno, j)
		}
	}
}

// TestFatal ends the job, at once.
func TestFatal(t *testing.T) {
	for errno, code := range map[syscall.Errno]Code{syscall.EROFS: CodeLustreError, syscall.EOPNOTSUPP: CodeHsmDisabled} {
		l := newFakeLustre()
		l.answer = func(llapi.Request) error { return &llapi.Error{Func: "llapi_hsm_request", Errno: errno} }
		x := newFakeExport(t, l, 3)
		if err := x.run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if j := x.r.snapshot(); j.State != Failed || j.ErrorCode != code || j.ErrorMessage == "" || j.PercentComplete == 100 {
			t.Errorf("%v: %+v", errno, j)
		}
	}
}

// TestPrepareFails: what happens to one file before anybody asks the coordinator
// says nothing of the coordinator.
func TestPrepareFails(t *testing.T) {
	for errno, code := range map[syscall.Errno]Code{syscall.EROFS: CodeLustreError, syscall.EOPNOTSUPP: CodeHsmDisabled, syscall.EACCES: CodePermissionDenied} {
		l := newFakeLustre()
		l.dirtyErr = errno
		x := newFakeExport(t, l, 3)
		if err := x.refill(t.Context()); err != nil {
			t.Fatal(err)
		}
		x.queue[0].flags = llapi.HSExists | llapi.HSArchived | llapi.HSLost
		l.states[fakeFID(0)] = llapi.State{Flags: x.queue[0].flags}
		x.window.size, x.lane(&work{}).served = 100, true
		x.steps(t, 1)
		j := x.r.snapshot()
		if len(x.flights) != 2 || j.Counters.FilesFailed != 1 || len(j.FirstErrors) != 1 || j.FirstErrors[0].ErrorCode != code {
			t.Errorf("%v: %d flights, %+v", errno, len(x.flights), j)
		}
	}
}

// TestScanAgain: a process dies in the middle of its scan, when some of what it
// found is done. The next one scans from the start, and counts everything once.
func TestScanAgain(t *testing.T) {
	l := newFakeLustre()
	x := newFakeExport(t, l, 0)
	m := x.r.m
	job := Job{State: Queued, Created: time.Now()}
	var err error
	if job.ID, err = m.store.create(t.Context(), job, func(func(listed, error) bool) {}); err != nil {
		t.Fatal(err)
	}
	var found sighting
	for i := range 3 {
		l.states[fakeFID(i)] = llapi.State{}
		found.add(work{fid: fakeFID(i), path: "/f", size: 10}, "", FileResult{})
	}
	found.add(work{fid: fakeFID(3), path: "/linked", size: 10, status: workSkipped}, SkipArchived, FileResult{})
	found.fail(work{path: "/dir"}, CodePermissionDenied, "no")
	found.skip(SkipReleased, 10)
	found.skip(SkipNotRegular, 0)
	start := func() *export {
		t.Helper()
		job, err := m.store.job(t.Context(), job.ID)
		if err != nil {
			t.Fatal(err)
		}
		r := newRun(m, job)
		if err := r.prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		x := newExport(r, l, l)
		if err := x.resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := r.recordSighting(t.Context(), found); err != nil {
			t.Fatal(err)
		}
		return x
	}
	first := start()
	first.steps(t, 1) // a probe is sent, and ends
	l.archive(fakeFID(0))
	first.steps(t, 1)
	if n := first.r.snapshot().Counters.FilesExported; n != 1 {
		t.Fatalf("%d exported", n)
	}
	second := start()
	c := second.r.snapshot().Counters
	if c.FilesFound != 7 || c.FilesSkipped != 3 || c.FilesExported != 1 || c.FilesFailed != 1 || c.BytesFound != 50 || c.BytesSkipped != 20 || c.SkippedBy[SkipArchived] != 1 {
		t.Errorf("%+v", c)
	}
	if n, err := m.store.lastResult(t.Context(), job.ID); err != nil || n != 1 {
		t.Errorf("%d lines in the report, %v", n, err)
	}
}
