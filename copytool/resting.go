package copytool

import "time"

// rest puts a task aside whose end was not taken. It gives its slot back, and unless
// it failed keeps its file: a remove that went before the end of an archive would
// leave a file behind that counts as archived and has no copy.
func (s *scheduler) rest(l *lane, t *task, d time.Duration) {
	t.in = &s.resting
	t.lane.waiting++
	t.lane.resting++
	s.unheard.push(t)
	t.ending.Store(false)
	if t.failed {
		s.releaseFile(t)
	}
	if s.stopped != nil {
		s.lastWord(t)
	} else {
		time.AfterFunc(d, func() { s.wake(t) })
	}
	s.freeSlot(l, t)
}

// wake lets a resting task try again. Where only a word is missing, it need not wait
// for a slot among those who work.
func (s *scheduler) wake(t *task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.in != &s.resting {
		return
	}
	s.waitsNoMore(t)
	l := s.refusals
	if t.redo && t.cause == nil {
		l = s.laneFor(t.item.Action)
	}
	s.wait(l, t)
	s.dispatch()
}

// wakeAll is for when the coordinator is there again.
func (s *scheduler) wakeAll() {
	for _, t := range s.restingTasks() {
		s.wake(t)
	}
}

func (s *scheduler) restingTasks() (tasks []*task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tasks {
		if t.in == &s.resting {
			tasks = append(tasks, t)
		}
	}
	return tasks
}

// lastWord lets a resting task try once more before the process stops.
func (s *scheduler) lastWord(t *task) {
	t.cause = s.stopped
	s.waitsNoMore(t)
	s.wait(s.refusals, t)
}
