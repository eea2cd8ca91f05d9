package acceptance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/azurite"
	"lhsm-azblob/testenv/gate"
)

const (
	stateNew      = "(0x00000000)"
	stateExists   = "(0x00000001) exists, archive_id:1"
	stateArchived = "(0x00000009) exists archived, archive_id:1"
	stateDirty    = "(0x0000000b) exists dirty archived, archive_id:1"
	stateReleased = "(0x0000000d) released exists archived, archive_id:1"
)

// An env is one Lustre file system, one empty container and the gate between.
type env struct {
	t      *testing.T
	lustre *testenv.Lustre
	gate   *gate.Gate
	// containerURL leads through the gate; blobs goes to the server directly.
	containerURL string
	program      string // the copytool
	keyFile      string
	runDir       string // where copytools keep their locks
	stateDir     string // and their journals
	blobs        *container.Client
	wrapper      []string // what runs copytools; empty: nothing between
}

func newEnv(t *testing.T, o testenv.Options) *env {
	t.Helper()
	return newEnvOn(t, azurite.Start(t), o)
}

func newEnvOn(t *testing.T, server *azurite.Server, o testenv.Options) *env {
	t.Helper()
	direct := server.NewContainer(t)
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	g := newGate(t, u.Scheme+"://"+u.Host, gate.Options{})
	cred, err := container.NewSharedKeyCredential(server.AccountName, server.AccountKey)
	if err != nil {
		t.Fatal(err)
	}
	client, err := container.NewClientWithSharedKeyCredential(direct, cred, nil)
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "account-key")
	if err := os.WriteFile(key, []byte(server.AccountKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return &env{
		t: t, lustre: testenv.StartLustre(t, o), gate: g, containerURL: g.URL + u.Path,
		program: testenv.Binary(t, "./cmd/lhsmtool_azblob"),
		keyFile: key, runDir: t.TempDir(), stateDir: t.TempDir(), blobs: client,
	}
}

// start is newEnv with one mount and one running copytool: what most tests need.
func start(t *testing.T, args ...string) (*env, *copytool) {
	t.Helper()
	e := newEnv(t, testenv.Options{})
	return e, e.startCopytool(e.lustre.Mount(), args...)
}

func (e *env) path(rel string) string { return filepath.Join(e.lustre.Mount(), rel) }

// write makes or replaces a file and the directories above it.
func (e *env) write(rel string, content []byte) string {
	e.t.Helper()
	p := e.path(rel)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		e.t.Fatal(err)
	}
	if err := os.WriteFile(p, content, 0o644); err != nil {
		e.t.Fatal(err)
	}
	return p
}

func (e *env) append(rel string, content []byte) {
	e.t.Helper()
	f, err := os.OpenFile(e.path(rel), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		e.t.Fatal(err)
	}
	if _, err := f.Write(content); err != nil {
		e.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		e.t.Fatal(err)
	}
}

func (e *env) rename(from, to string) {
	e.t.Helper()
	if err := os.Rename(e.path(from), e.path(to)); err != nil {
		e.t.Fatal(err)
	}
}

func (e *env) wantContent(rel string, want []byte) {
	e.t.Helper()
	got, err := os.ReadFile(e.path(rel))
	if err != nil {
		e.t.Errorf("read %q: %v", rel, err)
		return
	}
	if !bytes.Equal(got, want) {
		e.t.Errorf("content of %q: got %d bytes with SHA-256 %x, want %d with %x", rel, len(got), sha256.Sum256(got), len(want), sha256.Sum256(want))
	}
}

// lfs runs an lfs command that must succeed without a word on stderr.
func (e *env) lfs(args ...string) string {
	e.t.Helper()
	r := e.lustre.Lfs(args...)
	if r.Code != 0 || r.Stderr != "" {
		e.t.Fatalf("lfs %q: exit %d, stderr %q", args, r.Code, r.Stderr)
	}
	return r.Stdout
}

// hsm runs `lfs hsm_<verb>` on files and waits until the coordinator is idle.
func (e *env) hsm(verb string, rels ...string) {
	e.t.Helper()
	for _, rel := range rels {
		e.lfs("hsm_"+verb, e.path(rel))
	}
	e.lustre.WaitIdle()
}

func (e *env) wantState(rel, want string) {
	e.t.Helper()
	got := e.lfs("hsm_state", e.path(rel))
	if want = e.path(rel) + ": " + want + "\n"; got != want {
		e.t.Errorf("lfs hsm_state: got %q, want %q", got, want)
	}
}

// archived writes a file and brings it to `exists archived`.
func (e *env) archived(rel string, content []byte) string {
	e.t.Helper()
	p := e.write(rel, content)
	e.hsm("archive", rel)
	e.wantState(rel, stateArchived)
	return p
}

// released writes a file, archives and releases it.
func (e *env) released(rel string, content []byte) string {
	e.t.Helper()
	p := e.archived(rel, content)
	e.lfs("hsm_release", p)
	e.wantState(rel, stateReleased)
	return p
}

// blobContent is the blob's content, or false if there is none.
func (e *env) blobContent(name string) ([]byte, bool) {
	e.t.Helper()
	r, err := e.blobs.NewBlobClient(name).DownloadStream(context.Background(), nil)
	if err != nil {
		if strings.Contains(err.Error(), "BlobNotFound") {
			return nil, false
		}
		e.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return b, true
}

func (e *env) wantBlob(name string, want []byte) {
	e.t.Helper()
	got, ok := e.blobContent(name)
	switch {
	case !ok:
		e.t.Errorf("there is no blob %q; the container holds %q", name, e.blobNames())
	case !bytes.Equal(got, want):
		e.t.Errorf("blob %q: %d bytes that differ from the %d wanted", name, len(got), len(want))
	}
}

func (e *env) wantNoBlob(name string) {
	e.t.Helper()
	if _, ok := e.blobContent(name); ok {
		e.t.Errorf("there is a blob %q, want none", name)
	}
}

func (e *env) properties(name string) blob.GetPropertiesResponse {
	e.t.Helper()
	p, err := e.blobs.NewBlobClient(name).GetProperties(context.Background(), nil)
	if err != nil {
		e.t.Fatalf("properties of blob %q: %v", name, err)
	}
	return p
}

// metadata returns the blob's metadata with lower-case keys, whatever the HTTP layer made of them.
func (e *env) metadata(name string) map[string]string {
	e.t.Helper()
	md := map[string]string{}
	for k, v := range e.properties(name).Metadata {
		md[strings.ToLower(k)] = *v
	}
	return md
}

// blobNames lists the blobs of the container without the directory markers.
func (e *env) blobNames() []string {
	e.t.Helper()
	var names []string
	pager := e.blobs.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Include: container.ListBlobsInclude{Metadata: true}})
	for pager.More() {
		page, err := pager.NextPage(context.Background())
		if err != nil {
			e.t.Fatal(err)
		}
		for _, item := range page.Segment.BlobItems {
			if item.Metadata["hdi_isfolder"] == nil {
				names = append(names, *item.Name)
			}
		}
	}
	return names
}

// randomBytes is the same for the same seed, and does not compress.
func randomBytes(n int, seed byte) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{seed})
	if _, err := r.Read(b); err != nil {
		panic(err) // documented never to fail
	}
	return b
}
