package testenv

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lhsm-azblob/testenv/admin"
)

// Options of [StartLustre]. The zero value is one mount with defaults.
type Options struct {
	Mounts        int               // number of mounts, each one a client; 0: one
	FSName        string            // default lustre
	Back          string            // data and state; default: a directory that goes with the test, on tmpfs if there is one
	Params        map[string]string // tunables by name, over those of fastParams
	NoPassthrough bool              // let all data go through the daemon
}

// fastParams make the coordinator one for tests: it works at once, and what is
// finished can still be looked at.
var fastParams = map[string]string{
	"mdt.*.hsm_control":      "enabled",
	"mdt.*.hsm.max_requests": "64",
	"mdt.*.hsm.loop_period":  "100ms",
	"mdt.*.hsm.grace_delay":  "10",
}

// mountPrefix begins the names of mount points.
const mountPrefix = "mnt"

// patience is how long an event may take that must come.
const patience = 2 * time.Minute

// A Lustre is a file system of the stand-in, with its daemon.
type Lustre struct {
	t      testing.TB
	binary string
	args   []string
	mounts []string
	daemon *Process
	log    *logBuffer
	socket string
}

// StartLustre starts a Lustre that lasts as long as the test. It also sets
// LHSM_LIBLUSTREAPI and LUSTRE_MOUNT for the test and the programs that it
// starts, so the test cannot be parallel to others. The latter is how the
// library finds a file system by name, when several tests have one of the same.
func StartLustre(t testing.TB, o Options) *Lustre {
	t.Helper()
	requireFUSE(t)
	setLibrary(t)
	l := &Lustre{t: t, binary: Binary(t, "./testenv/cmd/lustre-standin"), log: &logBuffer{}}
	dir := scratchDir(t)
	back := o.Back
	if back == "" {
		back = filepath.Join(dir, "back")
	}
	l.args = []string{"serve", "--parent-death", "--back", back}
	for i := range max(o.Mounts, 1) {
		l.mounts = append(l.mounts, filepath.Join(dir, mountPrefix+strconv.Itoa(i+1)))
		l.args = append(l.args, "--mount", l.mounts[i])
	}
	if o.FSName != "" {
		l.args = append(l.args, "--fsname", o.FSName)
	}
	if o.NoPassthrough {
		l.args = append(l.args, "--no-passthrough")
	}
	params := maps.Clone(fastParams)
	maps.Copy(params, o.Params)
	for _, name := range slices.Sorted(maps.Keys(params)) {
		l.args = append(l.args, "--param", name+"="+params[name])
	}
	t.Setenv("LUSTRE_MOUNT", l.Mount())
	t.Cleanup(l.end)
	l.start()
	return l
}

// requireFUSE skips the test where nobody can mount; where it was promised that
// one can, it fails it.
func requireFUSE(t testing.TB) {
	t.Helper()
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err == nil {
		f.Close()
		if os.Geteuid() == 0 {
			return
		}
		err = errors.New("not root; run the tests in `lustre-standin run`, or as root")
	}
	Missing(t, "lustre", err)
}

// start starts the daemon and waits until it has mounted.
func (l *Lustre) start() {
	l.t.Helper()
	cmd := exec.CommandContext(context.Background(), l.binary, l.args...) // ended by stop
	cmd.Stderr = l.log
	// TERM, so that it unmounts if the test process is killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	var err error
	if l.daemon, err = StartReady(cmd); err != nil {
		l.t.Fatalf("start the stand-in: %v\n%s", err, l.log)
	}
	if l.socket, err = admin.Socket(l.mounts[0]); err != nil {
		l.t.Fatal(err)
	}
}

// end stops the daemon, and cleans up after one that did not stop.
func (l *Lustre) end() {
	if l.daemon != nil {
		l.stop(syscall.SIGTERM)
	}
	for _, m := range l.mounts {
		_ = syscall.Unmount(m, syscall.MNT_DETACH) // fails if the daemon did it, as it should
	}
	if l.t.Failed() {
		l.t.Logf("log of the stand-in:\n%s", l.log)
	}
}

