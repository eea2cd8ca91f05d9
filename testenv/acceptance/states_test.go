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

// TestLifeOfAFile walks through the states of the managed service's page
// (R26 to R37) with the commands that it shows.
func TestLifeOfAFile(t *testing.T) {
	e, _ := start(t)
	first := randomBytes(100_000, 1)
	p := e.write("dir/f", first)
	e.wantState("dir/f", stateNew)

	e.hsm("archive", "dir/f")
	e.wantState("dir/f", stateArchived)
	e.wantBlob("dir/f", first)

	e.append("dir/f", []byte("more"))
	e.wantState("dir/f", stateDirty)
	e.wantBlob("dir/f", first)
	second := append(first, "more"...)
	e.hsm("archive", "dir/f")
	e.wantState("dir/f", stateArchived)
	e.wantBlob("dir/f", second)

	e.lfs("hsm_release", p)
	e.wantState("dir/f", stateReleased)
	e.hsm("archive", "dir/f") // its data is in the container only: nothing to do
	e.wantState("dir/f", stateReleased)

	e.wantContent("dir/f", second) // the read restores
	e.wantState("dir/f", stateArchived)

	e.lfs("hsm_release", p)
	e.hsm("restore", "dir/f")
	e.wantState("dir/f", stateArchived)
	e.wantContent("dir/f", second)

	e.hsm("remove", "dir/f")
	e.wantState("dir/f", "(0x00000000), archive_id:1")
	e.wantNoBlob("dir/f")
	e.wantContent("dir/f", second)
}

func TestArchiveOfACleanFileMovesNothing(t *testing.T) {
	e, _ := start(t)
	e.archived("f", []byte("content"))
	etag := *e.properties("f").ETag
	e.hsm("archive", "f")
	if now := *e.properties("f").ETag; now != etag {
		t.Errorf("the blob was written again: ETag %s became %s", etag, now)
	}
}

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

// TestMetadataOfABlob checks the keys that other tools read.
func TestMetadataOfABlob(t *testing.T) {
	e, _ := start(t)
	p := e.write("f", []byte("content"))
	if err := os.Chown(p, 1234, 5678); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(p, 0o640); err != nil {
		t.Fatal(err)
	}
	e.hsm("archive", "f")
	md := e.metadata("f")
	for key, want := range map[string]string{"owner": "1234", "group": "5678", "permissions": "0640"} {
		if md[key] != want {
			t.Errorf("metadata %s: got %q, want %q", key, md[key], want)
		}
	}
	fid := strings.Trim(strings.TrimSpace(e.lfs("path2fid", p)), "[]")
	if got := strings.Trim(md["lhsm_fid"], "[]"); got != fid {
		t.Errorf("metadata lhsm_fid: got %q, want %q", got, fid)
	}
	for _, key := range []string{"modtime", "lhsm_crc64"} {
		if md[key] == "" {
			t.Errorf("metadata %s is missing: %v", key, md)
		}
	}
}

// TestOwnerAndTimesSurvive restores a file and compares all that stat shows.
func TestOwnerAndTimesSurvive(t *testing.T) {
	e, _ := start(t)
	p := e.archived("f", randomBytes(5000, 3))
	if err := os.Chown(p, 4321, 8765); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(p, 0o4710); err != nil {
		t.Fatal(err)
	}
	before := e.shell("stat -c '%u %g %a %s %Y' f")
	e.lfs("hsm_release", p)
	e.wantContent("f", randomBytes(5000, 3))
	if after := e.shell("stat -c '%u %g %a %s %Y' f"); after != before {
		t.Errorf("stat changed by release and restore: before %q, after %q", before, after)
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
