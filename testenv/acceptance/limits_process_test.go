package acceptance

import (
	"math"
	"slices"
	"testing"
	"time"
)

// TestThreadsAndFilesAreBounded lets every read and every write of a file hang, with
// all lanes full and a thousand actions waiting. With blocks as small as here there
// are buffers for a thousand such calls.
func TestThreadsAndFilesAreBounded(t *testing.T) {
	const lanes, transfers = 24, 8
	e := startSink(t)
	args := []string{"--archives", "24", "--restores", "24", "--transfers", "8", "--memory", "64MiB", "--block-size", "64KiB"}
	c := e.startQuiet(args...)
	released := e.dotted("released", lanes, 4<<20)
	waiting := slices.Concat(e.dotted("large", lanes, 4<<20), e.zeros("small", 1000, 1000))
	e.request("archive", released...)
	e.lustre.WaitIdle()
	e.request("release", released...)
	e.lustre.Fault("read", "delay=20s")
	e.lustre.Fault("write", "delay=20s")
	e.request("archive", waiting...)
	e.request("restore", released...)
	c.waitMetric(`lhsm_azblob_actions_in_flight{op="ARCHIVE"}`, lanes)
	var threads int
	var files float64
	for range 30 {
		threads, files = max(threads, c.status("Threads:")), max(files, c.metric("process_open_fds"))
		<-time.After(100 * time.Millisecond) // more and more calls hang
	}
	t.Logf("%d threads and %v files at most, %v actions wait", threads, files, c.metric(`lhsm_azblob_queue_depth{op="ARCHIVE"}`))
	if most := 2*lanes + 16 + 8 + 2*transfers + 16; threads > most {
		t.Errorf("%d threads, want at most %d", threads, most)
	}
	if most := float64(4*2*lanes + 2*transfers + 32); files > most {
		t.Errorf("%v open files, want at most %v", files, most)
	}
	c.kill()
}

// waitMetric waits until a metric has reached a value.
func (c *copytool) waitMetric(name string, least float64) {
	c.t.Helper()
	c.waitMetricWithin(name, least, math.Inf(1))
}

// waitMetricWithin waits until a metric lies between two values, which can be one.
func (c *copytool) waitMetricWithin(name string, least, most float64) {
	c.t.Helper()
	within := func(v float64) bool { return least <= v && v <= most }
	for deadline := time.Now().Add(patience); !within(c.metric(name)); {
		if time.Now().After(deadline) {
			c.t.Fatalf("%s is %v, want %v to %v", name, c.metric(name), least, most)
		}
	}
}
