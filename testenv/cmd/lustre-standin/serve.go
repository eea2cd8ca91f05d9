package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv/admin"
	"lhsm-azblob/testenv/fusefs"
	"lhsm-azblob/testenv/state"
)

// list is a flag that can be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

type serveOptions struct {
	back, fsname  string
	mounts        list
	params        list
	noPassthrough bool
	readyFD       int
	parentDeath   bool
	debug         bool
}

func parseServe(args []string, stderr io.Writer) (serveOptions, error) {
	var o serveOptions
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.back, "back", "", "`directory` of data and state")
	fs.StringVar(&o.fsname, "fsname", "lustre", "`name` of the file system, at most 8 characters")
	fs.Var(&o.mounts, "mount", "mount point `directory`; each one is a client")
	fs.Var(&o.params, "param", "tunable to set at start, `name=value`")
	fs.BoolVar(&o.noPassthrough, "no-passthrough", false, "let all data go through the daemon")
	fs.IntVar(&o.readyFD, "ready-fd", -1, "`descriptor` to write a line to when mounted")
	fs.BoolVar(&o.parentDeath, "parent-death", false, "end when the parent process does")
	fs.BoolVar(&o.debug, "debug", false, "log every failing ioctl")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	switch {
	case fs.NArg() > 0:
		return o, fmt.Errorf("serve: unexpected argument %q", fs.Arg(0))
	case o.back == "":
		return o, errors.New("serve: --back is required")
	case len(o.mounts) == 0:
		return o, errors.New("serve: --mount is required")
	}
	return o, nil
}

// serve is the daemon.
func serve(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseServe(args, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "lustre-standin: %v\n", err)
		return 2
	}
	if o.parentDeath {
		if err := dieWithParent(); err != nil {
			return fail(stderr, err)
		}
	}
	tuneRuntime()
	d, err := startDaemon(o, stderr)
	if err != nil {
		return fail(stderr, err)
	}
	defer d.close()
	if err := o.sayReady(stdout); err != nil {
		return fail(stderr, err)
	}
	<-ctx.Done()
	return 0
}

// tuneRuntime leaves the cores to those who are measured: garbage is collected
// seldom, and a request that blocks in the kernel does not keep others waiting.
func tuneRuntime() {
	debug.SetGCPercent(800)
	runtime.GOMAXPROCS(2 * runtime.GOMAXPROCS(0))
}

// dieWithParent asks for SIGTERM when the parent ends. The signal goes by the
// thread that forked us; a parent written in Go must keep that one.
func dieWithParent() error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGTERM), 0, 0, 0); err != nil {
		return fmt.Errorf("follow the parent: %w", err)
	}
	if os.Getppid() == 1 {
		return errors.New("follow the parent: it has ended")
	}
	return nil
}

func (o *serveOptions) sayReady(stdout io.Writer) error {
	fmt.Fprintln(stdout, "ready")
	if o.readyFD < 0 {
		return nil
	}
	f := os.NewFile(uintptr(o.readyFD), "ready-fd")
	defer f.Close()
	if _, err := io.WriteString(f, "ready\n"); err != nil {
		return fmt.Errorf("say that the mounts are ready: %w", err)
	}
	return nil
}

// A daemon is the state, its mounts and the admin socket.
type daemon struct {
	state     *state.FS
	fs        *fusefs.FS
	admin     *admin.Server
	socketDir string // empty if the socket is in the backing directory
	log       *slog.Logger
	watched   context.CancelFunc
}

func startDaemon(o serveOptions, stderr io.Writer) (*daemon, error) {
	level := slog.LevelInfo
	if o.debug {
		level = slog.LevelDebug
	}
	d := &daemon{log: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))}
	if err := d.start(o); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *daemon) start(o serveOptions) (err error) {
	params := map[string]string{}
	for _, p := range o.params {
		name, value, ok := strings.Cut(p, "=")
		if !ok {
			return fmt.Errorf("--param %s: want name=value", p)
		}
		params[name] = value
	}
	if d.state, err = state.Open(state.Options{Back: o.back, FSName: o.fsname, Params: params, Logger: d.log}); err != nil {
		return fmt.Errorf("open the state in %s: %w", o.back, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.watched = cancel
	go watch(ctx, d.state, d.log) // ended by close
	socket, err := d.socketPath(o.back)
	if err != nil {
		return err
	}
	if d.admin, err = admin.Listen(socket, d.handle); err != nil {
		return err
	}
	d.fs = fusefs.New(d.state, fusefs.Options{
		Socket: socket, NoPassthrough: o.noPassthrough, Shared: len(o.mounts) > 1, Back: o.back, Logger: d.log,
	})
	for _, dir := range o.mounts {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return fmt.Errorf("mount on %s: %w", dir, err)
		}
		if _, err := d.fs.Mount(abs); err != nil {
			return err
		}
	}
	return nil
}

// socketPath is in the backing directory, which is ours alone, so that a daemon
// that is killed leaves nothing elsewhere. But the path of a socket is short.
func (d *daemon) socketPath(back string) (string, error) {
	const longest = 107 // sockaddr_un
	path, err := filepath.Abs(filepath.Join(back, "admin"))
	if err != nil {
		return "", fmt.Errorf("make the admin socket: %w", err)
	}
	if len(path) > longest {
		if d.socketDir, err = os.MkdirTemp("", "lustre-standin-"); err != nil {
			return "", fmt.Errorf("make the admin socket: %w", err)
		}
		path = filepath.Join(d.socketDir, "admin")
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("make the admin socket: %w", err)
	}
	return path, nil
}

// close unmounts, whoever uses the mounts, and flushes the state. The end of
// the process then ends every call that is still under way.
func (d *daemon) close() {
	if d.admin != nil {
		d.admin.Close()
	}
	if d.fs != nil {
		d.fs.Stop()
	}
	if d.watched != nil {
		d.watched()
	}
	if d.state != nil {
		if err := d.state.Close(); err != nil {
			d.log.Error("close the state", "err", err)
		}
	}
	if d.socketDir != "" {
		_ = os.RemoveAll(d.socketDir) // nothing of value in it
	}
}
