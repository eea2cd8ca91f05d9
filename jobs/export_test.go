package jobs

import "time"

// Quick shortens the times of a job for tests.
func (o *Options) Quick() {
	o.tune = tuning{
		pollLeast: 5 * time.Millisecond, pollMost: 50 * time.Millisecond,
		probe: 100 * time.Millisecond, suspect: 500 * time.Millisecond, stall: 300 * time.Millisecond, silent: time.Second,
		retry: []time.Duration{50 * time.Millisecond, 200 * time.Millisecond}, refused: 50 * time.Millisecond,
		grace: time.Second, restart: 100 * time.Millisecond,
	}
}
