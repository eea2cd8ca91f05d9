package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/cmd/internal/mover"
	"lhsm-azblob/cmd/internal/options"
	"lhsm-azblob/cmd/internal/service"
	"lhsm-azblob/copytool"
	"lhsm-azblob/llapi"
)

// checkTimeout bounds the look at a container before the start, so that a
// wrong address is reported and not waited for.
const checkTimeout = 30 * time.Second

// serve checks everything that can be wrong before the coordinator is told,
// and then is a copytool until it is stopped.
// read reads the configuration again.
func serve(ctx context.Context, now configuration, read func() (configuration, error), stdout, stderr io.Writer) error {
	s, hangups := now.settings, make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	if err := copytool.CheckCapabilities(); err != nil {
		return err
	}
	defer runtime.KeepAlive(tuneRuntime())
	if _, err := traceAddress(s.TraceEndpoint); err != nil {
		return err
	}
	mount, err := copytool.OpenMount(s.Mount)
	if err != nil {
		return err
	}
	level := &slog.LevelVar{}
	level.Set(service.Level(s.LogLevel))
	log := service.Logger(stderr, level, s.LogFormat)
	llapi.SetLogger(slog.New(demoted{log.Handler()}).With("from", "liblustreapi"))
	metrics := copytool.NewMetrics()
	metrics.Build(version)
	s.Pool.UserAgent, s.Pool.Logger = programName+"/"+version, log
	s.Pool.Observe, s.Pool.Traced, s.Pool.Adapt = metrics.ObserveRequest, s.TraceEndpoint != "", true
	pool := blobstore.NewPool(s.Pool)
	defer pool.Close()
	watchPool(metrics, pool)
	archives, credentials, err := openArchives(ctx, s, pool)
	if err != nil {
		return err
	}
	watchCredentials(metrics, credentials)
	f := &face{metrics: metrics, pool: pool, mount: mount, log: log}
	if s.HTTPTokenFile != "" {
		if f.token, err = options.ReadToken("http-token-file", s.HTTPTokenFile); err != nil {
			return err
		}
	}
	if s.Check {
		return reportCheck(stdout, mount, archives)
	}
	lock, err := copytool.LockMount(s.RunDir, mount.Root)
	if err != nil {
		return err
	}
	defer lock.Unlock() //nolint:errcheck // the process ends here, and the lock with it
	mount.Keep(lock, s.StateDir, log)
	defer credentials.follow(ctx, log)()
	r := &reloader{read: read, first: now, last: now, containers: credentials, pool: pool, level: level, log: log, metrics: metrics}
	return serveMount(ctx, s, f, archives, r, hangups)
}

func serveMount(ctx context.Context, s *mover.Settings, f *face, archives []*copytool.Archive, r *reloader, hangups <-chan os.Signal) error {
	mount, log := f.mount, f.log
	journal, err := copytool.OpenJournal(s.StateDir, mount.FSName, mount.Root, log)
	if err != nil {
		return err
	}
	defer journal.Close() //nolint:errcheck // what was to be kept is written
	trace, stopTraces, err := startTraces(s.TraceEndpoint, mount, f.metrics, log)
	if err != nil {
		return err
	}
	defer stopTraces()
	n, ready := service.NewNotifier(log), make(chan struct{})
	agent, err := copytool.New(copytool.Options{
		FSName: mount.FSName, Archives: archives, Limits: s.Limits, Conflict: copytool.ConflictPolicy(s.Conflict),
		ProgressInterval: s.Progress, DrainTimeout: s.Drain, RenewInterval: s.Renew, HolesAfter: s.HolesAfter, Log: log, Metrics: f.metrics, Trace: trace, Journal: journal,
		Occupy: f.pool.Occupy,
		Ready: func() {
			n.Ready()
			close(ready)
		},
	}, mount, mount.Register)
	if err != nil {
		return err
	}
	f.agent = agent
	stopHTTP, err := f.show(s.HTTP)
	if err != nil {
		return err
	}
	defer stopHTTP()
	accept, work, stop := signals(ctx, n.Stopping)
	defer stop()
	r.agent = agent
	stopReloads := r.follow(accept, ready, hangups, n)
	defer stopReloads()
	stopStatus := n.Follow(func() string { return statusLine(r.condition()) })
	defer stopStatus()
	return agent.Serve(accept, work)
}

// openArchives opens and checks each container once, whatever ids lead to it.
func openArchives(ctx context.Context, s *mover.Settings, pool *blobstore.Pool) (archives []*copytool.Archive, credentials expiries, err error) {
	for _, a := range s.Archives {
		container, err := blobstore.Open(a.Container, pool)
		if err != nil {
			return nil, nil, err
		}
		if err := check(ctx, container); err != nil {
			return nil, nil, err
		}
		credentials = append(credentials, container)
		for _, id := range a.IDs {
			archives = append(archives, &copytool.Archive{
				ID: id, Account: container.Account(), Container: container.ContainerName(), Prefix: a.Prefix, Store: container,
			})
		}
	}
	return archives, credentials, nil
}

// check looks whether a container can be worked with.
func check(ctx context.Context, c *blobstore.Container) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return c.Check(ctx)
}

func reportCheck(w io.Writer, mount *copytool.Mount, archives []*copytool.Archive) error {
	fmt.Fprintf(w, "%s: Lustre file system %s: ok\n", mount.Root, mount.FSName)
	for _, a := range archives {
		fmt.Fprintf(w, "archive %s: container %s of account %s, prefix %q: ok\n", mover.IDText(a.ID), a.Container, a.Account, a.Prefix)
	}
	return nil
}

// demoted logs everything at debug. What the library says of an error comes
// back as the error, and is logged, or printed, where that is handled.
type demoted struct{ slog.Handler }

func (d demoted) Enabled(ctx context.Context, _ slog.Level) bool {
	return d.Handler.Enabled(ctx, slog.LevelDebug)
}

func (d demoted) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return d.Handler.Handle(ctx, r)
}

func (d demoted) WithAttrs(attrs []slog.Attr) slog.Handler {
	return demoted{d.Handler.WithAttrs(attrs)}
}

func (d demoted) WithGroup(name string) slog.Handler { return demoted{d.Handler.WithGroup(name)} }
