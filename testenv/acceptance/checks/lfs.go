package checks

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Flags of hsm_state, and what they are together.
const (
	exists   = 0x01
	dirty    = 0x02
	released = 0x04
	archived = 0x08

	inBoth      = exists | archived
	changed     = exists | archived | dirty
	inContainer = exists | archived | released
)

// tryLfs runs lfs, as a plain user unless uid is 0.
func (c *C) tryLfs(uid int, args ...string) (stdout, stderr string, code int) {
	c.Helper()
	cmd := exec.CommandContext(c.Context(), c.Lfs, args...)
	if uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || c.Context().Err() != nil {
		c.Fatalf("lfs %q: %v", args, errors.Join(err, c.Context().Err()))
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// lfs runs an lfs command that must succeed.
func (c *C) lfs(args ...string) string {
	c.Helper()
	stdout, stderr, code := c.tryLfs(0, args...)
	if code != 0 {
		c.Fatalf("lfs %q: exit %d: %s", args, code, strings.TrimSpace(stderr))
	}
	return stdout
}

// request makes an HSM request about files and does not wait.
func (c *C) request(verb string, rels ...string) {
	c.Helper()
	args := []string{"hsm_" + verb}
	if verb == "archive" {
		args = append(args, "--archive", c.archive())
	}
	for _, rel := range rels {
		c.lfs(append(args, c.abs(rel))...)
	}
}

// hsm makes a request and waits until the coordinator is done with it.
func (c *C) hsm(verb string, rels ...string) {
	c.Helper()
	c.request(verb, rels...)
	c.wait(rels...)
}

// wait waits until the coordinator has nothing to do with the files.
func (c *C) wait(rels ...string) {
	c.Helper()
	for _, rel := range rels {
		c.until(func() (bool, string) {
			action := strings.TrimPrefix(strings.TrimSpace(c.lfs("hsm_action", c.abs(rel))), c.abs(rel)+": ")
			return action == "NOOP", fmt.Sprintf("%q: %s; does a copytool serve archive id %d here?", rel, action, c.ArchiveID)
		})
	}
}

// An advised tells in one line with what is fatal what else is known.
type advised struct {
	T
	also string
}

func (a advised) Fatalf(format string, args ...any) {
	a.Helper()
	a.T.Fatalf(format+"; %s", append(args, a.also)...)
}

// until asks until the answer is yes. The context ends the patience, in a pause or in
// the middle of an ask: the last answer is told in either case.
func (c *C) until(ask func() (ok bool, otherwise string)) {
	c.Helper()
	defer func(t T) { c.T = t }(c.T)
	whom, began, pause := c.T, time.Now(), 20*time.Millisecond
	for {
		ok, otherwise := ask()
		if ok {
			return
		}
		c.T = advised{whom, otherwise}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-c.Context().Done():
			timer.Stop()
			c.Fatalf("waited for %v", time.Since(began).Round(time.Second))
		}
		pause = min(2*pause, time.Second)
	}
}

// flags are those that lfs hsm_state shows, and the archive id, or 0.
func (c *C) flags(rel string) (flags uint64, archiveID int) {
	c.Helper()
	out := strings.TrimPrefix(strings.TrimSuffix(c.lfs("hsm_state", c.abs(rel)), "\n"), c.abs(rel)+": ")
	hex, rest, ok := strings.Cut(strings.TrimPrefix(out, "("), ")")
	flags, err := strconv.ParseUint(strings.TrimPrefix(hex, "0x"), 16, 64)
	if !ok || err != nil {
		c.Fatalf("lfs hsm_state of %q says %q", rel, out)
	}
	if _, id, found := strings.Cut(rest, "archive_id:"); found {
		archiveID, _ = strconv.Atoi(id) // 0 is not the id that is wanted
	}
	return flags, archiveID
}

// wantState compares flags, and the archive id of a file that is known to HSM.
func (c *C) wantState(rel string, want uint64) {
	c.Helper()
	got, id := c.flags(rel)
	if got != want {
		c.Errorf("state of %q is %#x, want %#x", rel, got, want)
	}
	if want&exists != 0 && id != c.ArchiveID {
		c.Errorf("archive id of %q is %d, want %d", rel, id, c.ArchiveID)
	}
}

func (c *C) fid(rel string) string {
	c.Helper()
	return strings.TrimSpace(c.lfs("path2fid", c.abs(rel)))
}
