package testenv_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"lhsm-azblob/testenv"
)

// childEnv makes the test binary a test process that another one watches die.
const childEnv = "TESTENV_TEST_CHILD"

func TestStartLustre(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{Mounts: 2, FSName: "demo", Params: map[string]string{"mdt.*.hsm.max_requests": "3"}})
	if got := l.GetParam("mdt.*.hsm.max_requests"); got != "mdt.demo-MDT0000.hsm.max_requests=3\n" {
		t.Errorf("max_requests: %q", got)
	}
	l.SetParam("mdt.*.hsm.max_requests", "7")
	if got := l.GetParam("mdt.*.hsm.m*"); !strings.Contains(got, "=7") {
		t.Errorf("max_requests: %q", got)
	}
	if len(l.Mounts()) != 2 || os.Getenv("LUSTRE_MOUNT") != l.Mount() || os.Getenv("LHSM_LIBLUSTREAPI") == "" {
		t.Errorf("mounts %q, LUSTRE_MOUNT=%q", l.Mounts(), os.Getenv("LUSTRE_MOUNT"))
	}
	l.WaitIdle()
	if r := l.Lfs("hsm_state", l.Path("none")); r.Code != int(syscall.ENOENT) || r.Stdout != "" {
		t.Errorf("lfs: %+v", r)
	}
	if err := os.WriteFile(l.Path("f"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if r := l.LfsAs(1234, "hsm_state", l.Path("f")); r.Code != 0 || r.Stdout != l.Path("f")+": (0x00000000)\n" {
		t.Errorf("lfs as a user: %+v", r)
	}
	if r := l.LfsAs(1234, "hsm_archive", l.Path("f")); r.Code != int(syscall.EPERM) {
		t.Errorf("lfs hsm_archive as a user: %+v", r)
	}
}

func TestKillAndRestart(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	l.Kill()
	if _, err := os.ReadDir(l.Mount()); !errors.Is(err, syscall.ENOTCONN) {
		t.Errorf("mount of a killed daemon: %v", err)
	}
	l.Restart()
	if _, err := os.Stat(l.Mount()); err != nil {
		t.Error(err)
	}
}

func TestRun(t *testing.T) {
	p := testenv.Run(t, exec.Command("sh", "-c", "exit 3"))
	if code := p.Wait(); code != 3 {
		t.Errorf("exit status %d", code)
	}
	p = testenv.Run(t, exec.Command("tail", "-f", "/dev/null"))
	p.Signal(syscall.SIGTERM)
	<-p.Done()
	if code := p.Wait(); code != 128+int(syscall.SIGTERM) {
		t.Errorf("exit status after TERM: %d", code)
	}
}

func TestBinaryIsBuiltOnce(t *testing.T) {
	a := testenv.Binary(t, "./testenv/cmd/lustre-standin")
	if b := testenv.Binary(t, "./testenv/cmd/lustre-standin"); a != b || !filepath.IsAbs(a) {
		t.Errorf("%q and %q", a, b)
	}
}

// TestInChild is not a test of its own: it is what TestNothingOutlivesTheTest
// kills.
func TestInChild(t *testing.T) {
	if os.Getenv(childEnv) == "" {
		t.Skip("part of TestNothingOutlivesTheTest")
	}
	l := testenv.StartLustre(t, testenv.Options{})
	out := os.NewFile(3, "parent")
	cmd := exec.Command("tail", "-f", "/dev/null")
	cmd.ExtraFiles = []*os.File{out}
	testenv.Run(t, cmd)
	if _, err := io.WriteString(out, l.Mount()+"\n"); err != nil {
		t.Fatal(err)
	}
	select {} // until killed
}

func TestNothingOutlivesTheTest(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestInChild$")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	cmd.ExtraFiles = []*os.File{w}
	p := testenv.Run(t, cmd)
	w.Close()
	out := bufio.NewReader(r)
	mount, err := out.ReadString('\n')
	if err != nil {
		t.Fatalf("the child said %q, %v", mount, err)
	}
	mount = strings.TrimSpace(mount)
	p.Signal(syscall.SIGKILL)
	p.Wait()
	if _, err := out.ReadString('\n'); !errors.Is(err, io.EOF) { // its process held the other end
		t.Errorf("after the child's death: %v", err)
	}
	waitUnmounted(t, mount)
}

// waitUnmounted waits for the kernel to tell that the mount table changed.
func waitUnmounted(t *testing.T, mount string) {
	t.Helper()
	table, err := os.Open("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	for {
		if _, err := table.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(table)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(b), mount) {
			return
		}
		pollMounts(t, table)
	}
}

// TestCPUTime: work counts, waiting does not, and so do threads that are gone.
func TestCPUTime(t *testing.T) {
	pid := os.Getpid()
	before, err := testenv.CPUTime(pid)
	if err != nil {
		t.Fatal(err)
	}
	began, spun := time.Now(), make(chan struct{})
	go func() {
		defer close(spun)
		runtime.LockOSThread() // and never unlock: the thread ends with this
		for time.Since(began) < 50*time.Millisecond {
		}
	}()
	<-spun
	after, err := testenv.CPUTime(pid)
	if used := after - before; err != nil || used <= 0 || used > time.Since(began)*time.Duration(runtime.NumCPU()) {
		t.Errorf("used %v in %v, %v", used, time.Since(began), err)
	}
	gone := exec.CommandContext(t.Context(), "true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	if _, err := testenv.CPUTime(gone.Process.Pid); err == nil {
		t.Error("a process that is gone uses time")
	}
}
