package jobs

import (
	"context"
	"reflect"
	"testing"
	"time"
)

// TestRetryWaits: whoever asks for a retry has not said that it must not wait.
func TestRetryWaits(t *testing.T) {
	m := newFakeManager(t)
	old, _, err := m.Create(t.Context(), Spec{IfBusy: BusyFail})
	if err != nil {
		t.Fatal(err)
	}
	old.State, old.Finished, old.Counters.FilesFailed = CompletedPartial, time.Now(), 1
	if err := m.store.finish(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	// It is in the queue yet, and so has the file system.
	if again, err := m.Retry(t.Context(), old.ID); err != nil || again.State != Queued || again.Spec.IfBusy != BusyQueue {
		t.Errorf("%+v, %v", again, err)
	}
}

// TestPrefixesSurvive: the next process has the prefixes byte by byte, those of which
// none is odd as they have always been stored.
func TestPrefixesSurvive(t *testing.T) {
	m := newFakeManager(t)
	for _, prefixes := range [][]string{{"/caf\xe9/x", "/caf\u00e9"}, {"/caf\u00e9", "/\ufffd"}} {
		want, _, err := m.Create(t.Context(), Spec{Prefixes: prefixes, ArchiveID: 7})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := m.store.job(t.Context(), want.ID); err != nil || !reflect.DeepEqual(got.Spec, m.queue[len(m.queue)-1].Spec) {
			t.Errorf("%q: %+v, %v", prefixes, got.Spec, err)
		}
	}
	const first = `{"prefixes":["/café","/�"],"archiveId":7,"ifBusy":"queue"}`
	if text, err := one[string](t.Context(), m.store.read, "SELECT spec FROM jobs WHERE id = 2"); err != nil || text != first {
		t.Errorf("stored as %s, %v; want %s", text, err, first)
	}
}

// cancels are the ways to cancel a job of the database: one that nobody has begun, one
// that another process has, and one that runs.
var cancels = map[string]func(t *testing.T, m *Manager, id int64){
	"queued": func(*testing.T, *Manager, int64) {},
	"begun": func(t *testing.T, m *Manager, id int64) {
		m.queue[0].State, m.queue[0].Started = InProgress, time.Now()
		if err := m.store.begin(t.Context(), m.queue[0]); err != nil {
			t.Fatal(err)
		}
	},
	"running": func(t *testing.T, m *Manager, id int64) {
		if err := m.take().prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
	},
}

// eachCancel tests each way with a job of its own.
func eachCancel(t *testing.T, test func(t *testing.T, m *Manager, id int64)) {
	for name, begin := range cancels {
		t.Run(name, func(t *testing.T) {
			m := newFakeManager(t)
			job, _, err := m.Create(t.Context(), Spec{})
			if err != nil {
				t.Fatal(err)
			}
			begin(t, m, job.ID)
			test(t, m, job.ID)
		})
	}
}

func wantCancelled(t *testing.T, m *Manager, id int64) {
	t.Helper()
	stored, err := m.store.job(t.Context(), id)
	if err != nil || stored.State != Canceled && stored.State != Cancelling {
		t.Errorf("stored as %s, %v", stored.State, err)
	}
	if job, err := m.Job(t.Context(), id); err != nil || job.State != stored.State {
		t.Errorf("%s in memory, %s in the database, %v", job.State, stored.State, err)
	}
	for _, job := range m.queue {
		if job.State != Cancelling {
			t.Errorf("job %d is in the queue, as %s", job.ID, job.State)
		}
	}
}

// TestCancelFails: a cancel that cannot be stored is none, and can be tried again.
func TestCancelFails(t *testing.T) {
	exec := func(t *testing.T, m *Manager, query string) {
		t.Helper()
		if err := m.store.tx(t.Context(), func(t tx) error { return t.exec(query) }); err != nil {
			t.Fatal(err)
		}
	}
	eachCancel(t, func(t *testing.T, m *Manager, id int64) {
		before, err := m.Job(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		exec(t, m, "CREATE TRIGGER full BEFORE UPDATE ON jobs BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
		if job, err := m.Cancel(t.Context(), id, false); err == nil || job.State != before.State {
			t.Errorf("Cancel: %s, %v; want an error, and %s", job.State, err, before.State)
		}
		if r := m.running(id); r == nil && (len(m.queue) != 1 || m.queue[0].State != before.State) || r != nil && r.cancelled() {
			t.Errorf("queue %+v, run %+v", m.queue, r)
		}
		exec(t, m, "DROP TRIGGER full")
		if _, err := m.Cancel(t.Context(), id, false); err != nil {
			t.Error(err)
		}
		wantCancelled(t, m, id)
	})
}

// TestCancelOfOneWhoLeaves: the client goes while the database is busy with something else.
func TestCancelOfOneWhoLeaves(t *testing.T) {
	eachCancel(t, func(t *testing.T, m *Manager, id int64) {
		busy, err := m.store.write.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, leave := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			m.Cancel(ctx, id, false) // nobody is there to be told
		}()
		for tick := time.Tick(time.Millisecond); m.store.write.Stats().WaitCount == 0; {
			<-tick
		}
		leave()
		if err := busy.Rollback(); err != nil {
			t.Fatal(err)
		}
		<-done
		wantCancelled(t, m, id)
	})
}
