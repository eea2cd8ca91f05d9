package acceptance

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/lease"
	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/azurite"
	"lhsm-azblob/testenv/gate"
)

// TestH10Case: names differ by case alone, and what somebody wrote into metadata
// comes back in any case.
func TestH10Case(t *testing.T) {
	e, c := start(t)
	names := []string{"Name", "name", "NAME"}
	for i, name := range names {
		e.released(name, randomBytes(100+i, byte(i)))
	}
	if n := len(e.blobNames()); n != len(names) {
		t.Errorf("%d files became the blobs %q", len(names), e.blobNames())
	}
	for i, name := range names {
		e.wantContent(name, randomBytes(100+i, byte(i)))
	}
	e.released("edited", []byte("content"))
	md := map[string]*string{}
	for k, v := range e.metadata("edited") {
		md[strings.ToUpper(k)] = &v
	}
	if _, err := e.blobs.NewBlobClient("edited").SetMetadata(t.Context(), md, nil); err != nil {
		t.Fatal(err)
	}
	e.wantContent("edited", []byte("content"))
	c.waitLog("metadata was changed by somebody")
}

// TestH11NothingIsSentToProtectedBlobs: what the service would say with the last
// request is found out before the first. The lease is Azurite's; for the others,
// which it does not know, the gate speaks.
func TestH11NothingIsSentToProtectedBlobs(t *testing.T) {
	e, c := startSpare(t)
	const large = 5 << 20
	header := func(key, value string) gate.Spoiler {
		return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			w.Header().Set(key, value)
			next.ServeHTTP(w, r)
		}
	}
	isHead := func(rel string) func(*http.Request) bool {
		return func(r *http.Request) bool { return r.Method == http.MethodHead && pathIs(r.URL.Path, rel) }
	}
	isContainer := func(string) func(*http.Request) bool {
		return func(r *http.Request) bool {
			return r.URL.Query().Get("restype") == "container" && r.URL.Query().Get("comp") == ""
		}
	}
	for name, tt := range map[string]struct {
		at    func(rel string) func(*http.Request) bool
		do    gate.Spoiler
		code  string
		errno syscall.Errno
	}{
		"leased":   {nil, nil, "BlobLeased", syscall.ETXTBSY},
		"held":     {isHead, header("x-ms-legal-hold", "true"), "BlobImmutable", syscall.EROFS},
		"retained": {isHead, header("x-ms-immutability-policy-until-date", "Fri, 01 Jan 2100 00:00:00 GMT"), "BlobImmutable", syscall.EROFS},
		"policy":   {isContainer, header("x-ms-has-immutability-policy", "true"), "BlobImmutable", syscall.EROFS},
		"archived": {isHead, archivedTier, "BlobArchived", syscall.ENOMEDIUM},
	} {
		e.during(t, c, name, func() {
			e.archived(name, []byte("old"))
			e.write(name, randomBytes(large, 1))
			if tt.do == nil {
				e.lease(name)
			} else {
				e.gate.Fault(tt.at(name), -1, tt.do)
			}
			sent := e.gate.Count(writesOf(name))
			e.hsm("archive", name)
			e.gate.Heal()
			if n := e.gate.Count(writesOf(name)) - sent; n != 0 {
				t.Errorf("%d requests carried data to a blob that cannot be replaced", n)
			}
			e.wantFailure(c, "ARCHIVE", name, tt.code, tt.errno)
			e.wantState(name, stateDirty)
			e.wantBlob(name, []byte("old"))
		})
	}
}

func archivedTier(w http.ResponseWriter, r *http.Request, next http.Handler) {
	answer := gate.Record(r, next)
	answer.Header().Set("x-ms-access-tier", "Archive")
	gate.Send(w, answer, nil)
}

func (e *env) lease(name string) {
	e.t.Helper()
	l, err := lease.NewBlobClient(e.blobs.NewBlobClient(name), nil)
	if err == nil {
		_, err = l.AcquireLease(context.Background(), -1, nil)
	}
	if err != nil {
		e.t.Fatal(err)
	}
}

// writesOf accepts all that carries the blob's bytes, or makes it visible.
func writesOf(name string) func(gate.Request) bool {
	return func(r gate.Request) bool { return r.Method == http.MethodPut && pathIs(r.Path, name) }
}

