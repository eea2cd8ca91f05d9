package blobstore

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
)

// adaptive is how many of the requests that are allowed are worth having in flight.
// With busy processors more of them move nothing more; they only take more memory,
// and take it out of the caches. So there are few at first, and more as long as
// somebody waits and a processor is idle: while answers take their time, that is. A
// machine with many cores begins with all of them.
type adaptive struct {
	read func() (cpuTimes, bool)

	mu     sync.Mutex // guards what follows
	now    int64
	looked time.Time
	before cpuTimes
}

// Numbers and times of the adaptation.
const (
	firstPerCore = 8 // requests; two cores are busy with these
	adaptEvery   = 100 * time.Millisecond
	longAgo      = time.Minute // says nothing about now
	idleEnough   = 0.1         // part of all processors, from which there are more requests
	idleMostly   = 0.5         // from which there are twice as many
	idleTooLow   = 0.02
)

// first is what to begin with.
func (a *adaptive) first(most int64) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = min(most, firstRequests())
	return a.now
}

func firstRequests() int64 { return firstPerCore * int64(runtime.NumCPU()) }

// next is called often, and answers seldom: how many there are to be from now on.
func (a *adaptive) next(most int64, isWaitedFor func() bool) (n int64, changed bool) {
	if most <= firstRequests() || !a.mu.TryLock() {
		return 0, false
	}
	defer a.mu.Unlock()
	since := time.Since(a.looked)
	if since < adaptEvery {
		return 0, false
	}
	t, ok := a.read()
	idle := t.idleSince(a.before)
	a.looked, a.before = time.Now(), t
	switch {
	case !ok: // nothing can be said against more
		n = most
	case since > longAgo:
		return 0, false
	default:
		n = adapted(a.now, most, idle, isWaitedFor())
	}
	changed, a.now = n != a.now, n
	return n, changed
}

// adapted is what follows n when that part of the processors was idle.
func adapted(n, most int64, idle float64, isWaitedFor bool) int64 {
	switch {
	case idle < idleTooLow:
		n -= n / 8
	case !isWaitedFor || idle < idleEnough:
	case idle > idleMostly:
		n *= 2
	default:
		n += max(1, n/4)
	}
	return max(min(n, most), min(firstRequests(), most))
}

// cpuTimes is what the processors of the machine have done since it started, in ticks.
type cpuTimes struct{ idle, all uint64 }

// idleSince is the part of the time that they were idle.
func (t cpuTimes) idleSince(before cpuTimes) float64 {
	if t.all <= before.all || t.idle < before.idle {
		return 0
	}
	return float64(t.idle-before.idle) / float64(t.all-before.all)
}

// readCPUTimes reads /proc/stat, as proc_stat(5) describes it.
func readCPUTimes() (cpuTimes, bool) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return cpuTimes{}, false
	}
	return parseCPUTimes(b)
}

// parseCPUTimes looks at the first line: cpu, then user, nice, system, idle, iowait,
// irq, softirq, steal. Time as a guest is in user.
func parseCPUTimes(stat []byte) (t cpuTimes, ok bool) {
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) < 9 || string(fields[0]) != "cpu" {
		return cpuTimes{}, false
	}
	for i, f := range fields[1:9] {
		n, err := strconv.ParseUint(string(f), 10, 60) // eight of them add up to less than 1<<64
		if err != nil {
			return cpuTimes{}, false
		}
		t.all += n
		if i == 3 || i == 4 {
			t.idle += n
		}
	}
	return t, true
}
