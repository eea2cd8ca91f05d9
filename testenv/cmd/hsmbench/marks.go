package main

import (
	"fmt"
	"math"
)

// A mark is a figure that the copytool is to reach.
type mark struct {
	what    string
	limit   float64
	atLeast bool // else at most
	unit    string
	value   func(*report) float64 // NaN: the case was not measured
}

const xHTTP = "x the CPU of net/http's loop"

var marks = []mark{
	{"large file, HTTPS, archive", 0.90, false, "CPU s/GiB", costOf("large/https", archive, copytool)},
	{"large file, HTTPS, restore", 0.90, false, "CPU s/GiB", costOf("large/https", restore, copytool)},
	{"large file, HTTP, archive", 0.65, false, "CPU s/GiB", costOf("large/http", archive, copytool)},
	{"large file, HTTP, restore", 0.65, false, "CPU s/GiB", costOf("large/http", restore, copytool)},
	{"large file, HTTPS, archive", 1.10, false, "x the CPU of the SDK's loop", toSDK("large/https", archive, copytool, cpu)},
	{"large file, HTTPS, restore", 1.10, false, "x the CPU of the SDK's loop", toSDK("large/https", restore, copytool, cpu)},
	{"large file, HTTPS, archive", 1.15, false, "x the time of the SDK's loop", toSDK("large/https", archive, copytool, seconds)},
	{"large file, HTTPS, restore", 1.15, false, "x the time of the SDK's loop", toSDK("large/https", restore, copytool, seconds)},
	{"files of 64 KiB, blobstore alone, archive", 100, false, "CPU µs/file", costOf("small-64KiB/http", archive, "blobstore")},
	{"files of 64 KiB, blobstore alone, restore", 100, false, "CPU µs/file", costOf("small-64KiB/http", restore, "blobstore")},
	{"files of 64 KiB, archive", 250, false, "CPU µs/file", costOf("small-64KiB/http", archive, copytool)},
	{"files of 64 KiB, restore", 250, false, "CPU µs/file", costOf("small-64KiB/http", restore, copytool)},
	{"files of 64 KiB, blobstore alone, archive", 100.0 / 50, false, xHTTP, ofHTTP(archive, "blobstore")},
	{"files of 64 KiB, blobstore alone, restore", 100.0 / 50, false, xHTTP, ofHTTP(restore, "blobstore")},
	{"files of 64 KiB, archive", 250.0 / 50, false, xHTTP, ofHTTP(archive, copytool)},
	{"files of 64 KiB, restore", 250.0 / 50, false, xHTTP, ofHTTP(restore, copytool)},
	{"files of 64 KiB, archive", 3000, true, "files/s", rateOf("small-64KiB/http", archive, copytool)},
	{"files of 64 KiB, restore", 3000, true, "files/s", rateOf("small-64KiB/http", restore, copytool)},
	{"files of 64 KiB, archive", 1.01, false, "requests/file", requestsOf("small-64KiB/http", archive, copytool)},
	{"files of 64 KiB, 20 ms, archive", 0.85, true, "of transfers / 20 ms", ofLatencyLimit("small-64KiB/http+20ms")},
	{"large file, 20 ms, archive", 1.15, false, "x the time of the SDK's loop", toSDK("large/http+20ms", archive, copytool, seconds)},
	{"no option given, large file, HTTPS, archive", 0.90, true, "x the throughput with 16 transfers", defaultsOf("large/https")},
	{"no option given, 64 KiB, HTTPS, archive", 0.90, true, "x the throughput with 16 transfers", defaultsOf("small-64KiB/https")},
	{"no option given, large file, 20 ms, archive", 0.90, true, "x the throughput with 32 transfers", defaultsOf("large/https+20ms")},
	{"no option given, 64 KiB, 20 ms, archive", 0.90, true, "x the throughput with 32 transfers", defaultsOf("small-64KiB/https+20ms")},
	{"4 KiB files behind large ones, 99 of 100", 1, false, "s", p99Of("mixed/https")},
	{"100,000 files that wait, and not 1,000", 1.10, false, "x the CPU", queueGrowth},
	{"sparse file, archive", 1.25, false, "x the time of the SDK's loop over its blocks with data", toSDK("sparse/http", archive, copytool, seconds)},
	{"sparse file, restore", 1.25, false, "x the time of the SDK's loop over its blocks with data", toSDK("sparse/http", restore, copytool, seconds)},
	{"memory, the most in any case", 1024 + 64, false, "MiB", mostMemory},
}

