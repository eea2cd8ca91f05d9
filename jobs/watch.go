package jobs

import (
	"context"
	"reflect"
	"time"
)

// Times of a watcher: the least between two states that it gets, and the most
// without a look, since rates fall while nothing changes.
const (
	watchPause   = 250 * time.Millisecond
	watchRefresh = 2 * time.Second
)

// Watch sends a job as it is now, then after each change, a few times per
// second at most. The channel is closed after the job's end was sent, when ctx
// ends, and when the job cannot be read. A slow receiver misses states, never the last.
func (m *Manager) Watch(ctx context.Context, id int64) <-chan Job {
	c := make(chan Job)
	go func() { // ends as described
		defer close(c)
		var last Job
		for {
			changed := m.changes()
			job, err := m.Job(ctx, id)
			if err != nil {
				return
			}
			if !reflect.DeepEqual(job, last) && !sendJob(ctx, c, job) || job.State.Finished() {
				return
			}
			last = job
			if !pause(ctx, watchPause) {
				return
			}
			select {
			case <-changed:
			case <-time.After(watchRefresh):
			case <-ctx.Done():
				return
			}
		}
	}()
	return c
}

// changes is closed at the next change of any job.
func (m *Manager) changes() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

func sendJob(ctx context.Context, c chan<- Job, job Job) bool {
	select {
	case c <- job:
		return true
	case <-ctx.Done():
		return false
	}
}

// pause waits, and tells whether ctx let it.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
