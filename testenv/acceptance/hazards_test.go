package acceptance

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/gate"
)

// The hazards of keeping files of an HSM as blobs of their names. Each has a test
// that carries its number, and each test was seen to fail with the protection
// taken out, in the way that the last column says. Those of other tools, P1 to
// P29, are in peers_test.go.
//
//	     hazard                                 test                                  taken out
//	H1   a file takes a renamed one's path      TestH01RenameAndReuse                 conflict.go: contest does not move aside
//	H2   written while it is archived           TestH02TornCopy                       source.go: unchanged compares no versions
//	H3   released, and the copy is not whole    TestH03AcknowledgedIsNotArchived      outcome.go: confirm believes the answer
//	H4   half of another blob is restored       TestH04ReplacedDuringRestore          download.go: no If-Match, no look at the ETag
//	H5   a cancel leaves something behind       TestH05CancelLeavesNothing            outcome.go: settle gives up with its caller
//	H7   an old action meets new data           TestH07StaleRemove                    hold.go: forbidRelease; conflict.go, remove.go: owners
//	H8   hard links                             TestH08HardLinks                      archive.go: chooseName takes the last name
//	H9   a file and a directory of one name     TestH09FileAndDirectory               classify.go: ErrOtherKind
//	H10  upper and lower case                   TestH10Case                           container.go: lowerKeys in setMetadata
//	H11  terabytes sent to a protected blob     TestH11NothingIsSentToProtectedBlobs  lookahead.go
//	H12  Lustre is full                         TestH12FullFileSystem                 room.go: whenThereIsRoom only restores
//	H14  the credential ends                    TestH14CredentialEnds                 expiry.go: warn
//	H15  foreign blobs                          TestH15ForeignBlobs                   locate.go: climbs
//	H16  clocks and zones                       TestH16ClockAndZone                   attributes.go: UTC, lhsm_mtime
//
// H6 (a job is done only when each of its files is) and H13 (a job must not drown the
// metadata server) are about archive jobs: TestH06EmptyQueueIsNoEnd and
// TestH13QueueStaysShort in jobs/hazards_test.go. Of H12 and H15 the parts about
// import do not apply: nothing is imported, so no version or snapshot of a blob is
// ever a source.

// TestH03AcknowledgedIsNotArchived has a service that says 201 and keeps nothing,
// or something else. Users release what is archived.
func TestH03AcknowledgedIsNotArchived(t *testing.T) {
	e, c := startSpare(t)
	acknowledge := func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("ETag", `"0x8D000000000001"`)
		w.Header().Set("X-Ms-Request-Id", "test-request") // without it nobody would take it for the service
		w.WriteHeader(http.StatusCreated)
	}
	for name, do := range map[string]gate.Spoiler{
		"nothing": acknowledge,
		"other": func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			e.overwriteBlob("other", []byte("something else"))
			acknowledge(w, r, next)
		},
	} {
		p := e.write(name, faultFiles["blocks"])
		e.gate.Fault(isPutOf(name), -1, do)
		e.hsm("archive", name)
		e.wantState(name, stateExists)
		if r := e.lustre.Lfs("hsm_release", p); r.Code == 0 {
			t.Errorf("%s: the only good copy could be released", name)
		}
		e.gate.Heal()
	}
	e.wantFailure(c, "ARCHIVE", "nothing", "BlobChanged", syscall.EIO)
	e.wantFailure(c, "ARCHIVE", "other", "BlobExists", syscall.EEXIST)
	e.hsm("archive", "nothing")
	e.wantState("nothing", stateArchived)
}

// TestH05CancelLeavesNothing: neither a blob nor the marker of a directory, and no
// attribute on the file. A cancel that comes when the blob is there already comes
// too late, and that is no half of a copy either.
func TestH05CancelLeavesNothing(t *testing.T) {
	for kind, content := range faultFiles {
		t.Run(kind, func(t *testing.T) {
			e, c := startSpare(t)
			p := e.write("d/f", content)
			h := e.gate.Hold(isWriteOf("d/f"))
			e.lfs("hsm_archive", p)
			<-h.Caught
			e.lfs("hsm_cancel", p)
			e.lustre.WaitIdle()
			c.waitLog("level=INFO msg=\"action canceled\"", "op=ARCHIVE", "code=Canceled")
			h.Lose()
			e.wantState("d/f", stateExists)
			e.wantNoBlob("d/f")
			e.wantNoBlob("d")
			if id := identityXattr(p); id != "" {
				t.Errorf("the file has the identity %s", id)
			}
			e.wantNoError("d/f")
			c.wantMetric("lhsm_azblob_memory_in_use_bytes", 0)

			late := e.gate.HoldAnswer(isPutOf("d/f"))
			e.lfs("hsm_archive", p)
			<-late.Caught
			e.lfs("hsm_cancel", p)
			e.lustre.WaitIdle()
			e.wantBlob("d/f", content)
			if identityXattr(p) == "" {
				t.Error("a blob is there that no file points at")
			}
			late.Release()
			e.hsm("archive", "d/f")
			e.wantState("d/f", stateArchived)
			e.lfs("hsm_release", p)
			e.wantContent("d/f", content)
		})
	}
}

