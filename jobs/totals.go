package jobs

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Totals are the numbers of all jobs together, for those who watch the service.
type Totals struct {
	// Jobs are those in the database, by state; every state is there.
	Jobs map[State]int64
	// OldestQueued is when the job was made that has waited longest for its turn;
	// zero: none waits.
	OldestQueued time.Time
	// Since are the numbers since the manager was opened.
	Since Since
}

// Since are numbers that only grow, and begin again with the process.
type Since struct {
	Ended         map[State]int64 // jobs, by their end
	FilesExported int64
	BytesExported int64
	FilesFailed   int64
	FilesRetried  int64 // requests that were made again
}

// states are all there are.
var states = []State{Queued, FSScanInProgress, InProgress, Cancelling, Canceled, Completed, CompletedPartial, Failed}

// Totals returns the numbers of this moment.
func (m *Manager) Totals(ctx context.Context) (Totals, error) {
	jobs, err := m.store.jobsByState(ctx)
	if err != nil {
		return Totals{}, err
	}
	for _, s := range states {
		jobs[s] += 0
	}
	t := Totals{Jobs: jobs, Since: m.sums.now()}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, j := range m.queue { // the oldest first
		if j.State == Queued {
			t.OldestQueued = j.Created
			break
		}
	}
	return t, nil
}

// sums adds up what the jobs do.
type sums struct {
	mu    sync.Mutex // guards since
	since Since
}

// files adds what has become of files between two moments of a job.
func (s *sums) files(before, after *Counters) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since.FilesExported += after.FilesExported - before.FilesExported
	s.since.BytesExported += after.BytesExported - before.BytesExported
	s.since.FilesFailed += after.FilesFailed - before.FilesFailed
	s.since.FilesRetried += after.FilesRetried - before.FilesRetried
}

// ended counts a job that is over.
func (s *sums) ended(end State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.Ended == nil {
		s.since.Ended = map[State]int64{}
	}
	s.since.Ended[end]++
}

// now has every end in it, also those that no job has come to.
func (s *sums) now() Since {
	s.mu.Lock()
	defer s.mu.Unlock()
	since, ended := s.since, map[State]int64{}
	for _, state := range states {
		if state.Finished() {
			ended[state] = s.since.Ended[state]
		}
	}
	since.Ended = ended
	return since
}

func (s *store) jobsByState(ctx context.Context) (map[State]int64, error) {
	byState := map[State]int64{}
	_, err := all(ctx, s.read, func(row rowScanner) (struct{}, error) {
		var state State
		var n int64
		err := row.Scan(&state, &n)
		byState[state] = n
		return struct{}{}, err
	}, "SELECT state, count(*) FROM jobs GROUP BY state")
	if err != nil {
		return nil, fmt.Errorf("count the jobs: %w", err)
	}
	return byState, nil
}
