package copytool

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
)

// TestActivityOfARun: what is seen of an action while it runs, and after it failed.
func TestActivityOfARun(t *testing.T) {
	r := newRig(t)
	good, bad := r.write("dir/good", "content"), r.write("dir/bad", "other")
	var seen Activity
	r.store.before = func(_ context.Context, op string, n blobstore.Name) error {
		if op == "put" && n == "dir/good" {
			seen = r.agent.Activity()
		}
		return nil
	}
	r.archive(good)
	if len(seen.Actions) != 1 {
		t.Fatalf("during the archive: %+v", seen)
	}
	a := seen.Actions[0]
	if a.Op != "ARCHIVE" || a.Path != "dir/good" || a.FID != good.String() || a.Size != 7 || a.State != "running" || a.Seconds <= 0 || a.Cookie == "" {
		t.Errorf("the action: %+v", a)
	}
	if l := seen.Lanes[1]; !seen.Serving || seen.Draining || l.Op != "ARCHIVE" || l.Running != 1 || l.Limit != 64 {
		t.Errorf("the agent: %+v", seen)
	}
	r.store.foreign("dir/bad", "somebody else's", nil)
	r.want(llapi.ActionArchive, bad, syscall.EEXIST)
	r.stop() // a failure is told before it is noted
	act := r.agent.Activity()
	if len(act.Failures) != 1 {
		t.Fatalf("after the failure: %+v", act)
	}
	if f := act.Failures[0]; f.Code != BlobExists || f.Path != "dir/bad" || f.FID != bad.String() || f.Op != "ARCHIVE" || f.Message == "" || time.Since(f.Time) > time.Hour {
		t.Errorf("the failure: %+v", f)
	}
}

// TestActivityIsBounded: failures and actions may be many.
func TestActivityIsBounded(t *testing.T) {
	var f failures
	for i := range 3 * keptFailures {
		f.add(FailedAction{Path: fmt.Sprint(i)})
	}
	list := f.newestFirst()
	if len(list) != keptFailures || list[0].Path != fmt.Sprint(3*keptFailures-1) || list[keptFailures-1].Path != fmt.Sprint(2*keptFailures) {
		t.Errorf("%d failures, %+v", len(list), list)
	}
	onStage(t, Limits{Archives: mostShown + 100, Restores: 1, Removes: 1}, func(t *testing.T, st *stage) {
		tasks := archiveTasks(mostShown + 10)
		st.submit(tasks[:1], nil)
		time.Sleep(time.Second)
		st.submit(tasks[1:], nil)
		synctest.Wait()
		a := &Agent{sched: st.scheduler}
		act := a.Activity()
		if len(act.Actions) != mostShown || act.ActionsLeftOut != 10 || act.Actions[0].FID != tasks[0].fid.String() || act.Actions[0].Seconds != 1 {
			t.Errorf("%d actions and %d left out, the first is %+v", len(act.Actions), act.ActionsLeftOut, act.Actions[0])
		}
	})
}

// TestSpeed is that of the last interval, not of the whole action.
func TestSpeed(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	var s speedometer
	s.start(start)
	if got := s.rate(100, at(2)); got != 50 {
		t.Errorf("before the first look: %v", got)
	}
	s.look(100, at(5))
	s.look(600, at(10))
	if got := s.rate(700, at(11)); got != 100 {
		t.Errorf("after two looks: %v", got)
	}
	s.look(0, at(15)) // begun again
	if got := s.rate(50, at(16)); got != 0 {
		t.Errorf("after a new beginning: %v", got)
	}
	var none speedometer
	if got := none.rate(100, at(1)); got != 0 {
		t.Errorf("never started: %v", got)
	}
}

// TestProgressMeasuresSpeed: the one who reports to the coordinator also looks at the clock.
func TestProgressMeasuresSpeed(t *testing.T) {
	onStage(t, Limits{Archives: 1, Restores: 1, Removes: 1}, func(t *testing.T, st *stage) {
		tasks := archiveTasks(1)
		st.submit(tasks, nil)
		synctest.Wait()
		for _, moved := range []int64{1000, 3000} {
			time.Sleep(2 * time.Second)
			tasks[0].moved.Store(moved)
			st.due(time.Now(), time.Hour, 10)
		}
		if got := st.begun(time.Now())[0]; got.BytesPerSecond != 1000 || got.Bytes != 3000 || got.Seconds != 4 {
			t.Errorf("%+v", got)
		}
	})
}
