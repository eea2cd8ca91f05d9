package service

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestRepeatsAreLeftOut: the first of many like it is written, and then one a
// minute, which says how many were not.
func TestRepeatsAreLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b strings.Builder
		log := Logger(&b, slog.LevelInfo, "text")
		for i := range 300 {
			log.Warn("no answer", "err", errors.New("refused"))
			log.Info("told")
			log.Warn("no answer", "cookie", i)
			log.With("op", i).Warn("of an action")
			<-time.After(time.Second)
		}
		for want, n := range map[string]int{
			`msg="no answer" err=refused`: 5, "omitted=59": 4, "msg=told": 300, `msg="no answer" cookie=`: 300, `msg="of an action" op=`: 300,
		} {
			if got := strings.Count(b.String(), want); got != n {
				t.Errorf("%q stands %d times in the log, want %d", want, got, n)
			}
		}
	})
}

// TestQuietForgets: what it remembers has a bound.
func TestQuietForgets(t *testing.T) {
	s := &seenLines{of: map[string]*seenLine{}, most: 10}
	now := time.Now()
	for i := range 1000 {
		if _, write := s.look(fmt.Sprint(i), now); !write {
			t.Errorf("line %d is left out, and there was none like it", i)
		}
		if len(s.of) > 10 {
			t.Fatalf("%d lines are remembered", len(s.of))
		}
	}
}

// TestLogFollowsItsLevel: also while it is used, and in both formats.
func TestLogFollowsItsLevel(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		var b strings.Builder
		level := &slog.LevelVar{}
		log := Logger(&b, level, format)
		log.Debug("one")
		level.Set(Level("debug"))
		log.Debug("two", "wait", 5*time.Minute)
		level.Set(Level("error"))
		log.Warn("three")
		got := b.String()
		if strings.Contains(got, "one") || !strings.Contains(got, "two") || strings.Contains(got, "three") || !strings.Contains(got, "5m0s") {
			t.Errorf("%s: %s", format, got)
		}
	}
}
