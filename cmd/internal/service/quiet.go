package service

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// How long a line keeps others like it out, and how many lines are remembered.
const (
	quietTime  = time.Minute
	mostQuiets = 1000
)

// quiet leaves out what repeats a warning or an error word for word, all
// attributes included, within [quietTime]: what fails a thousand times a second
// is told once a minute, with how often it was left out meanwhile. Lines about an
// action have its cookie, so they repeat nothing.
type quiet struct {
	slog.Handler
	prefix string // what the logger's own attributes add to each line
	seen   *seenLines
}

type seenLines struct {
	mu   sync.Mutex // guards of
	of   map[string]*seenLine
	most int
}

type seenLine struct {
	written time.Time
	omitted int
}

func newQuiet(h slog.Handler) quiet {
	return quiet{Handler: h, seen: &seenLines{of: map[string]*seenLine{}, most: mostQuiets}}
}

// Handle implements [slog.Handler].
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn {
		return q.Handler.Handle(ctx, r)
	}
	omitted, write := q.seen.look(q.key(r), r.Time)
	if !write {
		return nil
	}
	if omitted > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("omitted", omitted))
	}
	return q.Handler.Handle(ctx, r)
}

func (q quiet) key(r slog.Record) string {
	var b strings.Builder
	b.WriteString(r.Level.String() + q.prefix + "\x00" + r.Message)
	r.Attrs(func(a slog.Attr) bool {
		b.WriteString("\x00" + a.String())
		return true
	})
	return b.String()
}

// look tells whether a line is to be written, and how many like it were not.
func (s *seenLines) look(key string, now time.Time) (omitted int, write bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := s.of[key]
	if line != nil && now.Sub(line.written) < quietTime {
		line.omitted++
		return 0, false
	}
	if line == nil {
		s.makeRoom(now)
		line = &seenLine{}
		s.of[key] = line
	}
	omitted = line.omitted
	*line = seenLine{written: now}
	return omitted, true
}

// makeRoom forgets lines that keep nothing out any more; and all, if that is not
// enough: then no two lines are alike, and nothing is to be gained.
func (s *seenLines) makeRoom(now time.Time) {
	if len(s.of) < s.most {
		return
	}
	for key, line := range s.of {
		if now.Sub(line.written) >= quietTime {
			delete(s.of, key)
		}
	}
	if len(s.of) >= s.most {
		clear(s.of)
	}
}

// WithAttrs implements [slog.Handler].
func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		q.prefix += "\x00" + a.String()
	}
	q.Handler = q.Handler.WithAttrs(attrs)
	return q
}

// WithGroup implements [slog.Handler].
func (q quiet) WithGroup(name string) slog.Handler {
	q.prefix += "\x00" + name
	q.Handler = q.Handler.WithGroup(name)
	return q
}