// identityXattr is empty where there is none.
func identityXattr(path string) string {
	buf := make([]byte, 4096)
	n, err := unix.Getxattr(path, "trusted.lhsm_azblob", buf)
	if err != nil {
		return ""
	}
	return string(buf[:n])
}

// TestH07StaleRemove: removes that were asked for long ago meet a file that was
// archived again and released meanwhile, and another one that has its path.
func TestH07StaleRemove(t *testing.T) {
	e, c := startSpare(t, "--removes", "1")
	first, second := randomBytes(1000, 1), randomBytes(1001, 2)
	slow, again := e.archived("slow", []byte("x")), e.archived("again", first)
	gone := e.archived("gone", first)
	goneFID := e.fid("gone")
	h := e.gate.Hold(isDeleteOf("slow")) // has the one slot for removes
	e.lfs("hsm_remove", slow)
	<-h.Caught
	e.lfs("hsm_remove", again)
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	e.lfs("hsm_remove", "--archive", "1", "--mntpath", e.lustre.Mount(), "--data", `{"file_id": "gone"}`, goneFID)
	c.waitLogTimes(3, "received", "op=REMOVE")

	for _, rel := range []string{"again", "gone"} {
		e.write(rel, second)
		e.lfs("hsm_archive", e.path(rel))
		c.waitDone(e, rel)
		c.waitLogTimes(1, "action done", "op=ARCHIVE", e.fid(rel))
	}
	c.waitLogTimes(2, "action done", "op=ARCHIVE", e.fid("again"))
	e.lfs("hsm_release", e.path("again"))
	e.lfs("hsm_release", e.path("gone"))
	h.Release()
	e.lustre.WaitIdle()
	e.wantNoBlob("slow")
	e.wantState("again", stateReleased)
	e.wantFailure(c, "REMOVE", "again", "OnlyCopy", syscall.EPERM)
	e.wantContent("again", second)
	e.wantContent("gone", second)
	e.hsm("remove", "again") // it has its data again
	e.wantNoBlob("again")
}

// TestH08HardLinks: one blob, whatever name an archive or a restore comes by, until
// the last name is gone.
func TestH08HardLinks(t *testing.T) {
	e := newEnv(t, testenv.Options{Params: map[string]string{"mdt.*.hsm.remove_archive_on_last_unlink": "1"}})
	e.startCopytool(e.lustre.Mount())
	content := randomBytes(10_000, 4)
	e.write("one", content)
	link := func(name string) {
		if err := os.Link(e.path("one"), e.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	wantOneBlob := func() {
		t.Helper()
		if names := e.blobNames(); len(names) != 1 || names[0] != "one" {
			t.Errorf("one file became the blobs %q, want one", names)
		}
	}
	link("two")
	e.hsm("archive", "one")
	e.wantState("two", stateArchived)
	link("three")
	e.append("two", []byte("more"))
	e.hsm("archive", "three")
	wantOneBlob()
	e.lfs("hsm_release", e.path("two"))
	for _, name := range []string{"three", "two"} {
		if err := os.Remove(e.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	e.lustre.WaitIdle()
	wantOneBlob()
	e.wantContent("one", append(content, "more"...))
	if err := os.Remove(e.path("one")); err != nil {
		t.Fatal(err)
	}
	e.lustre.WaitIdle()
	e.wantNoBlob("one")
}

// TestH09FileAndDirectory: in a flat account a blob may have the name of a folder.
// With a hierarchical namespace, for which the gate speaks here, it may not, and
// that is said at once and concerns no other file.
func TestH09FileAndDirectory(t *testing.T) {
	e, c := startSpare(t)
	inside, file := randomBytes(1000, 1), faultFiles["blocks"]
	e.released("x/f", inside)
	e.rename("x", "y")
	e.released("x", file)
	e.wantBlob("x", file)
	e.wantBlob("x/f", inside)
	e.wantContent("x", file)
	e.wantContent("y/f", inside)

	for name, code := range map[string]string{"dir": "ResourceTypeMismatch", "below": "PathConflict", "dfs": "BlobOperationNotSupported"} {
		e.write(name, file)
		refused := e.gate.Fault(isPutOf(name), -1, gate.Refuse(http.StatusConflict, code))
		e.lfs("hsm_archive", e.path(name))
		e.lfs("hsm_archive", e.write(name+"-other", inside))
		e.lustre.WaitIdle()
		e.wantFailure(c, "ARCHIVE", name, "BlobExists", syscall.EEXIST)
		if n := e.gate.Hits(refused); n != 1 {
			t.Errorf("%s: it was tried %d times, want once", code, n)
		}
		if got := errorXattr(e.path(name)); !strings.Contains(got, "hierarchical namespace") {
			t.Errorf("%s: the file says %q, and not what to do", code, got)
		}
		e.wantState(name+"-other", stateArchived)
		e.gate.Heal()
		e.hsm("archive", name)
		e.wantState(name, stateArchived)
	}
}

// readFails wants an error, and whoever reads to be told soon.
func (e *env) readFails(rel string) {
	e.t.Helper()
	b, err := os.ReadFile(e.path(rel))
	if err == nil || errors.Is(err, os.ErrNotExist) {
		e.t.Errorf("the read of %q gave %d bytes, %v", rel, len(b), err)
	}
	e.lustre.WaitIdle()
}
