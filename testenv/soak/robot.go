package soak

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
	"unicode/utf8"
)

// robot asks for what a policy engine asks for, and more: whatever, of whichever files.
func (w *world) robot(ctx context.Context, r *rand.Rand) error {
	for pause(ctx, time.Duration(r.Int64N(int64(200*time.Millisecond)))) {
		switch n := r.IntN(100); {
		case n < 50:
			w.askAbout(ctx, r, "archive", 1+r.IntN(12))
		case n < 72:
			w.askAbout(ctx, r, "release", 1+r.IntN(12))
		case n < 82:
			w.askAbout(ctx, r, "restore", 1+r.IntN(6))
		case n < 88:
			w.askAbout(ctx, r, "remove", 1+r.IntN(2))
		case n < 94:
			w.askAbout(ctx, r, "cancel", 1+r.IntN(4))
		default:
			w.removeDead(ctx, r)
		}
	}
	return nil
}

func (w *world) askAbout(ctx context.Context, r *rand.Rand, verb string, n int) {
	var args []string
	for _, f := range w.files.some(r, n) {
		if p := f.path(r); p != "" {
			args = append(args, "./"+p)
		}
	}
	if len(args) > 0 {
		_ = w.ask(ctx, 0, verb, args...)
	}
}

// removeDead names the blob of a file that is unlinked. Its path may be
// another's by now, whose blob must stay.
func (w *world) removeDead(ctx context.Context, r *rand.Rand) {
	fid, path, ok := w.files.takeDead(r)
	if !ok || !utf8.ValidString(path) {
		return
	}
	data, err := json.Marshal(map[string]string{"file_id": path})
	if err != nil {
		return
	}
	_ = w.ask(ctx, 0, "remove", "--archive", "1", "--mntpath", w.mounts[0], "--data", string(data), fid)
}

// reader compares files at random.
func (w *world) reader(ctx context.Context, r *rand.Rand) error {
	for pause(ctx, time.Duration(r.Int64N(int64(300*time.Millisecond)))) {
		for _, f := range w.files.some(r, 1) {
			if err := w.compare(f, r); isMismatch(err) {
				return err
			}
		}
	}
	return nil
}

// compare reads a file and compares it with its model. It may not be readable
// as long as there are troubles.
func (w *world) compare(f *file, r *rand.Rand) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.gone {
		return nil
	}
	rel := f.paths[r.IntN(len(f.paths))]
	defer w.watch.begin("read", rel)()
	err := f.verify(w.mounts[r.IntN(len(w.mounts))], rel)
	switch {
	case err == nil:
		w.seen.count(checked, "reads")
	case isMismatch(err):
		w.log.add("reader", fmt.Sprintf("compare %q, %s", rel, f.fid), err)
		return fmt.Errorf("%s: %w", f.fid, err)
	default:
		w.seen.count(refused, "read: "+errnoText(err))
	}
	return err
}

func isMismatch(err error) bool {
	var m *mismatch
	return errors.As(err, &m)
}
