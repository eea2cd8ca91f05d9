package acceptance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/gate"
)

// TestTreeWithXargs is the page's way to archive a tree and to watch it (R27, R28).
func TestTreeWithXargs(t *testing.T) {
	e, _ := start(t)
	for i := range 40 {
		e.write(fmt.Sprintf("tree/d%d/f%d", i%5, i), randomBytes(1000+i, byte(i)))
	}
	e.shell(`find tree -type f -print0 | xargs -0 -n 1 lfs hsm_archive`)
	e.lustre.WaitIdle()
	if n := strings.TrimSpace(e.shell(`find tree -type f -print0 | xargs -0 -n 1 -P 8 lfs hsm_action | grep "ARCHIVE" | wc -l`)); n != "0" {
		t.Errorf("files still in flight: %s, want 0", n)
	}
	for i := range 40 {
		name := fmt.Sprintf("tree/d%d/f%d", i%5, i)
		e.wantState(name, stateArchived)
		e.wantBlob(name, randomBytes(1000+i, byte(i)))
	}
	if n := len(e.blobNames()); n != 40 {
		t.Errorf("the container holds %d blobs, want 40", n)
	}
}

// TestActionTellsProgress sees the three answers of lfs hsm_action.
func TestActionTellsProgress(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	p := e.write("f", randomBytes(1_000_000, 2))
	e.wantAction(p, "NOOP")
	e.lfs("hsm_archive", p)
	e.wantAction(p, "ARCHIVE waiting (from 0 to EOF)")
	h := e.gate.Hold(isPutOf("f"))
	e.startCopytool(e.lustre.Mount())
	<-h.Caught
	if got := e.lfs("hsm_action", p); !strings.HasPrefix(got, p+": ARCHIVE running (") {
		t.Errorf("while the archive runs: got %q", got)
	}
	e.wantState("f", stateExists)
	h.Release()
	e.lustre.WaitIdle()
	e.wantAction(p, "NOOP")
	e.wantState("f", stateArchived)
}

// TestParentDirectoriesAreMarkedOnce looks at the markers that keep owner and
// mode of directories, in the form that Azure Managed Lustre reads.
func TestParentDirectoriesAreMarkedOnce(t *testing.T) {
	e, _ := start(t)
	for i := range 20 {
		e.write(fmt.Sprintf("a/b/f%d", i), []byte("x"))
	}
	if err := os.Chmod(e.path("a/b"), 0o750); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		e.lfs("hsm_archive", e.path(fmt.Sprintf("a/b/f%d", i)))
	}
	e.lustre.WaitIdle()
	if md := e.metadata("a/b"); md["hdi_isfolder"] != "true" || md["permissions"] != "0750" {
		t.Errorf("metadata of the marker a/b: %v", md)
	}
	writes := e.gate.Count(func(r gate.Request) bool { return r.Method == "PUT" && pathIs(r.Path, "a/b") })
	if writes != 1 {
		t.Errorf("the marker a/b was written %d times, want once", writes)
	}
}

func (e *env) wantAction(path, want string) {
	e.t.Helper()
	if got := e.lfs("hsm_action", path); got != path+": "+want+"\n" {
		e.t.Errorf("lfs hsm_action: got %q, want %q", got, path+": "+want+"\n")
	}
}

// shell runs a command line in the mount, with lfs on the path, as a user types it.
func (e *env) shell(line string) string {
	e.t.Helper()
	cmd := exec.Command("bash", "-o", "pipefail", "-c", line)
	if strings.Contains(line, "grep") {
		cmd = exec.Command("bash", "-c", line) // grep ends 1 when it finds nothing
	}
	cmd.Dir = e.lustre.Mount()
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(testenv.LfsPath(e.t))+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		e.t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}
