// Package meter measures what moving files costs: the time it takes, what one
// process uses meanwhile (and no other, so that client and server can share a
// machine), and the requests that a blobsink got.
package meter

import (
	"context"
	"time"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/blobsink"
)

// Figures are what was measured from [Start] to [Meter.Stop].
type Figures struct {
	Seconds  float64          `json:"seconds"`  // on the clock
	CPU      float64          `json:"cpu"`      // seconds of processor time, user and system
	Peak     int64            `json:"peak"`     // bytes; the largest resident size in the life of the process
	Requests map[string]int64 `json:"requests"` // by operation, as blobsink names them
}

// Total is the number of requests.
func (f Figures) Total() (n int64) {
	for _, r := range f.Requests {
		n += r
	}
	return n
}

// A Meter measures one process.
type Meter struct {
	ctx      context.Context
	pid      int
	stats    string
	requests blobsink.Stats
	cpu      time.Duration
	began    time.Time
}

// Start begins to measure a process that talks to the sink with that StatsURL.
func Start(ctx context.Context, pid int, stats string) (*Meter, error) {
	m := &Meter{ctx: ctx, pid: pid, stats: stats}
	var err error
	if m.requests, err = blobsink.FetchStats(ctx, stats); err != nil {
		return nil, err
	}
	if m.cpu, err = testenv.CPUTime(pid); err != nil {
		return nil, err
	}
	m.began = time.Now()
	return m, nil
}

// Stop tells what has come together. It may be called again later.
func (m *Meter) Stop() (Figures, error) {
	f := Figures{Seconds: time.Since(m.began).Seconds()}
	cpu, err := testenv.CPUTime(m.pid)
	if err != nil {
		return f, err
	}
	f.CPU = (cpu - m.cpu).Seconds()
	if f.Peak, err = testenv.PeakMemory(m.pid); err != nil {
		return f, err
	}
	st, err := blobsink.FetchStats(m.ctx, m.stats)
	if err != nil {
		return f, err
	}
	f.Requests = Since(m.requests, st)
	return f, nil
}

// Since is what a sink was asked for between two looks at its counts.
func Since(before, after blobsink.Stats) map[string]int64 {
	requests := map[string]int64{}
	for op, n := range after.Requests {
		if n -= before.Requests[op]; n > 0 {
			requests[op] = n
		}
	}
	return requests
}
