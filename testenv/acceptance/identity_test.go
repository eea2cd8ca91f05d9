package acceptance

import (
	"context"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv"
)

func TestP07RenameThenRestore(t *testing.T) {
	e, _ := start(t)
	content := randomBytes(10_000, 1)
	e.released("old/name", content)
	if err := os.Mkdir(e.path("new"), 0o755); err != nil {
		t.Fatal(err)
	}
	e.rename("old/name", "new/name")
	e.wantContent("new/name", content)
	e.wantBlob("old/name", content)
}

func TestRenameOfTheDirectoryThenRestore(t *testing.T) {
	e, _ := start(t)
	content := randomBytes(10_000, 1)
	e.released("old/name", content)
	e.rename("old", "new")
	e.wantContent("new/name", content)
}

// TestH01RenameAndReuse is the way in which tools that go by path destroy data:
// a renamed, released file must not lose its only copy to its successor.
func TestH01RenameAndReuse(t *testing.T) {
	e, _ := start(t)
	first, second := randomBytes(10_000, 1), randomBytes(20_000, 2)
	e.released("a", first)
	e.rename("a", "b")
	e.archived("a", second)
	e.wantBlob("a", second)
	e.wantContent("b", first)
	e.wantState("b", stateArchived)
	e.lfs("hsm_release", e.path("a"))
	e.wantContent("a", second)
}

// TestReuseByAChain shifts names as log rotation does.
func TestReuseByAChain(t *testing.T) {
	e, _ := start(t)
	e.released("log.1", randomBytes(1000, 1))
	e.released("log.0", randomBytes(1001, 2))
	e.rename("log.1", "log.2")
	e.rename("log.0", "log.1")
	e.released("log.0", randomBytes(1002, 3))
	e.append("log.1", []byte("!")) // restores it first
	e.hsm("archive", "log.1")
	e.wantState("log.1", stateArchived)
	e.lfs("hsm_release", e.path("log.1"))
	e.wantContent("log.2", randomBytes(1000, 1))
	e.wantContent("log.1", append(randomBytes(1001, 2), '!'))
	e.wantContent("log.0", randomBytes(1002, 3))
}

// TestRenamedAndChanged archives a file again under its new path; the blob at
// the old one is gone once the new one is safe.
func TestRenamedAndChanged(t *testing.T) {
	e, c := start(t)
	e.archived("before", []byte("one"))
	e.rename("before", "after")
	e.append("after", []byte("two"))
	e.hsm("archive", "after")
	e.wantState("after", stateArchived)
	e.wantBlob("after", []byte("onetwo"))
	c.waitLog("former path is deleted") // only after the coordinator has taken the success
	e.wantNoBlob("before")
	e.lfs("hsm_release", e.path("after"))
	e.wantContent("after", []byte("onetwo"))
}

// TestBlobChangedBehindOurBack must end in an error for the reader, never in bytes
// that Lustre did not archive.
func TestBlobChangedBehindOurBack(t *testing.T) {
	e, c := start(t)
	p := e.released("f", randomBytes(10_000, 1))
	e.overwriteBlob("f", randomBytes(10_000, 9))
	if b, err := os.ReadFile(p); err == nil {
		t.Errorf("the read of a file whose blob was replaced gave %d bytes and no error", len(b))
	}
	c.waitLog("BlobChanged")
	e.wantState("f", stateReleased)
}

