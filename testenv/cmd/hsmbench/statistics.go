package main

import (
	"slices"
	"time"
)

// median is the middle of some values, or the mean of the two in the middle. Of
// none it is 0.
func median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// quantiles are of the times, in seconds, that single files took.
type quantiles struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
}

func quantilesOf(times []time.Duration) *quantiles {
	sorted := slices.Sorted(slices.Values(times))
	return &quantiles{Count: len(sorted), P50: rank(sorted, 0.50).Seconds(), P99: rank(sorted, 0.99).Seconds()}
}

// rank is the smallest value that a part of all are not above.
func rank(sorted []time.Duration, part float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	i := int(part*float64(len(sorted))+0.999999) - 1
	return sorted[max(0, min(i, len(sorted)-1))]
}
