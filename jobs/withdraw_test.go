package jobs

import (
	"strings"
	"testing"
	"time"
)

// TestWithdrawSaysWhatIsLeft with the coordinator when the time is up, and nothing
// where that is nothing.
func TestWithdrawSaysWhatIsLeft(t *testing.T) {
	for kept, want := range map[int]string{0: "", 2: "of 10 requests that were withdrawn 2 in 10 asked about are still with the coordinator"} {
		l := newFakeLustre()
		x := newFakeExport(t, l, 10)
		x.window.size, x.lane(&work{}).served = 100, true
		x.tune.grace = time.Millisecond
		x.steps(t, 1)
		for i := range 10 - kept {
			delete(l.actions, fakeFID(i))
		}
		if err := x.withdraw(t.Context()); err != nil {
			t.Fatal(err)
		}
		job := x.r.snapshot()
		if job.State != Canceled || job.Counters.FilesLeft != 10 || l.cancels != 10 {
			t.Errorf("%d cancels, %+v", l.cancels, job)
		}
		if said := job.ErrorMessage; (said == "") != (want == "") || !strings.HasPrefix(said, want) || (job.ErrorCode == CodeNotWithdrawn) != (kept > 0) {
			t.Errorf("with %d kept: %s, %q; want %q", kept, job.ErrorCode, said, want)
		}
	}
}
