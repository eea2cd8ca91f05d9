package copytool

import (
	"sync"
	"time"
)

// A speedometer says how fast a number grows, from one look to the next. The zero
// value has not been started.
type speedometer struct {
	at        time.Time // of the last look
	value     int64
	perSecond float64
	known     bool // perSecond is
}

// start is the first look.
func (s *speedometer) start(now time.Time) { *s = speedometer{at: now} }

// look notes the value. A number that has begun again, as that of an upload does that
// is tried anew, has no speed.
func (s *speedometer) look(value int64, now time.Time) {
	if took := now.Sub(s.at).Seconds(); took > 0 && !s.at.IsZero() {
		s.perSecond, s.known = max(0, float64(value-s.value)/took), true
	}
	s.at, s.value = now, value
}

// rate is that between the last two looks; before the second, since the start.
func (s *speedometer) rate(value int64, now time.Time) float64 {
	if took := now.Sub(s.at).Seconds(); !s.known && took > 0 && !s.at.IsZero() {
		return max(0, float64(value-s.value)/took)
	}
	return s.perSecond
}

// flow is how much an agent moves, all actions together.
type flow struct {
	mu                    sync.Mutex // guards what follows
	sent, received, ended speedometer
}

func (f *flow) look(m *Metrics, now time.Time) {
	sent, received, ended := m.totals()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent.look(sent, now)
	f.received.look(received, now)
	f.ended.look(ended, now)
}

func (f *flow) rates() (sent, received, ended float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sent.perSecond, f.received.perSecond, f.ended.perSecond
}
