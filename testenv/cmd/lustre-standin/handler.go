package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"lhsm-azblob/testenv/admin"
	"lhsm-azblob/testenv/fusefs"
	"lhsm-azblob/testenv/state"
)

// command is one command of the admin socket: what it prints, or an error.
type command func(d *daemon, ctx context.Context, args []string) (string, error)

var commands = map[string]command{
	"get_param":            (*daemon).getParam,
	"set_param":            (*daemon).setParam,
	"changelog_register":   (*daemon).changelogRegister,
	"changelog_deregister": (*daemon).changelogDeregister,
	"wait-idle":            (*daemon).waitIdle,
	"restart-coordinator":  (*daemon).restartCoordinator,
	"evict":                (*daemon).evict,
	"reconnect":            (*daemon).reconnect,
	"shutdown-message":     (*daemon).shutdownMessage,
	"fault":                (*daemon).fault,
	"bulk-create":          (*daemon).bulkCreate,
}

// handle carries out one command of the admin socket.
func (d *daemon) handle(ctx context.Context, args []string) admin.Response {
	c, ok := commands[args[0]]
	if !ok {
		return admin.Response{Stderr: fmt.Sprintf("lustre-standin: no command %q; see lustre-standin help\n", args[0]), Code: 2}
	}
	out, err := c(d, ctx, args[1:])
	r := admin.Response{Stdout: out}
	var param *state.ParamError
	switch {
	case err == nil:
	case errors.As(err, &param):
		r.Stderr, r.Code = param.Error()+"\n", int(param.Errno) // lctl's own words
	default:
		r.Stderr, r.Code = fmt.Sprintf("lustre-standin: %s: %v\n", args[0], err), 1
	}
	return r
}

// options parses the options of a command and returns its arguments.
func options(name string, args []string, define func(*flag.FlagSet)) ([]string, error) {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // the error says it
	define(fs)
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	return fs.Args(), nil
}

func (d *daemon) getParam(_ context.Context, args []string) (string, error) {
	var valueOnly bool
	patterns, err := options("get_param", args, func(fs *flag.FlagSet) { fs.BoolVar(&valueOnly, "n", false, "") })
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, p := range patterns {
		text, err := d.state.GetParam(p)
		if err != nil {
			return out.String(), err
		}
		if valueOnly {
			text = values(text)
		}
		out.WriteString(text)
	}
	return out.String(), nil
}

// values takes the names off. A value of several lines has its name on a line
// of its own.
func values(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(line, "="); ok && isParamName(name) {
			line = value
			if line == "\n" {
				continue
			}
		}
		out.WriteString(line)
	}
	return out.String()
}

// isParamName tells a tunable's name from a line of its value.
func isParamName(s string) bool {
	return (strings.HasPrefix(s, "mdt.") || strings.HasPrefix(s, "mdd.")) && !strings.Contains(s, " ")
}

func (d *daemon) setParam(_ context.Context, args []string) (string, error) {
	var permanent bool
	assignments, err := options("set_param", args, func(fs *flag.FlagSet) { fs.BoolVar(&permanent, "P", false, "") })
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, a := range assignments {
		text, err := d.state.SetParam(a, permanent)
		out.WriteString(text)
		if err != nil {
			return out.String(), err
		}
	}
	return out.String(), nil
}

func (d *daemon) changelogRegister(_ context.Context, args []string) (string, error) {
	var mask, name string
	var bare bool
	_, err := options("changelog_register", args, func(fs *flag.FlagSet) {
		fs.StringVar(&mask, "m", "", "")
		fs.StringVar(&name, "u", "", "")
		fs.BoolVar(&bare, "n", false, "")
	})
	if err != nil {
		return "", err
	}
	id, err := d.state.ChangelogRegister(mask, name)
	if err != nil {
		return "", err
	}
	if bare {
		return id + "\n", nil
	}
	return fmt.Sprintf("%s: Registered changelog userid '%s'\n", d.state.MDTName(), id), nil
}

func (d *daemon) changelogDeregister(_ context.Context, args []string) (string, error) {
	if len(args) != 1 {
		return "", errors.New("want one user id")
	}
	if err := d.state.ChangelogDeregister(args[0]); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s: Deregistered changelog user %s\n", d.state.MDTName(), args[0]), nil
}

func (d *daemon) waitIdle(ctx context.Context, args []string) (string, error) {
	var timeout time.Duration
	_, err := options("wait-idle", args, func(fs *flag.FlagSet) { fs.DurationVar(&timeout, "timeout", 0, "") })
	if err != nil {
		return "", err
	}
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	if err := d.state.WaitIdle(ctx); err != nil {
		actions, _ := d.state.GetParam("mdt.*.hsm.actions") // only to say more
		return "", fmt.Errorf("still busy after %v: %w\n%s", timeout, err, strings.TrimSuffix(actions, "\n"))
	}
	return "", nil
}

func (d *daemon) restartCoordinator(context.Context, []string) (string, error) {
	d.state.RestartCoordinator()
	return "", nil
}

// client finds a mount by directory or uuid; without an argument the first.
func (d *daemon) client(args []string) (*fusefs.Mount, error) {
	mounts := d.fs.Mounts()
	if len(args) == 0 && len(mounts) > 0 {
		return mounts[0], nil
	}
	i := slices.IndexFunc(mounts, func(m *fusefs.Mount) bool { return m.UUID() == args[0] || m.Dir() == filepath.Clean(args[0]) })
	if i < 0 {
		return nil, fmt.Errorf("no client %q", args)
	}
	return mounts[i], nil
}

func (d *daemon) evict(_ context.Context, args []string) (string, error) {
	m, err := d.client(args)
	if err == nil {
		d.state.EvictClient(m.UUID())
	}
	return "", err
}

func (d *daemon) reconnect(_ context.Context, args []string) (string, error) {
	m, err := d.client(args)
	if err == nil {
		d.state.ReconnectClient(m.UUID())
	}
	return "", err
}

func (d *daemon) shutdownMessage(_ context.Context, args []string) (string, error) {
	m, err := d.client(args)
	if err == nil {
		m.Shutdown()
	}
	return "", err
}

// bulkCreate makes many files without a call through the kernel for each: for
// tests of large directories.
func (d *daemon) bulkCreate(_ context.Context, args []string) (string, error) {
	if len(args) != 5 {
		return "", errors.New("want DIR PREFIX FIRST COUNT SIZE")
	}
	var n [3]int
	for i, s := range args[2:] {
		v, err := strconv.Atoi(s)
		if err != nil || v < 0 {
			return "", fmt.Errorf("%q is not a number", s)
		}
		n[i] = v
	}
	dir, err := d.walk(args[0])
	if err != nil {
		return "", err
	}
	return "", d.state.BulkCreate(dir, args[1], n[0], n[1], uint64(n[2]), state.Root)
}

// walk finds the FID of a path, which may begin with a mount point.
func (d *daemon) walk(path string) (state.FID, error) {
	for _, m := range d.fs.Mounts() {
		if rest, ok := strings.CutPrefix(path, m.Dir()); ok {
			path = rest
			break
		}
	}
	fid := state.RootFID
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if name == "" {
			continue
		}
		a, err := d.state.Lookup(fid, name)
		if err != nil {
			return fid, fmt.Errorf("find %s: %w", path, err)
		}
		fid = a.FID
	}
	return fid, nil
}
