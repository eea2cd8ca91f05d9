package jobs_test

import (
	"errors"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"lhsm-azblob/jobs"
	"lhsm-azblob/llapi"
	"lhsm-azblob/testenv"
)

// heldCopytool holds archives until they are cancelled or the gate is opened,
// but lets the first few through.
func heldCopytool(t *testing.T, l *testenv.Lustre, through int) (c *fakeCopytool, gate chan struct{}) {
	t.Helper()
	gate = make(chan struct{})
	pass := make(chan struct{}, through)
	for range through {
		pass <- struct{}{}
	}
	ready := make(chan struct{})
	c = startFake(t, l, func(item llapi.ActionItem) *failure {
		<-ready
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-gate:
				return nil
			case <-pass:
				return nil
			case <-tick.C:
				if c.canceled(item.FID) {
					return &failure{"", syscall.ECANCELED}
				}
			}
		}
	}, 1)
	close(ready)
	return c, gate
}

func checkSum(t *testing.T, job jobs.Job) {
	t.Helper()
	n := job.Counters
	if n.FilesFound != n.FilesSkipped+n.FilesExported+n.FilesFailed+n.FilesLeft || n.BytesFound != n.BytesSkipped+n.BytesExported+n.BytesFailed+n.BytesLeft {
		t.Errorf("the counters do not add up: %+v", n)
	}
}

func TestCancel(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{Params: map[string]string{"mdt.*.hsm.max_requests": "1000"}}) // a cancel takes a slot
	files(t, l, "d", 300)
	heldCopytool(t, l, 30)
	m := openManager(t, l, nil)
	work(t, m)
	id := create(t, m, jobs.Spec{}).ID
	await(t, m, id, "has exported what it can", func(j jobs.Job) bool {
		return j.Counters.FilesExported == 30 && j.Counters.FilesSubmitted >= 40 && j.State == jobs.InProgress
	})
	job, err := m.Cancel(t.Context(), id, false)
	if err != nil || job.State != jobs.Cancelling && job.State != jobs.Canceled {
		t.Errorf("Cancel: %+v, %v", job, err)
	}
	job = awaitEnd(t, m, id)
	n := job.Counters
	if job.State != jobs.Canceled || n.FilesExported != 30 || n.FilesLeft != 270 || job.PercentComplete == 100 {
		t.Errorf("job: %+v", job)
	}
	checkSum(t, job)
	l.WaitIdle() // nothing of it is left in the coordinator
	if _, err := m.Cancel(t.Context(), id, false); !errors.Is(err, jobs.ErrFinished) {
		t.Errorf("Cancel of a finished job: %v", err)
	}
}

func TestCancelDrain(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{Params: map[string]string{"mdt.*.hsm.max_requests": "10"}})
	files(t, l, "d", 300)
	c, gate := heldCopytool(t, l, 1)
	m := openManager(t, l, nil)
	work(t, m)
	id := create(t, m, jobs.Spec{}).ID
	await(t, m, id, "has a window of requests", func(j jobs.Job) bool { return j.Counters.FilesSubmitted > 10 })
	job, err := m.Cancel(t.Context(), id, true)
	if err != nil || job.State != jobs.Cancelling {
		t.Errorf("Cancel: %+v, %v", job, err)
	}
	close(gate)
	job = awaitEnd(t, m, id)
	n := job.Counters
	if job.State != jobs.Canceled || n.FilesExported != n.FilesSubmitted || n.FilesLeft != 300-n.FilesExported || n.FilesLeft == 0 {
		t.Errorf("job: %+v", job)
	}
	checkSum(t, job)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.cancels) != 0 {
		t.Errorf("%d cancels reached the copytool of a drain", len(c.cancels))
	}
}

// TestCancelOfADrain has second thoughts.
func TestCancelOfADrain(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	files(t, l, "d", 10)
	heldCopytool(t, l, 0)
	m := openManager(t, l, nil)
	work(t, m)
	id := create(t, m, jobs.Spec{}).ID
	await(t, m, id, "has submitted everything", func(j jobs.Job) bool { return j.Counters.FilesSubmitted == 10 })
	for _, drain := range []bool{true, false} {
		job, err := m.Cancel(t.Context(), id, drain)
		over := !drain && job.State == jobs.Canceled // the answer may come when all is done
		if err != nil || job.State != jobs.Cancelling && !over {
			t.Fatalf("Cancel: %+v, %v", job, err)
		}
	}
	if job := awaitEnd(t, m, id); job.State != jobs.Canceled || job.Counters.FilesLeft != 10 {
		t.Errorf("job: %+v", job)
	}
}