// TestH12FullFileSystem asks for many files at once when Lustre has no room. None
// fails; a reader who is blocked is told; and all go on when there is room.
func TestH12FullFileSystem(t *testing.T) {
	const files, restores = 60, 4
	e, c := startSpare(t, "--restores", fmt.Sprint(restores))
	var paths []string
	for i := range files {
		paths = append(paths, e.write(fmt.Sprintf("f%d", i), randomBytes(2000+i, byte(i))))
	}
	reader := e.released("reader", []byte("content"))
	e.request("archive", paths...)
	e.lustre.WaitIdle()
	e.request("release", paths...)

	e.lustre.Fault("write", "errno=ENOSPC")
	e.request("restore", paths...)
	// A list tells of one of its items only that somebody waits: that of the reader is to come alone.
	c.waitLogTimes(files, "received op=RESTORE")
	c.waitLogTimes(restores, "held back for now")
	if _, err := os.ReadFile(reader); err == nil {
		t.Error("the read of a file for which there is no room succeeded")
	}
	e.wantFailure(c, "RESTORE", "reader", "NoSpace", syscall.ENOSPC)
	c.waitMetrics(map[string]float64{
		`lhsm_azblob_actions_parked{op="RESTORE"}`: restores,
		`lhsm_azblob_queue_depth{op="RESTORE"}`:    files - restores,
	})
	e.lustre.ClearFaults()
	e.lustre.WaitIdle()
	for i := range files {
		rel := fmt.Sprintf("f%d", i)
		e.wantState(rel, stateArchived)
		e.wantContent(rel, randomBytes(2000+i, byte(i)))
	}
	c.wantMetric(`lhsm_azblob_actions_total{code="NoSpace",op="RESTORE"}`, 1)
	c.wantMetric("lhsm_azblob_memory_in_use_bytes", 0)
}

// A sasFile is a SAS in a file, and how it is renewed. What happens to a request may
// renew it.
type sasFile struct {
	e    *env
	path string

	mu   sync.Mutex // guards the rest
	next time.Time
	sig  string // of the token that is in the file
}

func (e *env) sasFile(left time.Duration) *sasFile {
	e.t.Helper()
	s := &sasFile{e: e, path: filepath.Join(e.t.TempDir(), "sas"), next: time.Now().Add(left)}
	s.renew("racwdl")
	return s
}

// renew puts another token with the rights into the file.
func (s *sasFile) renew(rights string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = s.next.Add(time.Minute)
	token, err := azurite.Start(s.e.t).SAS(filepath.Base(s.e.containerURL), rights, s.next)
	if err == nil {
		err = os.WriteFile(s.path+".new", []byte(token), 0o600)
	}
	if err == nil {
		err = os.Rename(s.path+".new", s.path)
	}
	if err != nil {
		s.e.t.Error(err)
	}
	_, s.sig, _ = strings.Cut(token, "sig=")
}

func (s *sasFile) signature() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sig
}

// args are what a copytool is started with to use it.
func (s *sasFile) args(more ...string) []string {
	return append([]string{"--auth", "sas", "--sas-file", s.path, "--http", "127.0.0.1:0"}, more...)
}

// TestH14CredentialEnds: a SAS is watched from a week before its end, and one that
// is put into its place is used at once. (Tokens of identities are renewed by
// azidentity; blobstore/auth_test.go has them.)
func TestH14CredentialEnds(t *testing.T) {
	const day = 24 * time.Hour
	for name, tt := range map[string]struct {
		left  time.Duration
		warns bool
	}{"three days": {3 * day, true}, "a month": {30 * day, false}} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, testenv.Options{})
			s := e.sasFile(tt.left)
			c := e.startCopytool(e.lustre.Mount(), s.args()...)
			e.archived("f", []byte("content"))
			end := time.Unix(int64(c.metric("lhsm_azblob_credential_expiry_timestamp_seconds")), 0)
			if left := time.Until(end); left < tt.left-time.Hour || left > tt.left+time.Hour {
				t.Errorf("the metric says that %v are left, and it is %v", left, tt.left)
			}
			c.stop() // by then it has looked at the end once, and its log is whole
			if warned := c.count("the SAS ends soon") > 0; warned != tt.warns {
				t.Errorf("with %v left, it was warned: %t", tt.left, warned)
			}
		})
	}
	// In the middle of a transfer: see TestSASReplacedDuringTransfer and TestP05.
}