func TestBlobGoneBehindOurBack(t *testing.T) {
	e, c := start(t)
	p := e.released("f", randomBytes(10_000, 1))
	if _, err := e.blobs.NewBlobClient("f").Delete(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(p); err == nil {
		t.Errorf("the read of a file whose blob is gone gave %d bytes and no error", len(b))
	}
	c.waitLog("BlobMissing")
}

// TestForeignBlobIsNotOverwritten finds somebody else's blob at the path.
func TestForeignBlobIsNotOverwritten(t *testing.T) {
	e, c := start(t)
	e.overwriteBlob("f", []byte("somebody else's"))
	e.write("f", []byte("ours"))
	e.hsm("archive", "f")
	e.wantState("f", stateExists)
	e.wantBlob("f", []byte("somebody else's"))
	c.waitLog("BlobExists")
}

func TestOnConflictOverwrite(t *testing.T) {
	e, _ := start(t, "--on-conflict", "overwrite")
	e.overwriteBlob("f", []byte("somebody else's"))
	e.archived("f", []byte("ours"))
	e.wantBlob("f", []byte("ours"))
}

// TestLastErrorIsKeptOnTheFile lets any node explain a failure; success takes it away.
func TestLastErrorIsKeptOnTheFile(t *testing.T) {
	e, _ := start(t)
	e.overwriteBlob("f", []byte("somebody else's"))
	p := e.write("f", []byte("ours"))
	e.hsm("archive", "f")
	if got := errorXattr(p); !strings.Contains(got, "BlobExists") {
		t.Errorf("the file's error xattr: %q, want BlobExists in it", got)
	}
	if _, err := e.blobs.NewBlobClient("f").Delete(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	e.hsm("archive", "f")
	e.wantState("f", stateArchived)
	if got := errorXattr(p); got != "" {
		t.Errorf("the error stayed on the file after a success: %q", got)
	}
}

// errorXattr is empty where there is none.
func errorXattr(path string) string {
	buf := make([]byte, 4096)
	n, err := unix.Getxattr(path, "trusted.lhsm_azblob_error", buf)
	if err != nil {
		return ""
	}
	return string(buf[:n])
}

func TestRemoveAfterUnlink(t *testing.T) {
	e, _ := start(t)
	p := e.archived("f", []byte("content"))
	fid := strings.TrimSpace(e.lfs("path2fid", p))
	if err := os.Remove(p); err != nil {
		t.Fatal(err)
	}
	e.wantBlob("f", []byte("content")) // unlink leaves the copy
	e.lfs("hsm_remove", "--archive", "1", "--mntpath", e.lustre.Mount(), "--data", `{"file_id": "f"}`, fid)
	e.lustre.WaitIdle()
	e.wantNoBlob("f")
}

// TestRemoveOfAnotherFilesBlob names a path that has a new owner by now.
func TestRemoveOfAnotherFilesBlob(t *testing.T) {
	e, _ := start(t)
	p := e.archived("f", []byte("old"))
	fid := strings.TrimSpace(e.lfs("path2fid", p))
	if err := os.Remove(p); err != nil {
		t.Fatal(err)
	}
	e.archived("f", []byte("new"))
	e.lfs("hsm_remove", "--archive", "1", "--mntpath", e.lustre.Mount(), "--data", `{"file_id": "f"}`, fid)
	e.lustre.WaitIdle()
	e.wantBlob("f", []byte("new"))
}

// TestP08PrefixBothWays puts a whole file system below a folder of the container.
func TestP08PrefixBothWays(t *testing.T) {
	e, _ := start(t, "--prefix", "site/lustre")
	e.released("dir/f", []byte("content"))
	e.wantBlob("site/lustre/dir/f", []byte("content"))
	e.wantContent("dir/f", []byte("content"))
}

func TestSurvivesRestartOfEverything(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	c := e.startCopytool(e.lustre.Mount())
	content := randomBytes(50_000, 7)
	e.released("f", content)
	c.stop()
	e.lustre.Restart()
	e.wantState("f", stateReleased)
	e.startCopytool(e.lustre.Mount())
	e.wantContent("f", content)
}

func (e *env) overwriteBlob(name string, content []byte) {
	e.t.Helper()
	if _, err := e.blobs.NewBlockBlobClient(name).UploadBuffer(context.Background(), content, nil); err != nil {
		e.t.Fatal(err)
	}
}