// figure gives a figure of one who was measured in a case.
func figure(name, op, who string, of func(*caseResult, *result) float64) func(*report) float64 {
	return func(r *report) float64 {
		c := r.find(name)
		if c == nil || c.find(op, who) == nil {
			return math.NaN()
		}
		return of(c, c.find(op, who))
	}
}

func costOf(name, op, who string) func(*report) float64 {
	return figure(name, op, who, (*caseResult).cost)
}

func rateOf(name, op, who string) func(*report) float64 {
	return figure(name, op, who, (*caseResult).rate)
}

func requestsOf(name, op, who string) func(*report) float64 {
	return figure(name, op, who, func(c *caseResult, r *result) float64 { return r.median(requests) / float64(c.Files) })
}

func toSDK(name, op, who string, of func(sample) float64) func(*report) float64 {
	return toLoop(name, op, who, sdkLoop, of)
}

func toLoop(name, op, who, loop string, of func(sample) float64) func(*report) float64 {
	return figure(name, op, who, func(c *caseResult, r *result) float64 {
		beside := c.find(op, loop)
		if beside == nil {
			return math.NaN()
		}
		return r.median(of) / beside.median(of)
	})
}

// ofHTTP is the CPU of small files, of that of the bare loop of net/http. The marks for
// them are of a machine where that took 50 µs, and so say most elsewhere as multiples of it.
func ofHTTP(op, who string) func(*report) float64 {
	return toLoop("small-64KiB/http", op, who, httpLoop, cpu)
}

// ofLatencyLimit is the rate of archives, of what the latency allows.
func ofLatencyLimit(name string) func(*report) float64 {
	return figure(name, archive, copytool, func(c *caseResult, r *result) float64 {
		return c.rate(r) / (float64(c.Transfers) / (c.LatencyMS / 1e3))
	})
}

// defaultsOf is the throughput of a copytool without options, of that of one with.
func defaultsOf(name string) func(*report) float64 {
	return figure(name, archive, defaults, func(c *caseResult, r *result) float64 {
		return c.find(archive, copytool).median(seconds) / r.median(seconds)
	})
}

func p99Of(name string) func(*report) float64 {
	return figure(name, archive, copytool, func(_ *caseResult, r *result) float64 { return r.median(p99) })
}

func queueGrowth(r *report) float64 {
	return costOf("queue-long/http", archive, copytool)(r) / costOf("queue-short/http", archive, copytool)(r)
}

// mostMemory is the peak of any round, in MiB.
func mostMemory(r *report) float64 {
	most := math.NaN()
	for _, c := range r.Cases {
		for _, found := range c.Results {
			if found.Who != copytool && found.Who != defaults {
				continue
			}
			for _, s := range found.Samples {
				if v := float64(s.Peak) / mib; !(v <= most) {
					most = v
				}
			}
		}
	}
	return most
}

// marks is a table of what was to be reached, and was.
func (r *report) marks() cells {
	t := cells{{"", "", "wanted", "measured", ""}}
	for _, m := range marks {
		v := m.value(r)
		if !math.IsNaN(v) {
			t = append(t, m.line(v))
		}
	}
	return t
}

func (m mark) line(v float64) []string {
	sign, reached := "≤", v <= m.limit
	if m.atLeast {
		sign, reached = "≥", v >= m.limit
	}
	verdict := "reached"
	if !reached {
		verdict = "missed"
	}
	return []string{m.what, m.unit, fmt.Sprintf("%s %g", sign, m.limit), number(v), verdict}
}
