package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// insideCommand is how run calls itself in the new namespace. Mount namespaces
// belong to threads, and a Go program cannot change that of all of its own.
const insideCommand = "run-inside-namespace"

// runIn starts this program again in a mount namespace of its own.
func runIn(ctx context.Context, args []string, stderr io.Writer) int {
	self, err := os.Executable()
	if err != nil {
		return fail(stderr, fmt.Errorf("find this program: %w", err))
	}
	cmd := exec.Command(self, append([]string{insideCommand}, args...)...) //nolint:noctx // gets the signals itself, below
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGTERM}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	runtime.LockOSThread() // the death signal is bound to this thread
	if err := cmd.Start(); err != nil {
		return fail(stderr, fmt.Errorf("make a mount namespace: %w", err))
	}
	defer context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })()
	return exitStatus(cmd.Wait())
}

func exitStatus(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			return 128 + int(ws.Signal())
		}
		return exit.ExitCode()
	}
	return 1
}

type runOptions struct {
	back          string
	mounts        int
	params        list
	noPassthrough bool
	command       []string
}

func parseRun(args []string, stderr io.Writer) (runOptions, error) {
	var o runOptions
	fs := flag.NewFlagSet("run", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.back, "back", "", "`directory` of data and state; default: a temporary one")
	fs.IntVar(&o.mounts, "mounts", 1, "`number` of mounts")
	fs.Var(&o.params, "param", "tunable to set at start, `name=value`")
	fs.BoolVar(&o.noPassthrough, "no-passthrough", false, "let all data go through the daemon")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if o.mounts < 1 {
		return o, errors.New("run: --mounts must be at least 1")
	}
	if o.command = fs.Args(); len(o.command) == 0 {
		o.command = []string{"/bin/sh"}
	}
	return o, nil
}

// runInside runs in the new namespace: daemon, command, end of the daemon.
func runInside(args []string, stderr io.Writer) int {
	o, err := parseRun(args, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "lustre-standin: %v\n", err)
		return 2
	}
	// What is mounted here is nobody else's business.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fail(stderr, fmt.Errorf("make the mounts private: %w", err))
	}
	dir, err := os.MkdirTemp("", "lustre-standin-run-")
	if err != nil {
		return fail(stderr, err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // what stays behind is in a temporary directory
	if o.back == "" {
		o.back = filepath.Join(dir, "back")
	}
	runtime.LockOSThread() // the death signals are bound to this thread
	mounts, stop, err := o.startServer(dir, stderr)
	if err != nil {
		return fail(stderr, err)
	}
	defer stop()
	return o.runCommand(mounts, stderr)
}

// startServer starts the daemon and waits until it has mounted.
func (o *runOptions) startServer(dir string, stderr io.Writer) (mounts []string, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("find this program: %w", err)
	}
	args := []string{"serve", "--back", o.back}
	for i := range o.mounts {
		mounts = append(mounts, filepath.Join(dir, "mnt"+strconv.Itoa(i+1)))
		args = append(args, "--mount", mounts[i])
	}
	for _, p := range o.params {
		args = append(args, "--param", p)
	}
	if o.noPassthrough {
		args = append(args, "--no-passthrough")
	}
	cmd := exec.Command(self, args...) //nolint:noctx // ended by stop
	cmd.Stderr = stderr
	// A group of its own: an interrupt typed at the terminal is for the command.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, fmt.Errorf("start the daemon: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("start the daemon: %w", err)
	}
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		_ = cmd.Wait()                          // nobody to tell how
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		stop()
		return nil, nil, errors.New("start the daemon: it ended before it was ready")
	}
	return mounts, stop, nil
}

// runCommand runs the user's command and passes signals on to it.
func (o *runOptions) runCommand(mounts []string, stderr io.Writer) int {
	cmd := exec.Command(o.command[0], o.command[1:]...) //nolint:noctx // gets the signals itself, below
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = commandEnv(mounts)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(stderr, "lustre-standin: start %s: %v\n", o.command[0], err)
		return 127
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }() // ends with the command
	for {
		select {
		case sig := <-signals:
			_ = cmd.Process.Signal(sig) // it may have ended
		case err := <-done:
			return exitStatus(err)
		}
	}
}

// commandEnv says where everything is: the mounts, and what was built next to
// this program.
func commandEnv(mounts []string) []string {
	env := os.Environ()
	for i, m := range mounts {
		name := "LUSTRE_MOUNT"
		if i > 0 {
			name += strconv.Itoa(i + 1)
		}
		env = append(env, name+"="+m)
	}
	self, err := os.Executable()
	if err != nil {
		return env
	}
	here := filepath.Dir(self)
	env = append(env, "PATH="+here+":"+os.Getenv("PATH"))
	if os.Getenv("LHSM_LIBLUSTREAPI") == "" {
		for _, lib := range []string{here, filepath.Join(here, "../lib"), filepath.Join(here, "lib")} {
			path := filepath.Join(lib, "liblustreapi.so.1")
			if _, err := os.Stat(path); err == nil {
				env = append(env, "LHSM_LIBLUSTREAPI="+path)
				break
			}
		}
	}
	return env
}
