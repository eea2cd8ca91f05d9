package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// troubleMaker kills and restarts what a data center kills and restarts.
func (w *world) troubleMaker(ctx context.Context, r *rand.Rand) error {
	for pause(ctx, w.o.Calm/2+time.Duration(r.Int64N(int64(w.o.Calm)))) {
		name, do := w.someTrouble(r)
		w.log.add("trouble", name, nil)
		if err := do(context.WithoutCancel(ctx), r); err != nil { // a trouble that has begun is ended, too
			return fmt.Errorf("%s: %w", name, err)
		}
		w.seen.count(kills, name)
	}
	return nil
}

func (w *world) someTrouble(r *rand.Rand) (string, func(context.Context, *rand.Rand) error) {
	switch n := r.IntN(100); {
	case n < 45:
		return "kill -9 of a copytool", w.killMover
	case n < 60:
		return "kill -9 of both copytools", w.killBoth
	case n < 80:
		return "SIGTERM to a copytool", w.drainMover
	case n < 90:
		return "restart of the blob server", w.restartServer
	default:
		return "restart of the coordinator", w.restartCoordinator
	}
}

func (w *world) someMover(r *rand.Rand) *mover { return w.movers[r.IntN(len(w.movers))] }

func (w *world) killMover(ctx context.Context, r *rand.Rand) error {
	m := w.someMover(r)
	m.kill()
	for r.IntN(3) == 0 { // once more while it recovers
		if m.startOnce(ctx) == nil {
			pause(ctx, time.Duration(r.Int64N(int64(time.Second))))
		}
		m.kill()
	}
	pause(ctx, time.Duration(r.Int64N(int64(3*time.Second))))
	return m.start(ctx)
}

func (w *world) killBoth(ctx context.Context, r *rand.Rand) error {
	for _, m := range w.movers {
		m.kill()
	}
	pause(ctx, time.Duration(r.Int64N(int64(3*time.Second))))
	for _, m := range w.movers {
		if err := m.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) drainMover(ctx context.Context, r *rand.Rand) error {
	m := w.someMover(r)
	if err := m.drain(); err != nil {
		return err
	}
	pause(ctx, time.Duration(r.Int64N(int64(3*time.Second))))
	return m.start(ctx)
}

func (w *world) restartCoordinator(ctx context.Context, _ *rand.Rand) error {
	_, err := w.lustre(ctx, "restart-coordinator")
	return err
}
