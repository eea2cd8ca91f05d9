package soak

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"lhsm-azblob/testenv"
)

// lfs types a command as a user.
func (w *world) lfs(ctx context.Context, uid int, args ...string) (string, error) {
	defer w.watch.begin("lfs", strings.Join(args, " "))()
	cmd := exec.CommandContext(ctx, filepath.Join(w.o.Bin, "lfs"), args...)
	cmd.Dir = w.mounts[0]
	if uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	r, err := testenv.Output(cmd)
	if err == nil && r.Code != 0 {
		err = &lfsError{args[0], strings.TrimSpace(r.Stderr), r.Code}
	}
	return r.Stdout, err
}

// An lfsError is a refusal by lfs or Lustre.
type lfsError struct {
	command, text string
	code          int
}

func (e *lfsError) Error() string {
	return fmt.Sprintf("lfs %s: exit %d: %s", e.command, e.code, e.text)
}

// reason is the last part of what lfs says: the system's own words.
func (e *lfsError) reason() string { return e.text[strings.LastIndex(e.text, ": ")+1:] }

// ask makes an HSM request about files, and counts what came of it. Refusals
// are part of the play: files change meanwhile, and faults are injected.
func (w *world) ask(ctx context.Context, uid int, verb string, args ...string) error {
	_, err := w.lfs(ctx, uid, append([]string{"hsm_" + verb}, args...)...)
	w.log.add(fmt.Sprintf("uid %d", uid), fmt.Sprintf("hsm_%s %q", verb, args), err)
	var refusal *lfsError
	switch {
	case err == nil:
		w.seen.count(requests, verb)
	case errors.As(err, &refusal):
		w.seen.count(refused, verb+":"+refusal.reason())
	}
	return err
}

// fidOf asks for a file's FID.
func (w *world) fidOf(ctx context.Context, rel string) (string, error) {
	out, err := w.lfs(ctx, 0, "path2fid", "./"+rel)
	return strings.TrimSpace(out), err
}

// state is the flags of `lfs hsm_state`.
func (w *world) state(ctx context.Context, rel string) (string, error) {
	out, err := w.lfs(ctx, 0, "hsm_state", "./"+rel)
	if err != nil {
		return "", err
	}
	_, flags, ok := strings.Cut(strings.TrimPrefix(out, "./"+rel), ": ")
	if !ok {
		return "", mismatchf("lfs hsm_state of %q says %q", rel, out)
	}
	return strings.TrimSpace(flags), nil
}
