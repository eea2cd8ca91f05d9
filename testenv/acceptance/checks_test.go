package acceptance

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/acceptance/checks"
	"lhsm-azblob/testenv/azurite"
)

// TestChecks runs what every installation must pass, and what only a gate and the
// control of the copytool make possible.
func TestChecks(t *testing.T) {
	const prefix = "site/lustre"
	e := newEnv(t, testenv.Options{})
	args := []string{"--prefix", prefix, "--block-size", "8MiB"}
	c := e.startCopytool(e.lustre.Mount(), args...)
	env := &checks.Env{
		Mount: e.lustre.Mount(), Scratch: "scratch", Lfs: testenv.LfsPath(t), ArchiveID: 1, Prefix: prefix, Container: e.blobs, UID: 1001,
		Gate: checkGate{e},
		Restart: func(context.Context) error {
			c.stop()
			c = e.startCopytool(e.lustre.Mount(), args...)
			return nil
		},
	}
	for _, check := range checks.All {
		t.Run(check.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
			defer cancel()
			env.Run(bounded{t, ctx}, check)
		})
	}
	e.t = t
	if err := env.Clean(t.Context()); err != nil {
		t.Error(err)
	}
	if names := e.blobNames(); len(names) > 0 {
		t.Errorf("after the clean-up there are the blobs %q", names)
	}
	if left, err := os.ReadDir(e.lustre.Mount()); err != nil || len(left) > 0 {
		t.Errorf("after the clean-up there are the files %v, %v", left, err)
	}
}

// bounded is a test with a bound to its patience.
type bounded struct {
	*testing.T
	ctx context.Context
}

func (b bounded) Context() context.Context { return b.ctx }

type checkGate struct{ e *env }

func (g checkGate) HoldCommit(blob string) (<-chan struct{}, func()) { return g.hold(isPutOf(blob)) }

func (g checkGate) HoldRead(blob string) (<-chan struct{}, func()) { return g.hold(isGetOf(blob)) }

func (g checkGate) hold(match func(*http.Request) bool) (<-chan struct{}, func()) {
	h := g.e.gate.Hold(match)
	return h.Caught, h.Release
}

// acceptanceCommand is lhsm-acceptance for this environment.
func (e *env) acceptanceCommand(args ...string) *exec.Cmd {
	args = append([]string{
		"--mount", e.lustre.Mount(), "--container-url", e.containerURL, "--account-key-file", e.keyFile, "--lfs", testenv.LfsPath(e.t), "--user", "1001",
	}, args...)
	return exec.Command(testenv.Binary(e.t, "./testenv/cmd/lhsm-acceptance"), args...)
}

// TestAcceptanceCommand is what an administrator does.
func TestAcceptanceCommand(t *testing.T) {
	e, _ := start(t)
	e.archived("theirs", []byte("not the command's"))
	out, err := e.acceptanceCommand().CombinedOutput() // as long as it takes: each check has its own bound
	if err != nil || !strings.Contains(string(out), " 0 failed, 5 skipped\n") ||
		!strings.Contains(string(out), "skipped: needs control of the copytool\n") || !strings.Contains(string(out), "skipped: needs fault injection\n") {
		t.Errorf("%v:\n%s", err, out)
	}
	if names := e.blobNames(); len(names) != 1 || names[0] != "theirs" {
		t.Errorf("afterwards there are the blobs %q", names)
	}
	e.wantScratchGone()
}

func (e *env) wantScratchGone() {
	e.t.Helper()
	if left, err := filepath.Glob(e.path("lhsm-acceptance-*")); err != nil || len(left) > 0 {
		e.t.Errorf("left behind: %q, %v", left, err)
	}
}

// TestAcceptanceCommandFails must say why, in the time that it has, and clean up.
func TestAcceptanceCommandFails(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	server := azurite.Start(t)
	sas, err := server.SAS(filepath.Base(e.containerURL), "rl", time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string // a part of the line
	}{
		{"container missing", []string{"--container-url", server.ContainerURL("no-such-container")}, 1, "ContainerNotFound"},
		{"wrong key", []string{"--account-key-file", e.file("key", "d3Jvbmcga2V5")}, 1, "credential is refused"},
		{"expired SAS", []string{"--sas-file", e.file("sas", sas)}, 1, "credential is refused"},
		{"nobody listens", []string{"--container-url", "http://" + closedPort(t) + "/devstoreaccount1/container"}, 1, "connection refused"},
		{"not Lustre", []string{"--mount", "/proc"}, 1, "not a Lustre"},
		{"not a root", []string{"--mount", e.directory("sub")}, 1, "root of a mount"},
		{"no URL", []string{"--container-url", ""}, 2, "--container-url"},
		{"no lfs", []string{"--lfs", "/no/such/lfs"}, 1, "--lfs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e.t = t
			code, out := run(t, e.acceptanceCommand(tt.args...))
			e.wantOneLine(code, out, tt.code, tt.want)
			e.wantScratchGone()
		})
	}
	e.t = t
	code, out := run(t, e.acceptanceCommand("--timeout", "5s")) // for a first answer at least
	if code != 1 || !strings.Contains(out, "does a copytool serve archive id 1 here?") || !strings.Contains(out, "0 passed, 1 failed, 0 skipped\n") {
		t.Errorf("without a copytool: exit %d:\n%s", code, out)
	}
	e.wantScratchGone()
}
