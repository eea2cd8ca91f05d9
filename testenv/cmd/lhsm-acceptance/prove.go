package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"lhsm-azblob/testenv/acceptance/checks"
)

// prove runs the checks and cleans up. It tells whether none failed.
func prove(ctx context.Context, o options, out io.Writer) (ok bool, err error) {
	env, err := o.environment(ctx)
	if err != nil {
		return false, err
	}
	r := newReport(out, o.asJSON)
	if !o.keep {
		defer func() { err = errors.Join(err, clean(ctx, env)) }()
	} else {
		defer fmt.Fprintf(out, "kept: %s, and its blobs\n", filepath.Join(env.Mount, env.Scratch))
	}
	defer r.end()
	for i, check := range o.chosen() {
		res := runOne(ctx, env, check, o.timeout)
		r.add(res)
		if ctx.Err() != nil {
			return false, errors.New("interrupted")
		}
		if i == 0 && res.Outcome == failed {
			return false, errors.New("no copytool does what it must, so the other checks were not run; is one running on this file system, with this container, prefix and archive id?")
		}
	}
	return r.failed == 0, nil
}

// cleanTimeout is for who waits for the prompt; a container can be slow.
const cleanTimeout = 5 * time.Minute

// clean cleans up also when the program is interrupted.
func clean(ctx context.Context, env *checks.Env) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTimeout)
	defer cancel()
	if err := env.Clean(ctx); err != nil {
		return fmt.Errorf("something is left behind: %w", err)
	}
	return nil
}

// environment looks at what the options name, before anything is made.
func (o *options) environment(ctx context.Context) (*checks.Env, error) {
	mount, err := rootOf(o.mount)
	if err != nil {
		return nil, err
	}
	lfs, err := exec.LookPath(o.lfs)
	if err != nil {
		return nil, fmt.Errorf("--lfs: %w; install Lustre's client tools", err)
	}
	if out, err := exec.CommandContext(ctx, lfs, "path2fid", mount).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("--mount: %s is not a Lustre file system: %s", mount, strings.TrimSpace(string(out)))
	}
	opening, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	container, err := o.credential.open(opening)
	if err != nil {
		return nil, err
	}
	scratch := "lhsm-acceptance-" + strings.ToLower(rand.Text()[:8])
	if err := os.Mkdir(filepath.Join(mount, scratch), 0o755); err != nil {
		return nil, err
	}
	return &checks.Env{
		Mount: mount, Scratch: scratch, Lfs: lfs, ArchiveID: o.archiveID, Prefix: strings.Trim(o.prefix, "/"), Container: container, UID: o.uid,
	}, nil
}

// rootOf makes sure that a directory is the root of a mount: names of blobs are
// paths below it.
func rootOf(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return "", fmt.Errorf("--mount: %w", err)
	}
	var here, above syscall.Stat_t
	if err := errors.Join(syscall.Stat(abs, &here), syscall.Stat(filepath.Dir(abs), &above)); err != nil {
		return "", fmt.Errorf("--mount: %s: %w", abs, err)
	}
	if here.Dev == above.Dev {
		return "", fmt.Errorf("--mount: %s is not the root of a mount", abs)
	}
	return abs, nil
}

// Outcomes of a check.
const (
	passed  = "passed"
	failed  = "failed"
	skipped = "skipped"
)

// A result is what became of a check.
type result struct {
	Name     string   `json:"name"`
	Outcome  string   `json:"outcome"`
	Seconds  float64  `json:"seconds"`
	Messages []string `json:"messages,omitempty"`
}

// runOne runs a check on a goroutine of its own, which a check that gives up ends.
func runOne(ctx context.Context, env *checks.Env, check checks.Check, timeout time.Duration) result {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	t := &teller{ctx: ctx, result: result{Name: check.Name, Outcome: passed}}
	began, done := time.Now(), make(chan struct{})
	go func() {
		defer close(done)
		env.Run(t, check)
	}()
	<-done
	t.Seconds = time.Since(began).Seconds()
	return t.result
}

// A teller is whom a check tells.
type teller struct {
	ctx context.Context
	result
}

func (t *teller) Helper() {}

func (t *teller) Context() context.Context { return t.ctx }

func (t *teller) Errorf(format string, args ...any) {
	t.Outcome = failed
	t.Messages = append(t.Messages, fmt.Sprintf(format, args...))
}

func (t *teller) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

func (t *teller) Skipf(format string, args ...any) {
	t.Outcome = skipped
	t.Messages = append(t.Messages, fmt.Sprintf(format, args...))
	runtime.Goexit()
}
