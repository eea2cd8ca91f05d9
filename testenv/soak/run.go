package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Options of [Run].
type Options struct {
	Bin      string        // folder with lustre-standin, lfs and liblustreapi.so.1
	Copytool string        // the copytool to soak; best built with the race detector
	Dir      string        // for logs, which stay, and the container's data, which do not
	Back     string        // for the data of the stand-in; best in memory
	Time     time.Duration // how long to make trouble
	Seed     uint64        // of everything that is random but time
	Users    []int         // user ids; each gets a tree
	Bytes    int64         // of all files together, about
	Calm     time.Duration // between two kills, on average
	Hang     time.Duration // what takes longer is a failure
	Report   time.Duration // between two lines of progress
}

// Streams of random numbers, besides those of users, which have their uid.
const (
	robotStream = 1 << 32
	endStream   = 1 << 33
)

func (w *world) randFor(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(w.o.Seed, stream)) }

// Run soaks, and prints figures. The error is what is wrong with the product.
func Run(ctx context.Context, o Options, out io.Writer) (err error) {
	began := time.Now()
	w := newWorld(o)
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.start(ctx); err != nil {
		return err
	}
	fmt.Fprintf(out, "seed %d, for %v, logs in %s\n", o.Seed, o.Time, o.Dir)
	err = w.soak(ctx, out)
	if err == nil {
		fmt.Fprintf(out, "%v: the troubles are over; everything is compared now\n", time.Since(began).Round(time.Second))
		err = w.watched(ctx, func() error { return w.settle(ctx) })
	}
	if err != nil {
		w.explain(err)
	}
	fmt.Fprintf(out, "\n%.1f minutes, seed %d\n", time.Since(began).Minutes(), o.Seed)
	w.seen.print(out)
	return err
}

// soak runs everybody at once until the time is up or something is wrong.
func (w *world) soak(ctx context.Context, out io.Writer) error {
	for _, uid := range w.o.Users {
		if err := newUser(w, uid).prepare(); err != nil {
			return err
		}
	}
	timed, cancel := context.WithTimeout(ctx, w.o.Time)
	defer cancel()
	g, working := errgroup.WithContext(timed)
	for _, uid := range w.o.Users {
		g.Go(func() error { return newUser(w, uid).run(working) })
	}
	for i, f := range []func(context.Context, *rand.Rand) error{w.robot, w.robot, w.robot, w.reader, w.reader, w.troubleMaker, w.spoilStorage, w.spoilLustre} {
		g.Go(func() error { return f(working, w.randFor(robotStream+uint64(i))) })
	}
	g.Go(func() error {
		return every(working, w.o.Report, func() error {
			fmt.Fprintf(out, "%s %s\n", time.Now().Format(time.TimeOnly), w.seen.line())
			return nil
		})
	})
	return w.watched(ctx, g.Wait)
}

// watched does something while a look-out is kept for hangs and for copytools
// that end. What hangs is not waited for.
func (w *world) watched(ctx context.Context, do func() error) error {
	ctx, cancel := context.WithCancel(ctx)
	result := make(chan error, 3)
	var lookouts sync.WaitGroup
	defer lookouts.Wait()
	defer cancel()
	go func() { result <- do() }() // may hang for good; the end of the process ends it
	for _, look := range []func(context.Context) error{w.followActions, w.followMovers} {
		lookouts.Go(func() {
			if err := look(ctx); err != nil {
				result <- err
			}
		})
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
