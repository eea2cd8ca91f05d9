package acceptance

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/azurite"
)

// TestBadInput gives the copytool what operators get wrong. Each mistake is
// one line that names the cause and the remedy, and an exit status.
func TestBadInput(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	mount, server := e.lustre.Mount(), azurite.Start(t)
	sas, err := server.SAS(filepath.Base(e.containerURL), "rwdl", time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	expired := e.file("expired.sas", sas)
	wrongKey := e.file("wrong.key", "d3Jvbmcga2V5")
	unknownKey := e.file("unknown.conf", "memry = \"1GiB\"\n")
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string // a part of the line
	}{
		{"no mount", nil, 64, "MOUNT"},
		{"unknown flag", []string{"--tranfers", "3", mount}, 64, "tranfers"},
		{"impossible size", []string{"--block-size", "5TiB", mount}, 64, "block-size"},
		{"no size at all", []string{"--memory", "much", mount}, 64, "memory"},
		{"mount is not Lustre", []string{e.t.TempDir()}, 1, "not a Lustre"},
		{"mount is missing", []string{"/no/such/mount"}, 1, "/no/such/mount"},
		{"inside the mount, not its root", []string{e.directory("sub")}, 1, "root"},
		{"container missing", []string{"--container-url", server.ContainerURL("no-such-container"), mount}, 1, "no-such-container"},
		{"wrong key", []string{"--account-key-file", wrongKey, mount}, 1, "key"},
		{"expired SAS", []string{"--auth", "sas", "--sas-file", expired, mount}, 1, "expired"},
		{"endpoint unreachable", []string{"--container-url", "http://" + closedPort(t) + "/devstoreaccount1/container", mount}, 1, "nothing listens"},
		{"unknown config key", []string{"--config", unknownKey, mount}, 64, "memry"},
		{"state directory cannot be made", []string{"--state-dir", "/dev/null/state", mount}, 1, "--state-dir"},
		{"config file missing", []string{"--config", "/no/such.conf", mount}, 1, "/no/such.conf"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e.t = t
			code, out := e.runCopytool(tt.args...)
			e.wantOneLine(code, out, tt.code, tt.want)
		})
	}
}

func TestLibraryMissing(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	t.Setenv("LHSM_LIBLUSTREAPI", "/no/such/liblustreapi.so.1")
	code, out := e.runCopytool(e.lustre.Mount())
	e.wantOneLine(code, out, 1, "liblustreapi")
}

func TestCoordinatorOff(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	e.lustre.SetParam("mdt.*.hsm_control", "shutdown")
	code, out := e.runCopytool(e.lustre.Mount())
	e.wantOneLine(code, out, 1, "hsm_control")
}

func TestWithoutCapability(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	cmd := e.copytoolCommand(e.lustre.Mount())
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1001, Gid: 1001}}
	if err := os.Chmod(e.keyFile, 0o644); err != nil {
		t.Fatal(err)
	}
	code, out := run(t, cmd)
	e.wantOneLine(code, out, 1, "CAP_SYS_ADMIN")
}

// TestCheck connects, says so, and registers nothing.
func TestCheck(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	code, out := e.runCopytool("--check", e.lustre.Mount())
	if code != 0 {
		t.Errorf("--check on a good set-up: exit %d, %q", code, out)
	}
	if agents := e.lustre.GetParam("mdt.*.hsm.agents"); strings.Contains(agents, "uuid=") {
		t.Errorf("--check registered an agent: %q", agents)
	}
}

// copytoolCommand is the copytool with good settings before args, which may override them.
func (e *env) copytoolCommand(args ...string) *exec.Cmd {
	args = append([]string{"--container-url", e.containerURL, "--auth", "shared-key", "--account-key-file", e.keyFile, "--run-dir", e.runDir, "--state-dir", e.stateDir}, args...)
	args = append(append(e.wrapper[:len(e.wrapper):len(e.wrapper)], e.program), args...)
	return exec.Command(args[0], args[1:]...)
}

func (e *env) runCopytool(args ...string) (code int, output string) {
	e.t.Helper()
	return run(e.t, e.copytoolCommand(args...))
}

func run(t *testing.T, cmd *exec.Cmd) (code int, output string) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

func (e *env) wantOneLine(code int, out string, wantCode int, want string) {
	e.t.Helper()
	if code != wantCode {
		e.t.Errorf("exit %d, want %d", code, wantCode)
	}
	if strings.Count(out, "\n") != 1 || !strings.Contains(out, want) {
		e.t.Errorf("want one line with %q, got %q", want, out)
	}
}

func (e *env) file(name, content string) string {
	e.t.Helper()
	p := filepath.Join(e.t.TempDir(), name)
	if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
		e.t.Fatal(err)
	}
	return p
}

func (e *env) directory(rel string) string {
	e.t.Helper()
	if err := os.MkdirAll(e.path(rel), 0o755); err != nil {
		e.t.Fatal(err)
	}
	return e.path(rel)
}

// closedPort is an address at which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
