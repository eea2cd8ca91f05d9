package jobs

import (
	"math"
	"time"
)

// A rate is how much was done lately. It is not safe for concurrent use.
type rate struct {
	samples []sample // the oldest first, one a second at most
}

// A sample is what had been exported at one moment.
type sample struct {
	at           time.Time
	files, bytes int64
}

// rateSpan is the time that a rate is of.
const rateSpan = 30 * time.Second

// add notes what has been exported so far.
func (r *rate) add(now time.Time, files, bytes int64) {
	if n := len(r.samples); n > 0 && now.Sub(r.samples[n-1].at) < time.Second {
		return
	}
	r.samples = append(r.samples, sample{now, files, bytes})
	for len(r.samples) > 2 && now.Sub(r.samples[1].at) >= rateSpan {
		r.samples = r.samples[1:]
	}
}

// perSecond is the rate from the oldest sample to the newest, or to now if that
// is long ago: then nothing has moved.
func (r *rate) perSecond(now time.Time) (files, bytes float64) {
	if len(r.samples) < 2 {
		return 0, 0
	}
	first, last := r.samples[0], r.samples[len(r.samples)-1]
	end := last.at
	if now.Sub(end) > 2*time.Second {
		end = now
	}
	took := end.Sub(first.at).Seconds()
	return float64(last.files-first.files) / took, float64(last.bytes-first.bytes) / took
}

// eta is the time that the rest takes, by files or by bytes, whichever is longer.
func (c *Counters) eta(files, bytes float64) time.Duration {
	left := func(total, rate float64) float64 {
		if total <= 0 {
			return 0
		}
		return total / rate // +Inf at rate 0
	}
	seconds := max(
		left(float64(c.FilesFound-c.FilesSkipped-c.FilesExported-c.FilesFailed), files),
		left(float64(c.BytesFound-c.BytesSkipped-c.BytesExported-c.BytesFailed), bytes))
	if math.IsInf(seconds, 0) || seconds > (365*24*time.Hour).Seconds() {
		return 0
	}
	return time.Duration(seconds * float64(time.Second))
}
