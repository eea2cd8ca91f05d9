package acceptance

import (
	"slices"
	"testing"
)

// besidesBuffers is what the process may take beside --memory, in MiB, whatever the
// load: its code, connections, stacks, and what it knows of a thousand actions.
const besidesBuffers = 64

// TestMemoryStaysWithinTheLimit queues a thousand archives of all sizes at once,
// and then as many restores, and looks at the largest size that the kernel saw.
func TestMemoryStaysWithinTheLimit(t *testing.T) {
	for _, limit := range []struct {
		args []string
		mib  int
	}{
		{[]string{"--memory", "64MiB"}, 64},
		{[]string{"--memory", "256MiB", "--block-size", "1MiB"}, 256},
		{nil, 1024}, // the default
	} {
		e := startSink(t)
		c := e.startQuiet(limit.args...)
		idle := c.peakMemory()
		files := slices.Concat(e.dotted("large", 20, 96<<20), e.dotted("middle", 80, 8<<20), e.dotted("small", 900, 64<<10))
		e.request("archive", files...)
		e.waitLongUntilIdle()
		archived := c.peakMemory()
		e.request("release", files...)
		e.request("restore", files...)
		e.waitLongUntilIdle()
		restored := c.peakMemory()
		t.Logf("%v: %d MiB idle, %d MiB at most after %d archives, %d after as many restores", limit.args, idle, archived, len(files), restored)
		if restored > limit.mib+besidesBuffers {
			t.Errorf("%v: the process took %d MiB, want at most %d", limit.args, restored, limit.mib+besidesBuffers)
		}
		for op, want := range map[string]float64{"ARCHIVE": 1000, "RESTORE": 1000} {
			c.waitMetricWithin(`lhsm_azblob_actions_total{code="OK",op="`+op+`"}`, want, want) // counted after the end was told
		}
		c.stop()
	}
}
