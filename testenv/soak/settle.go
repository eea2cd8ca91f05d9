package soak

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Flags of lfs hsm_state.
const (
	archivedState = "(0x00000009) exists archived, archive_id:1"
	releasedState = "(0x0000000d) released exists archived, archive_id:1"
)

// settle lets everything come to rest, and compares all there is. There are no
// troubles any more, so nothing may fail.
func (w *world) settle(ctx context.Context) error {
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"come to rest", w.rest},
		{"read everything", w.compareAll},
		{"archive everything", w.archiveAll},
		{"compare the container", w.compareContainer},
		{"release everything", w.releaseAll},
		{"restore everything", w.restoreAll},
		{"read everything again", w.compareAll},
		{"remove every copy", w.removeAll},
		{"compare the container again", w.compareEmptied},
		{"look for leaks", w.leaks},
		{"stop the copytools", w.stopAll},
	} {
		began := time.Now()
		err := step.do(ctx)
		w.log.add("end", fmt.Sprintf("%s, %v", step.name, time.Since(began).Round(time.Millisecond)), err)
		if err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

func (w *world) rest(ctx context.Context) error {
	w.gate.Heal()
	if _, err := w.lustre(ctx, "fault", "clear"); err != nil {
		return err
	}
	return w.waitIdle(ctx)
}

func (w *world) compareAll(_ context.Context) error {
	var errs []error
	r := w.randFor(endStream)
	for _, f := range w.files.all() {
		errs = append(errs, w.compare(f, r))
	}
	return errors.Join(errs...)
}

// requestAll asks about files until all are in a state, a few times: several
// robots have asked before, and not all that they asked for is over.
func (w *world) requestAll(ctx context.Context, verb, want string) error {
	const attempts, batch = 4, 10
	left := w.files.all()
	for range attempts {
		var args []string
		for i, f := range left {
			args = append(args, "./"+f.paths[0])
			if len(args) == batch || i == len(left)-1 {
				if err := w.ask(ctx, 0, verb, args...); err != nil {
					return err
				}
				args = nil
			}
		}
		if err := w.waitIdle(ctx); err != nil {
			return err
		}
		var err error
		if left, err = w.notIn(ctx, want, left); err != nil {
			return err
		}
		if len(left) == 0 {
			return nil
		}
	}
	return mismatchf("%d files are not %q after %d requests to %s; one is %q", len(left), want, attempts, verb, left[0].paths[0])
}

// notIn are the files that are not in a state.
func (w *world) notIn(ctx context.Context, want string, list []*file) (others []*file, err error) {
	for _, f := range list {
		state, err := w.state(ctx, f.paths[0])
		if err != nil {
			return nil, err
		}
		if state != want {
			w.log.add("end", fmt.Sprintf("state of %q, %s, is %s, want %s", f.paths[0], f.fid, state, want), nil)
			others = append(others, f)
		}
	}
	return others, nil
}

func (w *world) archiveAll(ctx context.Context) error {
	return w.requestAll(ctx, "archive", archivedState)
}

func (w *world) releaseAll(ctx context.Context) error {
	return w.requestAll(ctx, "release", releasedState)
}

// restoreAll lets Lustre restore half of the files because somebody reads them.
func (w *world) restoreAll(ctx context.Context) error {
	var errs []error
	r := w.randFor(endStream)
	for i, f := range w.files.all() {
		if i%2 == 0 {
			errs = append(errs, w.compare(f, r))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return w.requestAll(ctx, "restore", archivedState)
}

func (w *world) removeAll(ctx context.Context) error {
	return w.requestAll(ctx, "remove", "(0x00000000), archive_id:1")
}

// Slack is what a copytool at rest may have above one that has just started:
// idle connections, each with two goroutines, on both ends of it.
const slack = 40

// leaks compares what the copytools hold with what they had better not.
func (w *world) leaks(ctx context.Context) error {
	open, err := w.openActions(ctx)
	if err != nil {
		return err
	}
	if len(open) > 0 {
		return fmt.Errorf("%d actions are open; one is %+v", len(open), open[0])
	}
	for _, m := range w.movers {
		if err := m.leaks(m.look(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// leaks compares metrics with what they may be at rest.
func (m *mover) leaks(values map[string]float64) error {
	// The library cannot free a registration while there is a newer one (llapi's Copytool.Close).
	kept := 3 * values["lhsm_azblob_registrations_total"]
	limits := map[string]float64{"lhsm_azblob_memory_in_use_bytes": 0, "go_goroutines": 20 + slack, "process_open_fds": 20 + slack + kept}
	for _, op := range []string{"ARCHIVE", "RESTORE", "REMOVE"} {
		limits[fmt.Sprintf("lhsm_azblob_queue_depth{op=%q}", op)] = 0
		limits[fmt.Sprintf("lhsm_azblob_actions_in_flight{op=%q}", op)] = 0
	}
	for name, limit := range limits {
		got, ok := values[name]
		if !ok {
			return fmt.Errorf("%s has no metric %s", m.name, name)
		}
		m.w.log.add(m.name, fmt.Sprintf("%s is %v", name, got), nil)
		if got > limit {
			return fmt.Errorf("leak: %s has %s %v, at most %v is expected", m.name, name, got, limit)
		}
	}
	return nil
}

func (w *world) stopAll(context.Context) error {
	var errs []error
	for _, m := range w.movers {
		errs = append(errs, m.drain())
	}
	return errors.Join(errs...)
}

// explain keeps what is there when something is wrong.
func (w *world) explain(err error) {
	w.log.add("end", "wrong", err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, name := range []string{"mdt.*.hsm.actions", "mdt.*.hsm.active_requests", "mdt.*.hsm.agents"} {
		text, err := w.lustre(ctx, "get_param", name)
		w.log.add("end", text, err)
	}
	w.logContainer(ctx)
	if strings.Contains(err.Error(), "hang") {
		for _, m := range w.movers {
			m.dump()
		}
	}
}
