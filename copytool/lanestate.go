package copytool

import "time"

// laneState is a lane in numbers.
type laneState struct {
	name             string
	limit            int
	waiting, running int
	parked, resting  int
	oldest           time.Time // when the task was received that has waited longest; zero: none waits
}

// age is for how long that task has waited.
func (l laneState) age(now time.Time) time.Duration {
	if l.oldest.IsZero() {
		return 0
	}
	return now.Sub(l.oldest)
}

// state is that of all lanes but the one that only ends things, at one moment.
func (s *scheduler) state() []laneState {
	s.mu.Lock()
	defer s.mu.Unlock()
	states := make([]laneState, 0, 3)
	for _, l := range s.lanes()[1:] {
		states = append(states, laneState{
			name: l.name, limit: l.limit, waiting: l.waiting, running: l.running, parked: l.parked, resting: l.resting, oldest: l.oldest(),
		})
	}
	s.lookBehindOwners(states)
	return states
}

// oldest looks at the heads of the queues only, however many tasks wait: each is in
// the order of arrival, but for a task that is handed its file, and that is next.
func (l *lane) oldest() (when time.Time) {
	for _, q := range []*fifo{&l.urgent, &l.large, &l.normal} {
		if t := q.front(); t != nil {
			when = earlier(when, t.received)
		}
	}
	return when
}

// lookBehindOwners takes into account what waits for another task on its file. There
// are no more lines than there are files worked on.
func (s *scheduler) lookBehindOwners(states []laneState) {
	for _, line := range s.files {
		for _, q := range []*fifo{&line.restores, &line.others} {
			t := q.front()
			for i := range states {
				if t != nil && states[i].name == t.lane.name {
					states[i].oldest = earlier(states[i].oldest, t.received)
				}
			}
		}
	}
}

// earlier is the earlier of two times, of which a may be none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
