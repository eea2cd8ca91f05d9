package acceptance

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"golang.org/x/sys/unix"
)

// releasedByPeer makes a released file whose copy is a blob as Microsoft's copytool
// makes it: at a path below its prefix, with its metadata, and with nothing on the file
// that says so.
func (e *env) releasedByPeer(blobName, rel string, content []byte) {
	e.t.Helper()
	p := e.released(rel, content)
	if err := unix.Removexattr(p, "trusted.lhsm_azblob"); err != nil {
		e.t.Fatal(err)
	}
	if _, err := e.blobs.NewBlobClient(blobName).Delete(context.Background(), nil); err != nil {
		e.t.Fatal(err)
	}
	text := func(s string) *string { return &s }
	_, err := e.blobs.NewBlockBlobClient(blobName).UploadBuffer(context.Background(), content, &blockblob.UploadBufferOptions{
		Metadata: map[string]*string{
			"owner": text("0"), "group": text("0"), "permissions": text("0644"), "modtime": text("2024-02-29 23:59:59 +0545"),
		},
	})
	if err != nil {
		e.t.Fatal(err)
	}
}

// adopt does what docs/migration.md says.
func (e *env) adopt(blobName, rel string) {
	e.t.Helper()
	location := "az://" + filepath.Base(e.containerURL) + "/" + blobName
	if err := unix.Setxattr(e.path(rel), "trusted.lhsm_url", []byte(location), 0); err != nil {
		e.t.Fatal(err)
	}
}

// TestMigrationFromMicrosoftsCopytool is docs/migration.md: a file whose blob another
// tool has made is found by its path as long as it has that; when the file has been told
// where its blob is, also after a rename, and the blob may be replaced and removed.
func TestMigrationFromMicrosoftsCopytool(t *testing.T) {
	e, _ := start(t, "--prefix", "export")
	for _, name := range []string{"stays", "moves", "grows", "goes"} {
		e.releasedByPeer("export/dir/"+name, "dir/"+name, []byte(name))
	}
	e.wantContent("dir/stays", []byte("stays"))

	e.rename("dir/moves", "moved")
	if _, err := os.ReadFile(e.path("moved")); err == nil {
		t.Error("a renamed file whose blob nobody knows was read")
	}
	if got := errorXattr(e.path("moved")); !strings.Contains(got, `"code":"BlobMissing"`) {
		t.Errorf("the file's last error is %q", got)
	}
	e.adopt("export/dir/moves", "moved")
	e.wantContent("moved", []byte("moves"))

	e.append("dir/grows", []byte(" up"))
	e.hsm("archive", "dir/grows")
	e.wantState("dir/grows", stateDirty)
	e.wantBlob("export/dir/grows", []byte("grows"))
	e.adopt("export/dir/grows", "dir/grows")
	e.hsm("archive", "dir/grows")
	e.wantBlob("export/dir/grows", []byte("grows up"))
	e.lfs("hsm_release", e.path("dir/grows"))
	e.rename("dir/grows", "grown")
	e.wantContent("grown", []byte("grows up"))

	e.wantContent("dir/goes", []byte("goes"))
	e.hsm("remove", "dir/goes")
	e.wantBlob("export/dir/goes", []byte("goes"))
	e.adopt("export/dir/goes", "dir/goes")
	e.hsm("remove", "dir/goes")
	e.wantNoBlob("export/dir/goes")
}
