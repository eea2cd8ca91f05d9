package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/cmd/internal/mover"
	"lhsm-azblob/cmd/internal/options"
	"lhsm-azblob/cmd/internal/service"
	"lhsm-azblob/copytool"
)

// A reloader takes a changed configuration over while actions run: log level,
// limits and credentials. Everything is read and tried before anything is
// changed, so that a mistake changes nothing.
type reloader struct {
	read        func() (configuration, error)
	first, last configuration // of the start, and last taken over
	containers  expiries      // of first's archives, in their order
	pool        *blobstore.Pool
	agent       *copytool.Agent
	level       *slog.LevelVar
	log         *slog.Logger
	metrics     *copytool.Metrics
	speed       meter
	refused     atomic.Bool // the last one was not taken over
}

// follow answers hang-ups from when the copytool is ready until ctx ends, or stop
// is called.
func (r *reloader) follow(ctx context.Context, ready <-chan struct{}, hangups <-chan os.Signal, n *service.Notifier) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() {
		select {
		case <-ready:
		case <-ctx.Done():
			return
		}
		for {
			select {
			case <-hangups:
				n.Reloading()
				r.reload(ctx)
				n.Ready()
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		ended.Wait()
	}
}

func (r *reloader) reload(ctx context.Context) {
	err := r.takeOver(ctx)
	r.refused.Store(err != nil)
	if err != nil {
		r.log.Error("the configuration is not taken over: everything stays as it was", "err", options.OneLine(err.Error()))
	}
}

// condition is what systemctl status shows of.
func (r *reloader) condition() condition {
	now := time.Now()
	c := condition{Status: r.agent.Status(), rate: r.speed.rate(r.metrics.Moved(), now), rejected: r.refused.Load()}
	if end := r.containers.firstEnd(); !math.IsInf(end, 1) {
		c.expires, c.expiry = true, time.Unix(int64(end), 0).Sub(now)
	}
	return c
}

func (r *reloader) takeOver(ctx context.Context) error {
	next, err := r.read()
	if err != nil {
		return err
	}
	fresh, err := r.credentials(ctx, next.settings)
	if err != nil {
		return err
	}
	// From here on nothing can fail.
	s := next.settings
	r.level.Set(service.Level(s.LogLevel))
	r.agent.SetLimits(s.Limits)
	r.pool.SetLimits(s.Pool.Transfers, s.Pool.Bandwidth)
	for c, other := range fresh {
		c.TakeCredential(other)
	}
	changed, _ := mover.Table.Changed(r.last.values, next.values)
	_, fixed := mover.Table.Changed(r.first.values, next.values)
	r.last = next
	for _, name := range fixed {
		r.log.Warn(name + " needs a restart; until then its old value stays")
	}
	r.log.Info("the configuration is taken over", "changed", fmt.Sprint(changed), "new_credentials", len(fresh))
	return nil
}

// credentials opens the containers anew whose credential is another one now, with
// that. One that the service refuses is a mistake; one that cannot be tried, since
// the service is away, is taken.
func (r *reloader) credentials(ctx context.Context, s *mover.Settings) (fresh map[*blobstore.Container]*blobstore.Container, err error) {
	fresh = map[*blobstore.Container]*blobstore.Container{}
	for i, c := range r.containers {
		next := sameArchive(r.first.settings.Archives[i], s.Archives)
		if next == nil {
			continue
		}
		other, err := blobstore.Open(next.Container, r.pool)
		if err != nil {
			return nil, err
		}
		switch {
		case other.URL() != c.URL(): // by its connection string
			return nil, fmt.Errorf("the connection string is of another account or container than %s, which needs a restart", c.URL())
		case c.SameCredential(other):
			continue
		}
		err = check(ctx, other)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, blobstore.ErrPermission):
			return nil, err
		case err != nil:
			r.log.Warn("the new credential could not be tried; it is used from now on", "err", err)
		}
		fresh[c] = other
	}
	return fresh, nil
}

// sameArchive finds the settings by now of an archive that is served. Another
// container is another archive, for which nothing can be done before a restart.
func sameArchive(served *mover.Settings, archives []*mover.Settings) *mover.Settings {
	i := slices.IndexFunc(archives, func(a *mover.Settings) bool {
		return slices.Equal(a.IDs, served.IDs) && a.Container.URL == served.Container.URL
	})
	if i < 0 {
		return nil
	}
	return archives[i]
}
