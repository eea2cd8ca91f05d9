package jobs

import (
	"testing"
	"time"

	"lhsm-azblob/llapi"
)

// newMixedExport has unserved files of archive 2, and after them some of the default one.
func newMixedExport(t *testing.T, l *fakeLustre, unserved, served int) *export {
	t.Helper()
	x := newFakeExport(t, l, 0)
	var found sighting
	for i := range unserved + served {
		w := work{fid: fakeFID(i), path: "/f", size: 10}
		if i < unserved {
			w.archive, w.flags = 2, llapi.HSExists|llapi.HSArchived|llapi.HSDirty
		}
		l.states[w.fid] = llapi.State{Flags: w.flags, ArchiveID: w.archive}
		found.add(w, "", FileResult{})
	}
	if err := x.r.recordSighting(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	return x
}

// serve ends archives of the ids that somebody serves, until so many files are exported.
func (x *export) serve(t *testing.T, l *fakeLustre, exported int64, ids ...uint32) {
	t.Helper()
	for end := time.Now().Add(patience); x.r.snapshot().Counters.FilesExported < exported; {
		x.steps(t, 1)
		for _, f := range x.flights {
			for _, id := range ids {
				if f.lane.archive == id {
					l.archive(f.fid)
				}
			}
		}
		if len(x.queue) > 3*listPage {
			t.Fatalf("%d files wait in memory", len(x.queue))
		}
		if time.Now().After(end) {
			t.Fatalf("%+v; %s", x.r.snapshot().Counters, x.why(end))
		}
		if err := x.sleep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// patience turns a hang into a failure.
const patience = 5 * time.Minute

// TestPark: files that nobody serves stop no others, however many come first, and go
// when somebody does.
func TestPark(t *testing.T) {
	l := newFakeLustre()
	const unserved, served = 3*listPage + 7, 500
	x := newMixedExport(t, l, unserved, served)
	x.serve(t, l, served, 0)
	if len(x.flights) != 1 || len(x.queue) > 0 || x.done() {
		t.Errorf("%d flights, %d in the queue, done: %v", len(x.flights), len(x.queue), x.done())
	}
	x.serve(t, l, served+unserved, 2)
	if !x.done() {
		t.Errorf("%d flights, %d in the queue, %d retries, and lanes %+v", len(x.flights), len(x.queue), len(x.retries), x.lanes)
	}
	wantAskedOnce(t, l, unserved+served)
}

// TestManyUnserved: however many archive ids nobody serves, the files of others go, and
// as many at once as the window is wide.
func TestManyUnserved(t *testing.T) {
	for _, limit := range []int{1, 10_000} {
		l := newFakeLustre()
		x := newFakeExport(t, l, 0)
		x.window = newWindow(limit)
		const unserved, served = 3 * leastQueue, 500
		var found sighting
		for i := range unserved + served {
			w := work{fid: fakeFID(i), path: "/f", size: 10}
			if i < unserved {
				w.archive, w.flags = uint32(2+i), llapi.HSExists|llapi.HSArchived|llapi.HSDirty
			}
			l.states[w.fid] = llapi.State{Flags: w.flags, ArchiveID: w.archive}
			found.add(w, "", FileResult{})
		}
		if err := x.r.recordSighting(t.Context(), found); err != nil {
			t.Fatal(err)
		}
		most := 0
		for range 2 * (unserved + served) {
			x.steps(t, 1)
			most = max(most, len(x.flights)-unserved)
			for _, f := range x.flights {
				if f.lane.archive == 0 {
					l.archive(f.fid)
				}
			}
			x.adjusted = time.Time{} // as if time went by
		}
		if c := x.r.snapshot().Counters; c.FilesExported != served || len(x.flights) != unserved || most > limit || limit > 1 && most < leastQueue {
			t.Errorf("at most %d: %d exported, %d flights, at most %d served ones; the window is %.0f", limit, c.FilesExported, len(x.flights), most, x.window.size)
		}
	}
}

// TestParkedAndKilled: the next process knows that what was put aside was not sent.
func TestParkedAndKilled(t *testing.T) {
	l := newFakeLustre()
	const unserved, served = 2*listPage + 7, 500
	first := newMixedExport(t, l, unserved, served)
	first.window.size = 100
	first.serve(t, l, served, 0)
	job, err := first.r.m.store.job(t.Context(), first.r.id)
	if err != nil {
		t.Fatal(err)
	}
	r := newRun(first.r.m, job)
	if err := r.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	x := newExport(r, l, l)
	x.window.size = 100
	if err := x.resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := r.snapshot().Counters; len(x.flights) != 1 || c.FilesSubmitted != served+1 || x.done() {
		t.Errorf("%d flights, done: %v, %+v", len(x.flights), x.done(), c)
	}
	x.serve(t, l, served+unserved, 2)
	if c := r.snapshot().Counters; !x.done() || c.FilesSubmitted != served+unserved || c.FilesRetried != 0 {
		t.Errorf("done: %v, %+v", x.done(), c)
	}
	wantAskedOnce(t, l, unserved+served)
}

// TestParkedAndDrained: a job that is cancelled asks for nothing more, also not for what
// it has put aside, and also not in the next process.
func TestParkedAndDrained(t *testing.T) {
	l := newFakeLustre()
	const unserved, served = listPage + 7, 50
	x := newMixedExport(t, l, unserved, served)
	x.serve(t, l, served, 0)
	if err := x.r.cancel(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	drain := func(x *export) {
		t.Helper()
		x.queue, x.retries, x.readAll = nil, nil, true // as run does
		x.steps(t, 3)
		wantAskedOnce(t, l, served+1)
	}
	drain(x)
	job, err := x.r.m.store.job(t.Context(), x.r.id)
	if err != nil {
		t.Fatal(err)
	}
	r := newRun(x.r.m, job)
	if err := r.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	x = newExport(r, l, l)
	if err := x.resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.archive(fakeFID(0)) // somebody serves it now
	drain(x)
	if c := r.snapshot().Counters; len(x.flights) != 0 || c.FilesExported != served+1 {
		t.Errorf("%d flights, %+v", len(x.flights), c)
	}
}

func wantAskedOnce(t *testing.T, l *fakeLustre, count int) {
	t.Helper()
	asked := map[llapi.FID]int{}
	for _, call := range l.calls {
		for _, f := range call {
			asked[f]++
		}
	}
	for f, n := range asked {
		if n != 1 {
			t.Errorf("%v was asked for %d times", f, n)
		}
	}
	if len(asked) != count {
		t.Errorf("%d files were asked for, want %d", len(asked), count)
	}
}
