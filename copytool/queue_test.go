package copytool

import (
	"testing"
	"testing/synctest"
	"time"

	"lhsm-azblob/llapi"
)

// TestWaitingTasksAreReportedInTurn: those that are not reported this time are
// the first next time, so that none is silent for long, however many wait.
func TestWaitingTasksAreReportedInTurn(t *testing.T) {
	onStage(t, Limits{Archives: 1, Restores: 1, Removes: 1}, func(t *testing.T, st *stage) {
		var tasks []*task
		for i := range 11 {
			a := testTask(llapi.ActionArchive, uint32(i+1), uint64(i+1))
			a.lastBeat = time.Now()
			tasks = append(tasks, a)
		}
		st.submit(tasks, nil)
		synctest.Wait()
		if _, waiting := st.due(time.Now(), 0, 4); len(waiting) != 0 {
			t.Errorf("%d tasks are due that have just come", len(waiting))
		}
		time.Sleep(time.Minute)
		st.cancelTask(tasks[5], errCanceled)
		synctest.Wait()
		began, heard := time.Now(), map[*task]bool{}
		for _, want := range []int{4, 4, 1, 0} {
			time.Sleep(time.Second)
			running, waiting := st.due(began, 0, 4)
			if len(running) != 1 || len(waiting) != want {
				t.Errorf("%d running and %d waiting tasks are due, want 1 and %d", len(running), len(waiting), want)
			}
			for _, w := range waiting {
				heard[w] = true
			}
		}
		if len(heard) != 9 || st.waiting() != 9 {
			t.Errorf("%d of %d waiting tasks were reported", len(heard), st.waiting())
		}
		st.finishAll()
		if st.waiting() != 0 || len(st.started) != 0 {
			t.Errorf("%d tasks wait and %d run after all have ended", st.waiting(), len(st.started))
		}
	})
}

// TestManyWaitingActionsDoNotFlood: in time with all of them, at the least rate.
func TestManyWaitingActionsDoNotFlood(t *testing.T) {
	for _, c := range []struct {
		waiting  int
		interval time.Duration
		want     int
	}{
		{0, 5 * time.Second, 250},
		{60_000, 5 * time.Second, 250},
		{100_000, 5 * time.Second, 417},
		{1_000_000, 5 * time.Second, 4167},
		{1000, 10 * time.Minute, 500},
	} {
		if got := waitingShare(c.waiting, c.interval); got != c.want {
			t.Errorf("%d waiting actions: %d are reported every %v, want %d", c.waiting, got, c.interval, c.want)
		}
	}
}

// TestFloodOfEarlyCancels: the newest are remembered, and there is an end to it.
func TestFloodOfEarlyCancels(t *testing.T) {
	var e earlyCancels
	now := time.Now()
	for i := range 10 * maxEarly {
		e.note(key{cookie: uint64(i)}, now)
	}
	if n := len(e.newer) + len(e.older); n > maxEarly {
		t.Errorf("%d cancels are remembered, want at most %d", n, maxEarly)
	}
	for i := 10*maxEarly - maxEarly/2; i < 10*maxEarly; i++ {
		if !e.take(key{cookie: uint64(i)}, now) {
			t.Fatalf("the cancel of cookie %d, of %d, is forgotten", i, 10*maxEarly)
		}
	}
	if e.take(key{cookie: 1}, now) {
		t.Error("the first cancel is still remembered")
	}
}
