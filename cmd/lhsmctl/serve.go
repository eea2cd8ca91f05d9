package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"lhsm-azblob/cmd/internal/options"
	"lhsm-azblob/cmd/internal/service"
	"lhsm-azblob/httpapi"
	"lhsm-azblob/jobs"
	"lhsm-azblob/llapi"
)

func (p *program) serveCommand() *cli.Command {
	return &cli.Command{
		Name: "serve", Usage: "be the service: work on the jobs of a mount, serve their API and page", ArgsUsage: "MOUNT",
		Flags: table.Flags(), CustomHelpTemplate: strings.ReplaceAll(serveHelp(), "{{", "{{`{{`}}"),
		Action: p.serve,
	}
}

// serve finds out what is asked for, and does it.
func (p *program) serve(c *cli.Context) error {
	if c.Bool("sample-config") {
		_, err := io.WriteString(p.stdout, table.Sample(sampleHead, ""))
		return err
	}
	v, err := table.Resolve(c, p.environ)
	if err != nil {
		return err
	}
	if v.On("print-config") {
		_, err := io.WriteString(p.stdout, table.Effective(v))
		return err
	}
	if c.NArg() != 1 {
		return options.Usagef("%d arguments, and one is wanted: MOUNT, the mount point of a Lustre file system", c.NArg())
	}
	mount, err := mountOf(c)
	if err != nil {
		return err
	}
	s, errs := table.Read(v.ByName)
	if err := options.Join(errs); err != nil {
		return options.UsageError{Err: err}
	}
	if err := s.complete(); err != nil {
		return err
	}
	s.mount = mount
	return p.serveMount(c.Context, s)
}

func (p *program) serveMount(ctx context.Context, s *settings) error {
	log := service.Logger(p.stderr, service.Level(s.logLevel), s.logFormat)
	llapi.SetLogger(log.With("from", "liblustreapi"))
	if s.check {
		return p.checkService(s)
	}
	manager, err := openManager(s, log)
	if err != nil {
		return err
	}
	defer manager.Close() //nolint:errcheck // each step of a job is on disk when it is told
	doors, err := s.open()
	if err != nil {
		return err
	}
	defer doors.close()
	moverToken, err := tokenIn("mover-token-file", s.moverTokenFile)
	if err != nil {
		return err
	}
	api := httpapi.New(httpapi.Options{
		Jobs: manager, FileSystem: manager.FSName(), Mount: manager.Mount(), Version: version, Movers: s.movers, MoverToken: moverToken, Log: log,
	})
	return run(ctx, manager, api, doors, log)
}

// checkService looks at all that a start looks at, beside a service that runs.
func (p *program) checkService(s *settings) error {
	root, fsname, err := s.mountRoot()
	if err != nil {
		return err
	}
	if err := s.checkDoors(); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "%s: Lustre file system %s: ok\n", root, fsname)
	state, err := jobs.Check(jobs.Options{Mount: root, Path: s.database(fsname)})
	switch {
	case errors.Is(err, jobs.ErrLocked):
		state = "in use by a service that runs"
	case err != nil:
		return err
	}
	fmt.Fprintf(p.stdout, "%s: %s: ok\n", s.database(fsname), state)
	return nil
}

func (s *settings) database(fsname string) string {
	return filepath.Join(s.stateDir, "jobs-"+fsname+".db")
}

// mountRoot says what is wrong in words for those who start services.
func (s *settings) mountRoot() (root, fsname string, err error) {
	mount, err := filepath.Abs(s.mount)
	if err == nil {
		mount, err = filepath.EvalSymlinks(mount)
	}
	if err != nil {
		return "", "", fmt.Errorf("mount point %s: %w; mount the file system first, or give its mount point", s.mount, err)
	}
	root, fsname, err = llapi.MountRoot(mount)
	switch {
	case errors.Is(err, syscall.ENODEV):
		err = fmt.Errorf("%s is not a Lustre mount (%w); mount the file system first, or give its mount point", mount, err)
	case err == nil && root != mount:
		err = fmt.Errorf("%s is inside the Lustre mount %s and not its root; give %s", mount, root, root)
	}
	return root, fsname, err
}

func openManager(s *settings, log *slog.Logger) (*jobs.Manager, error) {
	root, fsname, err := s.mountRoot()
	if err != nil {
		return nil, err
	}
	return jobs.Open(jobs.Options{
		Mount: root, Path: s.database(fsname), Log: log,
		Scanners: s.scanners, MaxUnfinished: s.maxUnfinished, KeepJobs: s.keepJobs, KeepFor: s.keepFor,
	})
}

// run serves until it is told to stop, or something fails. Jobs go on when the
// service starts again.
func run(ctx context.Context, manager *jobs.Manager, api *httpapi.Server, doors doors, log *slog.Logger) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer stop()
	n := service.NewNotifier(log)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return notCanceled(manager.Run(ctx)) })
	for _, d := range doors {
		group.Go(func() error { return d.serve(ctx, api, log) })
	}
	stopStatus := n.Follow(func() string { return statusLine(ctx, manager) })
	defer stopStatus()
	n.Ready()
	log.Info("serving", "fsname", manager.FSName(), "mount", manager.Mount(), "version", version)
	group.Go(func() error {
		<-ctx.Done()
		stop() // a second signal has its usual effect
		n.Stopping()
		log.Info("stopping; jobs go on at the next start")
		return nil
	})
	return group.Wait()
}

// notCanceled leaves out what a stop looks like from inside.
func notCanceled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// statusLine is what systemctl status shows. That it comes back at all shows
// that the manager is alive.
func statusLine(ctx context.Context, manager *jobs.Manager) string {
	j, ok, err := manager.Current(ctx)
	switch {
	case err != nil:
		return "the database does not answer: " + err.Error()
	case !ok:
		return "no job"
	}
	line := fmt.Sprintf("job %d: %s, %d %%, %d files exported, %d failed", j.ID, j.State, j.PercentComplete, j.Counters.FilesExported, j.Counters.FilesFailed)
	if j.WaitsFor != "" {
		line += "; waiting: " + j.WaitsFor
	}
	return line
}

// Bounds of connections. Bodies and answers have bounds of their own, in package httpapi.
const (
	headTime = 10 * time.Second
	idleTime = 2 * time.Minute
	headSize = 64 << 10
	stopTime = 5 * time.Second // for requests that run when the service stops
	// jamTime is for a client of HTTP/2 that takes nothing: bounds of its requests end them
	// by what is to be written to the same connection.
	jamTime = 30 * time.Second
)

// serve answers requests at one door until ctx ends. Event streams end with it.
func (d door) serve(ctx context.Context, api *httpapi.Server, log *slog.Logger) error {
	server := &http.Server{
		Handler: api.Handler(d.access), TLSConfig: d.tls, ReadHeaderTimeout: headTime, IdleTimeout: idleTime, MaxHeaderBytes: headSize,
		HTTP2:                        &http.HTTP2Config{WriteByteTimeout: jamTime},
		DisableGeneralOptionsHandler: true, // which gives a body all the time that it wants
		BaseContext:                  d.baseContext(ctx), ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	log.Info("listening", "at", d.name, "tls", d.tls != nil)
	stopped := make(chan struct{})
	go func() { // ends with ctx
		defer close(stopped)
		<-ctx.Done()
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		if server.Shutdown(patience) != nil {
			_ = server.Close() // whoever has not ended by now is cut off
		}
	}()
	err := d.listen(server)
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve at %s: %w", d.name, err)
	}
	<-stopped
	return nil
}
