package acceptance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lhsm-azblob/testenv"
)

// pageToken lets the tests in over TCP.
const pageToken = "0123456789abcdef0123456789abcdef"

// A service is `lhsmctl serve` on the env's first mount. It can be killed and
// started again: address, socket and database stay.
type service struct {
	e       *env
	args    []string
	socket  string
	url     string // of the page
	process *copytool
}

// startService starts the service and waits until it says READY.
func (e *env) startService(args ...string) *service {
	e.t.Helper()
	dir := e.t.TempDir()
	address := closedPort(e.t)
	s := &service{e: e, socket: filepath.Join(dir, "ctl.sock"), url: "http://" + address}
	s.args = append([]string{
		"serve", "--socket", s.socket, "--state-dir", dir, "--listen", address, "--token-file", e.file("token", pageToken),
	}, args...)
	s.start()
	return s
}

// TestServeCheck: --check says what is well, also beside the service that runs, and in
// one line what is not.
func TestServeCheck(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	s := e.startService()
	check := func(more ...string) (int, string) {
		t.Helper()
		args := append(append(append([]string{}, s.args...), more...), "--check", e.lustre.Mount())
		return run(t, exec.Command(testenv.Binary(t, "./cmd/lhsmctl"), args...))
	}
	mount := e.lustre.Mount() + ": Lustre file system "
	for _, state := range []string{"in use by a service that runs: ok\n", "database of jobs: ok\n"} {
		if code, out := check(); code != 0 || !strings.HasPrefix(out, mount) || !strings.HasSuffix(out, state) {
			t.Errorf("exit %d, %q, want %q", code, out, state)
		}
		s.process.stop()
	}
	none := filepath.Join(t.TempDir(), "none")
	if code, out := check("--state-dir", none); code != 0 || !strings.HasSuffix(out, "will be made: ok\n") {
		t.Errorf("without a database: exit %d, %q", code, out)
	}
	if _, err := os.Stat(none); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the check made %s: %v", none, err)
	}
	if code, out := check("--group", "no-such-group"); code != 1 || strings.Count(out, "\n") != 1 || !strings.Contains(out, `no group "no-such-group"`) {
		t.Errorf("exit %d, %q", code, out)
	}
}

func (s *service) start() {
	s.e.t.Helper()
	ready, notify := listenNotify(s.e.t, s.e.t.TempDir())
	cmd := exec.Command(testenv.Binary(s.e.t, "./cmd/lhsmctl"), append(s.args, s.e.lustre.Mount())...)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+notify)
	c := &copytool{t: s.e.t, cmd: cmd, done: make(chan struct{}), grown: make(chan struct{}, 1)}
	c.follow()
	s.process = c
	s.e.t.Cleanup(func() {
		c.signal(syscall.SIGKILL)
		<-c.done
		if s.e.t.Failed() {
			s.e.t.Logf("log of the service:\n%s", strings.Join(c.log(), "\n"))
		}
	})
	select {
	case <-ready:
	case <-c.done:
		s.e.t.Fatalf("the service ended before it was ready:\n%s", strings.Join(c.log(), "\n"))
	case <-time.After(patience):
		s.e.t.Fatal("the service did not become ready")
	}
}

// stop ends the service with a signal and waits for its end.
func (s *service) stop(sig syscall.Signal) {
	s.e.t.Helper()
	s.process.signal(sig)
	select {
	case <-s.process.done:
	case <-time.After(patience):
		s.e.t.Fatalf("the service did not end after %v", sig)
	}
}

// command is lhsmctl as a client of the service. It finds no Lustre library.
func (s *service) command(args ...string) *exec.Cmd {
	cmd := exec.Command(testenv.Binary(s.e.t, "./cmd/lhsmctl"), args...)
	cmd.Env = append(os.Environ(), "LHSM_LIBLUSTREAPI=/no/such/liblustreapi.so.1", "LHSMCTL_SERVER=unix://"+s.socket)
	return cmd
}

// ctl runs lhsmctl to its end.
func (s *service) ctl(args ...string) (code int, stdout, stderr string) {
	s.e.t.Helper()
	return outputs(s.e.t, s.command(args...))
}

func outputs(t *testing.T, cmd *exec.Cmd) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	p := testenv.Run(t, cmd)
	select {
	case <-p.Done():
	case <-time.After(patience):
		t.Fatalf("%q did not end; it said %q and %q", cmd.Args, out.String(), errs.String())
	}
	return p.Wait(), out.String(), errs.String()
}

// want runs lhsmctl, which has to end with a status.
func (s *service) want(code int, args ...string) (stdout, stderr string) {
	s.e.t.Helper()
	got, stdout, stderr := s.ctl(args...)
	if got != code {
		s.e.t.Fatalf("lhsmctl %q: exit %d, want %d\n%s%s", args, got, code, stdout, stderr)
	}
	return stdout, stderr
}

// A jobState is a job as lhsmctl prints it with --output json.
type jobState struct {
	ID              int64
	State           string
	Finished        bool
	PercentComplete int
	WaitsFor        string
	RetryOf         int64
	ErrorCode       string
	Counters        struct {
		FilesFound, FilesSkipped, FilesSubmitted, FilesExported, FilesFailed, FilesLeft int64
		BytesFound, BytesSkipped, BytesExported                                         int64
		SkippedBy                                                                       map[string]int64
	}
	FirstErrors []struct{ FilePath, ErrorCode, Message string }
}

// job runs lhsmctl for the job that it prints last.
func (s *service) job(code int, args ...string) jobState {
	s.e.t.Helper()
	stdout, _ := s.want(code, append(args, "--output", "json")...)
	return lastJob(s.e.t, stdout)
}

// lastJob is the last of several jobs in JSON.
func lastJob(t *testing.T, text string) jobState {
	t.Helper()
	var j jobState
	for d := json.NewDecoder(strings.NewReader(text)); ; {
		var next jobState
		err := d.Decode(&next)
		if err == io.EOF {
			return j
		}
		if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		j = next
	}
}

// await waits until a job is in a state that holds, as a watcher sees it.
func (s *service) await(what string, holds func(jobState) bool, args ...string) jobState {
	s.e.t.Helper()
	cmd := s.command(append(append([]string{"archive", "watch"}, args...), "--output", "json")...)
	r, w, err := os.Pipe()
	if err != nil {
		s.e.t.Fatal(err)
	}
	defer r.Close()
	cmd.Stdout = w
	p := testenv.Run(s.e.t, cmd)
	w.Close()
	timer := time.AfterFunc(patience, func() { p.Signal(syscall.SIGKILL) })
	defer timer.Stop()
	var j jobState
	for d := json.NewDecoder(r); ; {
		var next jobState
		if err := d.Decode(&next); err != nil {
			s.e.t.Fatalf("no state in which %s; the last is %+v", what, j)
		}
		if j = next; holds(j) {
			p.Signal(syscall.SIGKILL)
			return j
		}
	}
}

// putBlob makes a blob of somebody else's.
func (e *env) putBlob(name string, content []byte) {
	e.t.Helper()
	if _, err := e.blobs.NewBlockBlobClient(name).UploadBuffer(context.Background(), content, nil); err != nil {
		e.t.Fatal(err)
	}
}

func (e *env) deleteBlob(name string) {
	e.t.Helper()
	if _, err := e.blobs.NewBlobClient(name).Delete(context.Background(), nil); err != nil {
		e.t.Fatal(err)
	}
}
