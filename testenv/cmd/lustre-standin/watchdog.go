package main

import (
	"context"
	"log/slog"
	"os"
	"runtime/pprof"
	"time"

	"lhsm-azblob/testenv/state"
)

const (
	watchEvery = 5 * time.Second
	watchLimit = time.Minute
)

// watch ends the daemon if its state no longer answers. Whoever is in a call to
// us could not even be killed; the end of this process makes the kernel fail
// those calls.
func watch(ctx context.Context, s *state.FS, log *slog.Logger) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		answered := make(chan struct{})
		go func() { // ends with the answer, or never, and then we end
			_, _ = s.GetAttr(state.RootFID)
			close(answered)
		}()
		select {
		case <-answered:
		case <-time.After(watchLimit):
			log.Error("the state does not answer; giving up", "limit", watchLimit)
			_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 2) // for whoever looks for the reason
			os.Exit(70)
		}
	}
}
