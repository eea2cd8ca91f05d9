package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lhsm-azblob/testenv"
)

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		fmt.Println("skipping: mounting needs root")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func program(t *testing.T) string {
	t.Helper()
	return testenv.Binary(t, "./testenv/cmd/lustre-standin")
}

// A server is a daemon that a test started by hand.
type server struct {
	*testenv.Process
	out *bufio.Reader
}

// serveOn starts a daemon and waits for its "ready".
func serveOn(t *testing.T, args ...string) server {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	cmd := exec.Command(program(t), append([]string{"serve"}, args...)...)
	cmd.Stdout, cmd.Stderr = w, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	s := server{testenv.Run(t, cmd), bufio.NewReader(r)}
	w.Close()
	if line, err := s.out.ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the daemon said %q, %v", line, err)
	}
	return s
}

func mountPoint(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "lustre")
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func mounted(t *testing.T, dir string) bool {
	t.Helper()
	table, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(table), " "+dir+" fuse.lustre ")
}

// call runs the program to its end.
func call(t *testing.T, args ...string) testenv.Result {
	t.Helper()
	cmd := exec.Command(program(t), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	code := testenv.Run(t, cmd).Wait()
	return testenv.Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: code}
}

func TestServe(t *testing.T) {
	back, mnt := t.TempDir(), mountPoint(t)
	s := serveOn(t, "--back", back, "--mount", mnt, "--fsname", "testfs")
	if !mounted(t, mnt) {
		t.Error("ready, and nothing is mounted")
	}
	if err := os.WriteFile(filepath.Join(mnt, "f"), []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	open, err := os.Open(filepath.Join(mnt, "f")) // a mount in use is no reason to stay
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if other := call(t, "serve", "--back", back, "--mount", mountPoint(t)); other.Code != 1 || strings.Count(other.Stderr, "\n") != 1 {
		t.Errorf("a second daemon on the same data: %+v", other)
	}
	s.Signal(syscall.SIGTERM)
	if code := s.Wait(); code != 0 {
		t.Errorf("SIGTERM: exit status %d", code)
	}
	if mounted(t, mnt) {
		t.Error("still mounted after the end")
	}
	serveOn(t, "--back", back, "--mount", mnt, "--fsname", "testfs")
	if b, err := os.ReadFile(filepath.Join(mnt, "f")); err != nil || string(b) != "kept" {
		t.Errorf("after a restart: %q, %v", b, err)
	}
}

func TestDeadMountIsReplaced(t *testing.T) {
	back, mnt := t.TempDir(), mountPoint(t)
	s := serveOn(t, "--back", back, "--mount", mnt)
	s.Signal(syscall.SIGKILL)
	s.Wait()
	if _, err := os.ReadDir(mnt); !errors.Is(err, syscall.ENOTCONN) {
		t.Fatalf("mount of a killed daemon: %v", err)
	}
	serveOn(t, "--back", back, "--mount", mnt)
	if _, err := os.Stat(mnt); err != nil {
		t.Error(err)
	}
}

func TestSocketOfALongPath(t *testing.T) {
	mnt := mountPoint(t)
	serveOn(t, "--back", filepath.Join(t.TempDir(), strings.Repeat("long", 30)), "--mount", mnt)
	if got := call(t, "get_param", "--mount", mnt, "mdt.*.hsm_control"); got.Code != 0 {
		t.Errorf("%+v", got)
	}
}

func TestReadyFD(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(program(t), "serve", "--back", t.TempDir(), "--mount", mountPoint(t), "--ready-fd", "3")
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	p := testenv.Run(t, cmd)
	w.Close()
	if b, err := io.ReadAll(r); err != nil || string(b) != "ready\n" {
		t.Errorf("ready-fd delivered %q, %v", b, err)
	}
	p.Signal(syscall.SIGINT)
	if code := p.Wait(); code != 0 {
		t.Errorf("SIGINT: exit status %d", code)
	}
}

func TestParentDeath(t *testing.T) {
	mnt := mountPoint(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	// The shell stays the parent: it waits.
	shell := exec.Command("/bin/sh", "-c", `"$@" & wait`, "sh", program(t), "serve", "--parent-death", "--back", t.TempDir(), "--mount", mnt)
	shell.Stdout = w
	p := testenv.Run(t, shell)
	w.Close()
	out := bufio.NewReader(r)
	if line, err := out.ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the daemon said %q, %v", line, err)
	}
	p.Signal(syscall.SIGKILL)
	if _, err := out.ReadString('\n'); !errors.Is(err, io.EOF) { // the daemon held the other end
		t.Errorf("output after the parent's death: %v", err)
	}
	if mounted(t, mnt) {
		t.Error("mounted after the daemon's end")
	}
}

func TestParams(t *testing.T) {
	mnt := mountPoint(t)
	serveOn(t, "--back", t.TempDir(), "--mount", mnt, "--param", "mdt.*.hsm_control=enabled")
	for _, tt := range []struct {
		args   []string
		stdout string
		stderr string
		code   int
	}{
		{[]string{"get_param", "mdt.*.hsm_control"}, "mdt.lustre-MDT0000.hsm_control=enabled\n", "", 0},
		{[]string{"set_param", "mdt.*.hsm.max_requests=5"}, "mdt.lustre-MDT0000.hsm.max_requests=5\n", "", 0},
		{[]string{"get_param", "-n", "mdt.*.hsm.max_requests", "mdt.*.hsm.policy"}, "5\nNonBlockingRestore [NoRetryAction]\n", "", 0},
		{[]string{"get_param", "mdt.*.hsm.agents"}, "mdt.lustre-MDT0000.hsm.agents=\n", "", 0},
		{
			[]string{"set_param", "mdt.*.hsm_control=nonsense"},
			"",
			"error: set_param: setting /sys/fs/lustre/mdt/lustre-MDT0000/hsm_control=nonsense: Invalid argument\n" +
				"error: set_param: setting 'mdt/*/hsm_control'='nonsense': Invalid argument\n", 22,
		},
		{[]string{"changelog_register", "-n", "-m", "CREAT,UNLNK", "-u", "rob"}, "cl1-rob\n", "", 0},
		{[]string{"changelog_register"}, "lustre-MDT0000: Registered changelog userid 'cl2'\n", "", 0},
		{[]string{"wait-idle", "--timeout", "10s"}, "", "", 0},
		{[]string{"restart-coordinator"}, "", "", 0},
		{[]string{"nonsense"}, "", "lustre-standin: no command \"nonsense\"; see lustre-standin help\n", 2},
		{[]string{"evict", "/nowhere"}, "", "lustre-standin: evict: no client [\"/nowhere\"]\n", 1},
		{[]string{"fault", "add", "read", "errno=EWHAT"}, "", "lustre-standin: fault: errno=EWHAT: no such error\n", 1},
		{[]string{"bulk-create", "/no/dir", "f", "0", "1", "1"}, "", "lustre-standin: bulk-create: find /no/dir: no such file or directory\n", 1},
	} {
		got := call(t, append([]string{"--mount", mnt}, tt.args...)...)
		if want := (testenv.Result{Stdout: tt.stdout, Stderr: tt.stderr, Code: tt.code}); got != want {
			t.Errorf("%q:\n got %+v\nwant %+v", tt.args, got, want)
		}
	}
}

func TestRun(t *testing.T) {
	got := call(t, "run", "--mounts", "2", "--param", "mdt.*.hsm.max_requests=9", "--", "/bin/sh", "-c", `
		echo one > $LUSTRE_MOUNT/f && cat $LUSTRE_MOUNT2/f && lustre-standin get_param 'mdt.*.hsm.max_requests' && echo $LUSTRE_MOUNT && exit 7`)
	lines := strings.Split(got.Stdout, "\n")
	if got.Code != 7 || len(lines) != 4 || lines[0] != "one" || lines[1] != "mdt.lustre-MDT0000.hsm.max_requests=9" {
		t.Fatalf("run: %+v", got)
	}
	if _, err := os.Stat(filepath.Dir(lines[2])); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", filepath.Dir(lines[2]), err)
	}
	if got := call(t, "run", "--", "/does/not/exist"); got.Code != 127 {
		t.Errorf("run of no program: %+v", got)
	}
}

