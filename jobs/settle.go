package jobs

import (
	"context"
	"time"
)

// A settlement is what outcomes mean for the tables.
type settlement struct {
	over    map[*flight]bool
	changed []*work
	final   []outcome
	results []FileResult
	again   []retry
	retried int64 // of again, those that count as attempts
}

// settle stores what became of flights, and counts what was sent since the last time.
func (x *export) settle(ctx context.Context, outcomes []outcome) error {
	s := x.weigh(outcomes)
	if len(s.changed) == 0 && x.owed == (tally{}) {
		return nil
	}
	err := x.r.commit(ctx, func(t tx, c *change) error {
		c.counters.FilesSubmitted += x.owed.files
		c.counters.BytesSubmitted += x.owed.bytes
		c.counters.FilesRetried += s.retried
		for _, o := range s.final {
			c.counters.account(o.fate, 1, o.size)
		}
		c.results = s.results
		return t.setWork(s.changed)
	})
	if err != nil {
		return err
	}
	x.owed = tally{}
	x.retries = append(x.retries, s.again...)
	x.land(s.over)
	x.speed.add(len(s.final), time.Now())
	return nil
}

// weigh decides which outcomes are final, and which files are asked for again.
func (x *export) weigh(outcomes []outcome) settlement {
	s := settlement{over: map[*flight]bool{}}
	for _, o := range outcomes {
		if o.begun && !o.running || o.noted != nil || o.fate == workExported {
			x.move(o.lane)
			o.running = true
		}
		if o.fate == workOpen {
			continue
		}
		s.over[o.flight] = true
		x.count(o.work)
		o.attempts++
		s.changed = append(s.changed, o.work)
		if o.again && o.attempts <= x.r.spec.retries() {
			if o.noted != nil {
				o.prior = o.noted
			}
			s.retried += int64(min(o.attempts, 1))
			s.again = append(s.again, retry{o.work, time.Now().Add(x.retryPause(o.attempts))})
			continue
		}
		o.work.status = o.fate
		s.final = append(s.final, o)
		if o.fate != workExported || x.r.spec.ReportAll {
			s.results = append(s.results, o.result())
		}
	}
	return s
}

// retryPause is how long a file that ended badly n times is left alone.
func (x *export) retryPause(n int) time.Duration {
	return x.tune.retry[min(max(n, 1), len(x.tune.retry))-1]
}

// statuses are how the report calls what became of a file.
var statuses = map[workStatus]Status{
	workExported: StatusExported,
	workFailed:   StatusFailed,
	workChanged:  StatusChanged,
	workVanished: StatusSkipped,
	workLeft:     StatusLeft,
}

func (o *outcome) result() FileResult {
	r := resultOf(o.work, statuses[o.fate], o.code, o.message)
	r.ETag = o.etag
	return r
}
