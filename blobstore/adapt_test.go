package blobstore

import (
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAdapted(t *testing.T) {
	first := firstRequests()
	most := 20 * first
	for name, tt := range map[string]struct {
		n, most int64
		idle    float64
		waited  bool
		want    int64
	}{
		"an idle machine":           {first, most, 0.9, true, 2 * first},
		"a machine with some room":  {4 * first, most, 0.3, true, 5 * first},
		"nobody waits":              {first, most, 0.9, false, first},
		"hardly any room":           {4 * first, most, 0.05, true, 4 * first},
		"busy":                      {8 * first, most, 0, true, 7 * first},
		"busy, and few already":     {first, most, 0, true, first},
		"no more than are allowed":  {most - 1, most, 0.9, true, most},
		"fewer are allowed than it": {first, 3, 0, true, 3},
	} {
		if got := adapted(tt.n, tt.most, tt.idle, tt.waited); got != tt.want {
			t.Errorf("%s: %d of %d become %d, want %d", name, tt.n, tt.most, got, tt.want)
		}
	}
}

func TestReadCPUTimes(t *testing.T) {
	now, ok := readCPUTimes()
	if !ok || now.all == 0 || now.idle > now.all {
		t.Errorf("/proc/stat was read as %+v, %t", now, ok)
	}
	before, _ := parseCPUTimes([]byte("cpu  10 0 10 60 20 0 0 0 0 0\ncpu0 1 2 3\n"))
	after, _ := parseCPUTimes([]byte("cpu  20 10 20 80 30 10 10 20 0 0\n"))
	if got := after.idleSince(before); got != 0.3 {
		t.Errorf("idle for %g of the time, want 0.3", got)
	}
	if got := before.idleSince(after); got != 0 {
		t.Errorf("a clock that runs backwards: idle for %g", got)
	}
}

func FuzzParseCPUTimes(f *testing.F) {
	for _, s := range []string{"", "cpu", "cpu  1 2 3 4 5 6 7 8 9 10\n", "cpu0 1 2 3 4 5 6 7 8\n", "cpu 1 2 3 -4 5 6 7 8", "cpu " + strings.Repeat("9223372036854775807 ", 8)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		now, ok := parseCPUTimes(b)
		if !ok && now != (cpuTimes{}) {
			t.Errorf("%q is no answer, and gives %+v", b, now)
		}
		if idle := now.idleSince(cpuTimes{}); idle < 0 || idle > 1 {
			t.Errorf("%q: idle for %g of the time", b, idle)
		}
	})
}

// TestAdaptiveLooksSeldom: what the processors do is looked at ten times a second, as
// long as requests end, and where it was looked at long ago only to begin anew.
func TestAdaptiveLooksSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks uint64
		a := adaptive{read: func() (cpuTimes, bool) { looks++; return cpuTimes{idle: 100 * looks, all: 100 * looks}, true }}
		most := 4 * firstRequests()
		a.first(most)
		step := func(pause time.Duration, want int64) {
			t.Helper()
			time.Sleep(pause)
			n, changed := a.next(most, func() bool { return true })
			if changed != (want != 0) || changed && n != want {
				t.Errorf("after %s: %d, %t; want %d", pause, n, changed, want)
			}
		}
		step(time.Hour, 0)
		step(adaptEvery/2, 0)
		step(adaptEvery/2, 2*firstRequests())
		step(adaptEvery, most)
		step(adaptEvery, 0)
		if looks != 4 {
			t.Errorf("looked %d times, want 4", looks)
		}
		a.first(most)
		a.read = func() (cpuTimes, bool) { return cpuTimes{}, false }
		step(time.Hour, most) // who is not told has all
	})
}

// TestPoolAdapts: a pool begins with few requests, if it may, and has more while they
// end, somebody waits and the machine is idle.
func TestPoolAdapts(t *testing.T) {
	most := 4 * int(firstRequests())
	if got := NewPool(PoolOptions{Transfers: most}).RequestsLimit(); got != most {
		t.Errorf("%d requests are allowed without adapting, want %d", got, most)
	}
	p := NewPool(PoolOptions{Transfers: most, Adapt: true})
	if got := p.RequestsLimit(); got != most/4 {
		t.Errorf("%d requests are allowed at first, want %d", got, most/4)
	}
	p.adaptive.looked = time.Now().Add(-2 * adaptEvery)
	p.adaptive.read = func() (cpuTimes, bool) { return cpuTimes{idle: 9, all: 10}, true }
	for range most/4 + 1 { // one of them waits
		go func() { _ = p.slots.acquire(t.Context(), 1, 0) }()
	}
	for !p.slots.isWaitedFor() {
		runtime.Gosched()
	}
	p.adapt()
	if got := p.RequestsLimit(); got != most/2 {
		t.Errorf("%d requests are allowed on an idle machine, want %d", got, most/2)
	}
	p.SetLimits(most/8, 0)
	if got := p.RequestsLimit(); got != most/8 {
		t.Errorf("%d requests are allowed of %d", got, most/8)
	}
}