// TestCancelWithoutASlot: while running archives have all slots of the
// coordinator, it hands out no cancel. The job does not wait for that, and says so.
func TestCancelWithoutASlot(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{Params: map[string]string{"mdt.*.hsm.max_requests": "3"}})
	files(t, l, "d", 50)
	_, gate := heldCopytool(t, l, 0)
	m := openManager(t, l, nil)
	work(t, m)
	id := create(t, m, jobs.Spec{}).ID
	await(t, m, id, "has a queue", func(j jobs.Job) bool { return j.Counters.FilesSubmitted > 3 })
	if _, err := m.Cancel(t.Context(), id, false); err != nil {
		t.Fatal(err)
	}
	if job := awaitEnd(t, m, id); job.State != jobs.Canceled || job.ErrorCode != jobs.CodeNotWithdrawn || job.Counters.FilesLeft != 50 {
		t.Errorf("job: %+v", job)
	}
	close(gate)
}

// TestCancelWithoutACopytool: what no copytool takes stays in the queue, with
// its cancel. The job does not wait for it, and says so.
func TestCancelWithoutACopytool(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	files(t, l, "d", 10)
	m := openManager(t, l, nil)
	work(t, m)
	id := create(t, m, jobs.Spec{}).ID
	await(t, m, id, "has submitted a probe", func(j jobs.Job) bool { return j.Counters.FilesSubmitted == 1 })
	if _, err := m.Cancel(t.Context(), id, false); err != nil {
		t.Fatal(err)
	}
	job := awaitEnd(t, m, id)
	if job.State != jobs.Canceled || job.ErrorCode != jobs.CodeNotWithdrawn || !strings.Contains(job.ErrorMessage, "still with the coordinator") || job.Counters.FilesLeft != 10 {
		t.Errorf("job: %+v", job)
	}
	c := startFake(t, l, nil, 1)
	l.WaitIdle() // as the message says
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.cancels) != 1 {
		t.Errorf("the cancel did not come with its request: %v", c.cancels)
	}
}

func TestQueueRuns(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	files(t, l, "d", 5)
	_, gate := heldCopytool(t, l, 0)
	m := openManager(t, l, nil)
	work(t, m)
	first := create(t, m, jobs.Spec{}).ID
	await(t, m, first, "runs", func(j jobs.Job) bool { return j.Counters.FilesSubmitted > 0 })
	second := create(t, m, jobs.Spec{})
	if second.State != jobs.Queued || !strings.Contains(second.WaitsFor, "job 1 has the file system") {
		t.Errorf("second: %+v", second)
	}
	if _, _, err := m.Create(t.Context(), jobs.Spec{IfBusy: jobs.BusyFail}); !errors.Is(err, jobs.ErrBusy) {
		t.Errorf("IfBusy=fail: %v", err)
	}
	if sum := totals(t, m); sum.Jobs[jobs.Queued] != 1 || !sum.OldestQueued.Equal(second.Created) || sum.Since.FilesExported != 0 {
		t.Errorf("totals while the second waits: %+v", sum)
	}
	close(gate)
	if job := awaitEnd(t, m, second.ID); job.Counters.FilesSkipped != 5 || job.Counters.FilesFound != 5 {
		t.Errorf("second: %+v", job)
	}
	if job := awaitEnd(t, m, first); job.State != jobs.Completed || job.Counters.FilesExported != 5 {
		t.Errorf("first: %+v", job)
	}
	list, err := m.Jobs(t.Context(), 0, 10)
	if err != nil || len(list) != 2 || list[0].PercentComplete != 100 || list[1].Counters.FilesExported != 5 {
		t.Errorf("Jobs: %+v, %v", list, err)
	}
	want := jobs.Since{Ended: map[jobs.State]int64{jobs.Completed: 2, jobs.CompletedPartial: 0, jobs.Canceled: 0, jobs.Failed: 0}, FilesExported: 5, BytesExported: 5 * 7}
	if sum := totals(t, m); !reflect.DeepEqual(sum.Since, want) || sum.Jobs[jobs.Completed] != 2 || sum.Jobs[jobs.Queued] != 0 || !sum.OldestQueued.IsZero() {
		t.Errorf("totals at the end: %+v, want since %+v", sum, want)
	}
}

func totals(t *testing.T, m *jobs.Manager) jobs.Totals {
	t.Helper()
	sum, err := m.Totals(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return sum
}
