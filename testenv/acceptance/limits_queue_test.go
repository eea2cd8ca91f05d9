package acceptance

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// queueLength is how many actions are to wait: $LHSM_QUEUE, or 4,000.
func queueLength(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv("LHSM_QUEUE"), "4000"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestMemoryBehindALongQueue: what waits takes its memory from the buffers of what runs.
func TestMemoryBehindALongQueue(t *testing.T) {
	n := queueLength(t)
	e := startSink(t)
	c := e.startQuiet()
	files := slices.Concat(e.dotted("large", 40, 96<<20), e.zeros("queue", n, 4<<10))
	e.request("archive", files...)
	e.waitLongUntilIdle()
	all := float64(len(files))
	c.waitMetricWithin(`lhsm_azblob_actions_total{code="OK",op="ARCHIVE"}`, all, all) // counted after the end was told
	peak := c.peakMemory()
	t.Logf("%d MiB at most, with %d actions behind large files", peak, n)
	if peak > 1024+besidesBuffers {
		t.Errorf("the process took %d MiB, want at most %d", peak, 1024+besidesBuffers)
	}
	c.stop()
}

// TestLongQueue lets archives wait: what they take of memory and of the journal, whether
// another process that comes after a kill has them all at once, and whether it can let
// go of them.
func TestLongQueue(t *testing.T) {
	n := queueLength(t)
	e := startSink(t)
	held := []string{"--bandwidth", "64KiB"} // one file in a second
	c := e.startQuiet(held...)
	idle := c.status("VmRSS:") << 10
	files := e.zeros("queue", n, 64<<10)
	e.request("archive", files...)
	c.waitMetric(`lhsm_azblob_queue_depth{op="ARCHIVE"}`, float64(n*9/10))
	peak := c.status("VmHWM:") << 10
	t.Logf("%d actions wait: %d MiB at most, %d bytes for each; the journal has %d bytes", n, peak>>20, (peak-idle)/n, e.journalSize())
	if peak > besidesBuffers<<20+n<<10 {
		t.Errorf("%d MiB with %d actions waiting, want at most %d MiB and a KiB for each", peak>>20, n, besidesBuffers)
	}
	if size := e.journalSize(); size > 2<<20+n*150 {
		t.Errorf("the journal has %d bytes for %d actions", size, n)
	}
	c.kill()

	began := time.Now()
	c = e.startQuiet(held...)
	c.waitMetric(`lhsm_azblob_queue_depth{op="ARCHIVE"}`, float64(n*9/10))
	t.Logf("%v after the start all are taken over", time.Since(began).Round(time.Millisecond))
	began = time.Now()
	e.request("cancel", files...)
	asked := time.Since(began)
	e.waitLongUntilIdle()
	t.Logf("%v to ask for all cancels, %v until the last has ended", asked.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	c.waitMetricWithin(`lhsm_azblob_queue_depth{op="ARCHIVE"}`, 0, 0)
	c.waitMetricWithin(`lhsm_azblob_actions_in_flight{op="ARCHIVE"}`, 0, 0)
	c.stop()
}

func (e *env) journalSize() int {
	e.t.Helper()
	names, err := filepath.Glob(filepath.Join(e.stateDir, "*.journal"))
	if err != nil || len(names) != 1 {
		e.t.Fatalf("journals: %q, %v", names, err)
	}
	info, err := os.Stat(names[0])
	if err != nil {
		e.t.Fatal(err)
	}
	return int(info.Size())
}
