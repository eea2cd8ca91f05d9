package acceptance

import (
	"context"
	"os"
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

func TestOnConflictOverwrite(t *testing.T) {
	e, _ := start(t, "--on-conflict", "overwrite")
	e.overwriteBlob("f", []byte("somebody else's"))
	e.archived("f", []byte("ours"))
	e.wantBlob("f", []byte("ours"))
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
