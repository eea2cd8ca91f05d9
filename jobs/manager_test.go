package jobs_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"lhsm-azblob/jobs"
	"lhsm-azblob/testenv"
)

// openManager opens the jobs of a Lustre, in a database of its own.
func openManager(t *testing.T, l *testenv.Lustre, change func(*jobs.Options)) *jobs.Manager {
	t.Helper()
	o := jobs.Options{Mount: l.Mount(), Path: filepath.Join(t.TempDir(), "jobs.db")}
	o.Quick()
	if change != nil {
		change(&o)
	}
	m, err := jobs.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return m
}

func create(t *testing.T, m *jobs.Manager, spec jobs.Spec) jobs.Job {
	t.Helper()
	job, created, err := m.Create(t.Context(), spec)
	if err != nil || !created {
		t.Fatalf("Create: %+v, %v, %v", job, created, err)
	}
	return job
}

func TestQueue(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	m := openManager(t, l, nil)
	if _, ok, err := m.Current(t.Context()); ok || err != nil {
		t.Errorf("Current of an empty queue: %v, %v", ok, err)
	}
	first := create(t, m, jobs.Spec{RequestID: "r1", Prefixes: []string{l.Path("data")}})
	if first.State != jobs.Queued || len(first.Spec.Prefixes) != 1 || first.Spec.Prefixes[0] != "/data" {
		t.Errorf("first: %+v", first)
	}
	if same, created, err := m.Create(t.Context(), jobs.Spec{RequestID: "r1"}); err != nil || created || same.ID != first.ID {
		t.Errorf("the same request: %+v, %v, %v", same, created, err)
	}
	if busy, _, err := m.Create(t.Context(), jobs.Spec{IfBusy: jobs.BusyFail}); !errors.Is(err, jobs.ErrBusy) || busy.ID != first.ID {
		t.Errorf("IfBusy=fail: %+v, %v", busy, err)
	}
	second := create(t, m, jobs.Spec{Files: []string{"/a", "b"}})
	if second.Spec.FileCount != 2 || second.Spec.Files != nil {
		t.Errorf("second: %+v", second)
	}
	if list, err := m.Jobs(t.Context(), 0, 10); err != nil || len(list) != 2 || list[0].ID != second.ID {
		t.Errorf("Jobs: %+v, %v", list, err)
	}
	if list, err := m.Jobs(t.Context(), second.ID, 10); err != nil || len(list) != 1 || list[0].ID != first.ID {
		t.Errorf("Jobs before the second: %+v, %v", list, err)
	}
	if job, err := m.Cancel(t.Context(), second.ID, false); err != nil || job.State != jobs.Canceled || job.Finished.IsZero() {
		t.Errorf("Cancel: %+v, %v", job, err)
	}
	if job, err := m.Cancel(t.Context(), second.ID, false); !errors.Is(err, jobs.ErrFinished) || job.ID != second.ID {
		t.Errorf("Cancel again: %+v, %v", job, err)
	}
	if sum := totals(t, m); sum.Since.Ended[jobs.Canceled] != 1 || sum.Jobs[jobs.Canceled] != 1 || sum.Jobs[jobs.Queued] != 1 || !sum.OldestQueued.Equal(first.Created) {
		t.Errorf("totals: %+v", sum)
	}
	if _, err := m.Cancel(t.Context(), 99, false); !errors.Is(err, jobs.ErrNotFound) {
		t.Errorf("Cancel of nothing: %v", err)
	}
	if _, err := m.Job(t.Context(), 99); !errors.Is(err, jobs.ErrNotFound) {
		t.Errorf("Job of nothing: %v", err)
	}
}

func TestOneService(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	dir := t.TempDir()
	openManager(t, l, func(o *jobs.Options) { o.Path = filepath.Join(dir, "jobs.db") })
	for _, name := range []string{"jobs.db", "other.db"} { // the same database, then the same mount
		_, err := jobs.Open(jobs.Options{Mount: l.Mount(), Path: filepath.Join(dir, name)})
		if !errors.Is(err, jobs.ErrLocked) {
			t.Errorf("%s: %v, want ErrLocked", name, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	path := filepath.Join(t.TempDir(), "jobs.db")
	if _, err := jobs.Open(jobs.Options{Mount: t.TempDir(), Path: path}); err == nil || !strings.Contains(err.Error(), "not on a mounted Lustre") {
		t.Errorf("no Lustre: %v", err)
	}
	m, err := jobs.Open(jobs.Options{Mount: l.Mount(), Path: path})
	if err != nil || m.FSName() != "lustre" || m.Mount() != l.Mount() {
		t.Fatalf("Open: %+v, %v", m, err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	other := testenv.StartLustre(t, testenv.Options{FSName: "other"})
	if _, err := jobs.Open(jobs.Options{Mount: other.Mount(), Path: path}); err == nil || !strings.Contains(err.Error(), "of the file system lustre, not of other") {
		t.Errorf("another file system's database: %v", err)
	}
}
