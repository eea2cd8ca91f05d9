package main

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"

	"lhsm-azblob/blobstore"
)

// A SAS that ends stops everything, restores included. From expiryNotice before
// that on it is in the log, at the start and then each expiryLook.
const (
	expiryNotice = 7 * 24 * time.Hour
	expiryLook   = 12 * time.Hour
)

// expiries are the containers whose credentials are watched. Those that renew
// themselves, as an identity's do, have no end.
type expiries []*blobstore.Container

// firstEnd is when the first credential ends, in Unix time; without an end, +Inf.
func (e expiries) firstEnd() float64 {
	first := math.Inf(1)
	for _, c := range e {
		if end, ok := c.CredentialExpiry(); ok {
			first = min(first, float64(end.Unix()))
		}
	}
	return first
}

func (e expiries) warn(log *slog.Logger) {
	for _, c := range e {
		if end, ok := c.CredentialExpiry(); ok && time.Until(end) < expiryNotice {
			log.Warn("the SAS ends soon, and with it all archives and restores; put a new one into its place",
				"container", c.URL(), "end", end.UTC().Format(time.RFC3339), "left", time.Until(end).Round(time.Minute))
		}
	}
}

// follow warns until stop is called.
func (e expiries) follow(ctx context.Context, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() {
		ticker := time.NewTicker(expiryLook)
		defer ticker.Stop()
		for {
			e.warn(log)
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	})
	return func() {
		cancel()
		ended.Wait()
	}
}
