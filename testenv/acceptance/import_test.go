package acceptance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv"
)

// importBlobs runs `lhsmctl import` on the env's file system.
func (e *env) importBlobs(prefix string, args ...string) (code int, stdout, stderr string) {
	e.t.Helper()
	config := e.file("mover.conf", fmt.Sprintf("container_url = %q\naccount_key_file = %q\nprefix = %q\nmemory = \"64MiB\"\n", e.containerURL, e.keyFile, prefix))
	args = append([]string{"import", "--config", config, e.lustre.Mount()}, args...)
	return outputs(e.t, exec.Command(testenv.Binary(e.t, "./cmd/lhsmctl"), args...))
}

// TestImportTrustsBlobsOnlySoFar: blobs of other programs are files, and what a blob
// says of itself puts nothing on a file that is not its user's.
func TestImportTrustsBlobsOnlySoFar(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	put := func(name string, metadata map[string]string) {
		md := map[string]*string{}
		for k, v := range metadata {
			md[k] = &v
		}
		if _, err := e.blobs.NewBlockBlobClient(name).UploadBuffer(t.Context(), []byte("data"), &blockblob.UploadBufferOptions{Metadata: md}); err != nil {
			t.Fatal(err)
		}
	}
	put("plain", nil)
	put("forged", map[string]string{"lhsm_xattrs": "trusted.evil=eA==,user.good=eA==", "permissions": "0600"})
	put("spoiled", map[string]string{"permissions": "nonsense"})
	put("x/%~0123", map[string]string{"lhsm_path": "ZXZpbA=="}) // another path than its name's
	if err := os.Symlink(t.TempDir(), e.path("out")); err != nil {
		t.Fatal(err)
	}
	put("out/file", nil)
	code, stdout, stderr := e.importBlobs("")
	if code != 1 || !strings.HasPrefix(stdout, "2 files imported (8 B), 0 there already, 2 skipped, 1 failed") || !strings.Contains(stderr, "lhsmctl: out/file: ") {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
	for name, want := range map[string]bool{"trusted.evil": false, "user.good": true} {
		if _, err := unix.Getxattr(e.path("forged"), name, nil); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if st, err := os.Stat(e.path("plain")); err != nil || st.Mode() != 0o600 {
		t.Errorf("plain: %v, %v", st, err)
	}
	e.startCopytool(e.lustre.Mount())
	e.wantContent("plain", []byte("data"))
}

// TestImportIntoANewFileSystem is the recovery of a file system that is lost: names
// and attributes come back from the container, the data when somebody reads them, and
// what is there already stays as it is.
func TestImportIntoANewFileSystem(t *testing.T) {
	const prefix = "deep/down"
	old, _ := start(t, "--prefix", prefix)
	odd, long := "d/new\nline \xff", "d/"+strings.Repeat(strings.Repeat("x", 200)+"/", 6)+"end"
	contents := map[string][]byte{
		"d/f": randomBytes(3<<20, 1), odd: []byte("odd"), long: []byte("long"), "d/empty": nil, "e/other": []byte("other"), "d/mine": []byte("theirs"),
	}
	modified := time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)
	for rel, content := range contents {
		p := old.write(rel, content)
		if err := unix.Setxattr(p, "user.note", []byte("a note"), 0); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(p, 0o2640|os.ModeSetgid); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(p, 1001, 1002); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(p, modified, modified); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(old.path("e"), 0o750); err != nil {
		t.Fatal(err)
	}
	for rel := range contents {
		old.hsm("archive", rel)
	}
	blobs := old.blobNames()

	// The old file system is lost; the container is all that there is.
	old.lustre.Kill()
	defer old.lustre.Restart()
	e := *old
	e.lustre = testenv.StartLustre(t, testenv.Options{FSName: "second"})
	e.runDir, e.stateDir = t.TempDir(), t.TempDir()
	e.write("d/mine", []byte("mine"))

	code, stdout, stderr := e.importBlobs(prefix, "--dry-run")
	if code != 0 || stderr != "" || !strings.HasPrefix(stdout, "5 files imported") {
		t.Errorf("dry run: exit %d, %q, %q", code, stdout, stderr)
	}
	if left, _ := filepath.Glob(e.path("*")); len(left) != 1 {
		t.Errorf("a dry run made %q", left)
	}
	code, stdout, stderr = e.importBlobs(prefix, "--prefix", "/e")
	if code != 0 || stderr != "" || !strings.HasPrefix(stdout, "1 file imported (5 B), 0 there already") {
		t.Errorf("by prefix: exit %d, %q, %q", code, stdout, stderr)
	}
	// An import that ended before it could say which blob is the copy.
	if err := unix.Removexattr(e.path("e/other"), "trusted.lhsm_azblob"); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr = e.importBlobs(prefix)
	if code != 0 || stderr != "" || !strings.HasPrefix(stdout, "5 files imported") || !strings.Contains(stdout, "1 there already") {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
	for rel := range contents {
		if rel == "d/mine" {
			continue
		}
		e.wantState(rel, stateReleased)
		st, err := os.Lstat(e.path(rel))
		if err != nil {
			t.Fatal(err)
		}
		sys := st.Sys().(*syscall.Stat_t)
		if st.Mode() != 0o640|os.ModeSetgid || sys.Uid != 1001 || sys.Gid != 1002 || !st.ModTime().Equal(modified) || st.Size() != int64(len(contents[rel])) {
			t.Errorf("%q: mode %v, owner %d:%d, time %v, size %d", rel, st.Mode(), sys.Uid, sys.Gid, st.ModTime(), st.Size())
		}
		buf := make([]byte, 100)
		if n, err := unix.Getxattr(e.path(rel), "user.note", buf); err != nil || string(buf[:n]) != "a note" {
			t.Errorf("%q: note %q, %v", rel, buf[:max(n, 0)], err)
		}
	}
	e.wantContent("d/mine", []byte("mine"))
	if st, err := os.Stat(e.path("e")); err != nil || st.Mode().Perm() != 0o750 {
		t.Errorf("directory: %v, %v", st.Mode(), err)
	}

	e.startCopytool(e.lustre.Mount(), "--prefix", prefix)
	for rel, content := range contents {
		if rel != "d/mine" {
			e.wantContent(rel, content)
		}
	}
	if code, stdout, stderr := e.importBlobs(prefix); code != 0 || !strings.HasPrefix(stdout, "0 files imported (0 B), 6 there already, 0 skipped, 0 failed") {
		t.Errorf("again: exit %d, %q, %q", code, stdout, stderr)
	}
	// What changes replaces its blob, as everywhere.
	e.append("d/f", []byte("more"))
	e.hsm("archive", "d/f")
	e.wantBlob(prefix+"/d/f", append(contents["d/f"], "more"...))
	if now := e.blobNames(); len(now) != len(blobs) {
		t.Errorf("the container has %q, had %q", now, blobs)
	}
}