// TestH15ForeignBlobs meets blobs that other tools made: of other types, with
// snapshots, under names that climb.
func TestH15ForeignBlobs(t *testing.T) {
	e, c := startSpare(t)
	content := bytes.Repeat([]byte("0123456789abcdef"), 3*4096) // whole pages
	e.putAppendBlob("append", content)
	e.putPageBlob("page", content)
	for _, name := range []string{"append", "page"} {
		e.write(name, content)
		e.hsm("archive", name)
		e.wantFailure(c, "ARCHIVE", name, "BlobExists", syscall.EEXIST)
		e.wantBlob(name, content)
	}
	e.importedFrom("append", "from-append", content)
	e.importedFrom("page", "from-page", content)
	e.wantContent("from-append", content)
	e.wantContent("from-page", content)
	// Changed, they go back to where they came from, which cannot be.
	e.write("from-append", faultFiles["blocks"])
	e.gate.Fault(isWriteOf("append"), -1, gate.Refuse(http.StatusConflict, "InvalidBlobType"))
	e.rename("append", "append-old")
	e.rename("from-append", "append")
	e.hsm("archive", "append")
	e.wantFailure(c, "ARCHIVE", "append", "BlobExists", syscall.EEXIST)
	e.wantBlob("append", content)
	e.gate.Heal()

	e.archived("snap", []byte("one"))
	if _, err := e.blobs.NewBlobClient("snap").CreateSnapshot(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	e.released("snap", []byte("two"))
	e.wantContent("snap", []byte("two"))
	e.hsm("remove", "snap")
	e.wantNoBlob("snap")

	outside := e.gate.Count(func(r gate.Request) bool { return strings.Contains(r.Path, "outside") })
	e.importedFrom("../outside/f", "climber", content)
	e.readFails("climber")
	if n := e.gate.Count(func(r gate.Request) bool { return strings.Contains(r.Path, "outside") }) - outside; n != 0 {
		t.Errorf("%d requests went to a name that climbs out of the container", n)
	}
}

func (e *env) putAppendBlob(name string, content []byte) {
	e.t.Helper()
	client := e.blobs.NewAppendBlobClient(name)
	_, err := client.Create(context.Background(), nil)
	if err == nil {
		_, err = client.AppendBlock(context.Background(), streaming.NopCloser(bytes.NewReader(content)), nil)
	}
	if err != nil {
		e.t.Fatal(err)
	}
}

func (e *env) putPageBlob(name string, content []byte) {
	e.t.Helper()
	client := e.blobs.NewPageBlobClient(name)
	_, err := client.Create(context.Background(), int64(len(content)), nil)
	for off := 0; off < len(content) && err == nil; off += 1 << 20 {
		piece := content[off:min(off+1<<20, len(content))]
		_, err = client.UploadPages(context.Background(), streaming.NopCloser(bytes.NewReader(piece)), pageRange(off, len(piece)), nil)
	}
	if err != nil {
		e.t.Fatal(err)
	}
}

func pageRange(off, count int) blob.HTTPRange {
	return blob.HTTPRange{Offset: int64(off), Count: int64(count)}
}

// importedFrom makes a released file whose copy is what another tool's attribute
// says: an archive of ours is made to look like that.
func (e *env) importedFrom(name, rel string, content []byte) {
	e.t.Helper()
	p := e.released(rel, content)
	if err := unix.Removexattr(p, "trusted.lhsm_azblob"); err != nil {
		e.t.Fatal(err)
	}
	if err := unix.Setxattr(p, "trusted.lhsm_uuid", []byte("az://"+filepath.Base(e.containerURL)+"/"+name), 0); err != nil {
		e.t.Fatal(err)
	}
	if _, err := e.blobs.NewBlobClient(rel).Delete(context.Background(), nil); err != nil {
		e.t.Fatal(err)
	}
}

// TestH16ClockAndZone runs the copytool where the clock is 5:45 h ahead: what it
// writes is the same, exact, and in the form that Azure Managed Lustre reads.
func TestH16ClockAndZone(t *testing.T) {
	if _, err := time.LoadLocation("Asia/Kathmandu"); err != nil {
		t.Skip(err)
	}
	t.Setenv("TZ", "Asia/Kathmandu")
	e, _ := start(t)
	p := e.write("f", []byte("content"))
	when := time.Date(2024, 2, 29, 23, 59, 59, 123456789, time.UTC)
	if err := os.Chtimes(p, when, when); err != nil {
		t.Fatal(err)
	}
	e.hsm("archive", "f")
	md := e.metadata("f")
	if got, want := md["modtime"], "2024-02-29 23:59:59 +0000"; got != want {
		t.Errorf("modtime: %q, want %q", got, want)
	}
	if got, want := md["lhsm_mtime"], fmt.Sprintf("%d.123456789", when.Unix()); got != want {
		t.Errorf("lhsm_mtime: %q, want %q", got, want)
	}
	e.lfs("hsm_release", p)
	e.wantContent("f", []byte("content"))
	info, err := os.Stat(p)
	if err != nil || !info.ModTime().Equal(when) {
		t.Errorf("after the restore the time is %v, %v; want %v", info.ModTime(), err, when)
	}
}