// Nothing that run started may outlive it, however it ends.
func TestRunEnds(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			cmd := exec.Command(program(t), "run", "--", "/bin/sh", "-c", "echo up; exec tail -f /dev/null")
			cmd.Stdout, cmd.Stderr = w, w // held by the daemon and by tail as well
			p := testenv.Run(t, cmd)
			w.Close()
			out := bufio.NewReader(r)
			if line, err := out.ReadString('\n'); err != nil || line != "up\n" {
				t.Fatalf("%q, %v", line, err)
			}
			p.Signal(sig)
			if code := p.Wait(); code != 128+int(sig) {
				t.Errorf("exit status %d", code)
			}
			if rest, err := io.ReadAll(out); err != nil || len(rest) != 0 { // the last of them has ended
				t.Errorf("they said %q, %v", rest, err)
			}
		})
	}
}

// A plain user gets a mount in a user namespace, where /dev/fuse lets him.
func TestRunAsUser(t *testing.T) {
	dir := t.TempDir()
	script := fmt.Sprintf(`
		mount -t tmpfs none %[1]s && mknod %[1]s/fuse c 10 229 && chmod 666 %[1]s/fuse && mount --bind %[1]s/fuse /dev/fuse || exit 99
		exec setpriv --reuid 1234 --regid 1234 --clear-groups env TMPDIR=/tmp %[2]s run -- \
			sh -c 'id -u && echo hi > $LUSTRE_MOUNT/f && cat $LUSTRE_MOUNT/f && lustre-standin get_param -n "mdt.*.hsm_control"'`, dir, program(t))
	cmd := exec.Command("unshare", "-m", "sh", "-c", script)
	var out bytes.Buffer
	cmd.Stdout = &out
	switch code := testenv.Run(t, cmd).Wait(); {
	case code == 99:
		t.Skip("cannot make a /dev/fuse for everybody here")
	case code != 0 || out.String() != "0\nhi\nstopped\n":
		t.Errorf("exit %d, %q", code, out.String())
	}
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{nil, 2, "usage:"},
		{[]string{"serve"}, 2, "--back is required"},
		{[]string{"serve", "--back", "x"}, 2, "--mount is required"},
		{[]string{"serve", "--back", "x", "--mount", "y", "z"}, 2, `unexpected argument "z"`},
		{[]string{"serve", "--what"}, 2, "not defined"},
		{[]string{"serve", "--back", t.TempDir(), "--mount", "/proc/nothing"}, 1, "mount on /proc/nothing"},
		{[]string{"serve", "--back", t.TempDir(), "--mount", t.TempDir(), "--param", "x"}, 1, "want name=value"},
		{[]string{"get_param", "--mount"}, 1, "--mount needs a directory"},
		{[]string{"get_param", "--mount", t.TempDir()}, 1, "find the stand-in behind"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(context.Background(), tt.args, &stdout, &stderr); code != tt.code || !strings.Contains(stderr.String(), tt.says) {
			t.Errorf("%q: exit %d, %q, want %d and %q", tt.args, code, stderr.String(), tt.code, tt.says)
		}
	}
	var stdout bytes.Buffer
	if code := run(context.Background(), []string{"help"}, &stdout, io.Discard); code != 0 || !strings.Contains(stdout.String(), "usage:") {
		t.Errorf("help: exit %d, %q", code, stdout.String())
	}
}

func TestValues(t *testing.T) {
	text := "mdt.fs-MDT0000.hsm.a=1\nmdt.fs-MDT0000.hsm.b=\nfid=[x] y=z\nsecond\nmdt.fs-MDT0000.hsm.c=\n"
	if got, want := values(text), "1\nfid=[x] y=z\nsecond\n"; got != want {
		t.Errorf("values = %q, want %q", got, want)
	}
}
