package soak

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// ended are the words of hsm.actions for what is over.
var ended = map[string]bool{"SUCCEED": true, "FAILED": true, "CANCELED": true}

// A ledger follows the coordinator's list of actions.
type ledger struct {
	open map[string]func() // by cookie: what ends the watch over it
	over map[string]bool   // cookies that are counted, as long as they are listed
}

// followActions counts what becomes of actions, and times them.
func (w *world) followActions(ctx context.Context) error {
	l := &ledger{open: map[string]func(){}, over: map[string]bool{}}
	return every(ctx, time.Second, func() error {
		lines, err := w.actions(ctx)
		if ctx.Err() == nil && err == nil {
			l.update(w, lines)
		}
		return w.watch.hanging()
	})
}

// An action is a line of hsm.actions.
type action struct{ cookie, fid, kind, status string }

func (w *world) actions(ctx context.Context) ([]action, error) {
	text, err := w.lustre(ctx, "get_param", "-n", "mdt.*.hsm.actions")
	var list []action
	for line := range strings.Lines(text) {
		if a := (action{field(line, "compound/cookie=0x0/"), field(line, " fid="), field(line, " action="), field(line, " status=")}); a.cookie != "" {
			list = append(list, a)
		}
	}
	return list, err
}

// field is the word that follows a name in a line of hsm.actions.
func field(line, name string) string {
	_, rest, _ := strings.Cut(line, name)
	word, _, _ := strings.Cut(rest, " ")
	return word
}

func (l *ledger) update(w *world, list []action) {
	listed := map[string]bool{}
	for _, a := range list {
		listed[a.cookie] = true
		switch {
		case ended[a.status] && !l.over[a.cookie]:
			l.over[a.cookie] = true
			w.seen.count(actions, a.kind+" "+a.status)
			l.end(a.cookie)
		case !ended[a.status] && l.open[a.cookie] == nil:
			l.open[a.cookie] = w.watch.begin("action", fmt.Sprintf("%s %s cookie %s", a.kind, a.fid, a.cookie))
		}
	}
	for cookie := range l.open {
		if !listed[cookie] {
			l.end(cookie)
		}
	}
	for cookie := range l.over {
		if !listed[cookie] {
			delete(l.over, cookie)
		}
	}
}

func (l *ledger) end(cookie string) {
	if end := l.open[cookie]; end != nil {
		end()
		delete(l.open, cookie)
	}
}

// open are the actions that are not over.
func (w *world) openActions(ctx context.Context) ([]action, error) {
	list, err := w.actions(ctx)
	var open []action
	for _, a := range list {
		if !ended[a.status] {
			open = append(open, a)
		}
	}
	return open, err
}

// waitIdle waits until no action is open.
func (w *world) waitIdle(ctx context.Context) error {
	_, err := w.lustre(ctx, "wait-idle", "--timeout", w.o.Hang.String())
	if err != nil {
		return fmt.Errorf("hang: %w", err)
	}
	return nil
}