func (l *Lustre) stop(sig syscall.Signal) {
	l.daemon.Signal(sig)
	select {
	case <-l.daemon.Done():
	case <-time.After(patience):
		l.t.Errorf("the stand-in did not end after %v", sig)
		l.daemon.Signal(syscall.SIGQUIT) // for its goroutines
		<-l.daemon.Done()
	}
	l.daemon = nil
}

// Mount is the first mount point.
func (l *Lustre) Mount() string { return l.mounts[0] }

// Mounts are all mount points.
func (l *Lustre) Mounts() []string { return slices.Clone(l.mounts) }

// Socket is the path of the admin socket.
func (l *Lustre) Socket() string { return l.socket }

// Path joins names to the first mount point.
func (l *Lustre) Path(names ...string) string {
	return filepath.Join(append([]string{l.Mount()}, names...)...)
}

// Restart ends the daemon in good order, if it runs, and starts it again on the
// same data and mount points. Open files and registrations are lost.
func (l *Lustre) Restart() {
	l.t.Helper()
	if l.daemon != nil {
		l.stop(syscall.SIGTERM)
	}
	l.start()
}

// Kill kills the daemon; its mounts answer ENOTCONN until Restart.
func (l *Lustre) Kill() {
	l.t.Helper()
	l.stop(syscall.SIGKILL)
}

// Signal sends the daemon a signal. While it is stopped, nobody who asks it for
// anything gets an answer.
func (l *Lustre) Signal(sig syscall.Signal) { l.daemon.Signal(sig) }

// Command runs a command of lustre-standin at the daemon.
func (l *Lustre) Command(args ...string) Result {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := admin.Call(ctx, l.socket, args...)
	if err != nil {
		l.t.Fatalf("%s: %v", args[0], err)
	}
	return Result{Stdout: r.Stdout, Stderr: r.Stderr, Code: r.Code}
}

// must is Command for what has to succeed.
func (l *Lustre) must(args ...string) string {
	l.t.Helper()
	r := l.Command(args...)
	if r.Code != 0 {
		l.t.Fatalf("%s: exit %d: %s", strings.Join(args, " "), r.Code, r.Stderr)
	}
	return r.Stdout
}

// SetParam sets a tunable, such as "mdt.*.hsm.max_requests" to "3".
func (l *Lustre) SetParam(name, value string) {
	l.t.Helper()
	l.must("set_param", name+"="+value)
}

// GetParam returns what `lctl get_param PATTERN` prints.
func (l *Lustre) GetParam(pattern string) string {
	l.t.Helper()
	return l.must("get_param", pattern)
}

// WaitIdle waits until no request is waiting or running.
func (l *Lustre) WaitIdle() {
	l.t.Helper()
	l.must("wait-idle", "--timeout", (patience - 10*time.Second).String())
}

// Fault arms a fault: an operation and what shall happen, such as "errno=EIO",
// "count=1", "skip=2", "delay=1s", "path=/f". See `lustre-standin fault ops`.
func (l *Lustre) Fault(op string, what ...string) {
	l.t.Helper()
	l.must(append([]string{"fault", "add", op}, what...)...)
}

// ClearFaults disarms all faults.
func (l *Lustre) ClearFaults() {
	l.t.Helper()
	l.must("fault", "clear")
}

// Lfs runs lfs: ours, or the one that STANDIN_REAL_LFS names.
func (l *Lustre) Lfs(args ...string) Result {
	l.t.Helper()
	return l.lfs(exec.CommandContext(l.t.Context(), LfsPath(l.t), args...))
}

// LfsAs runs lfs as a plain user, with the group of the same number.
func (l *Lustre) LfsAs(uid int, args ...string) Result {
	l.t.Helper()
	cmd := exec.CommandContext(l.t.Context(), LfsPath(l.t), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	return l.lfs(cmd)
}

func (l *Lustre) lfs(cmd *exec.Cmd) Result {
	l.t.Helper()
	r, err := Output(cmd)
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

// logBuffer keeps what the daemon says for when the test fails.
type logBuffer struct {
	mu sync.Mutex // guards b
	b  []byte
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, p...)
	return len(p), nil
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.b)
}
