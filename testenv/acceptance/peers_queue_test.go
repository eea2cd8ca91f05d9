package acceptance

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/gate"
)

// TestP16ThousandsOfActions waits with two thousand archives in the copytool. None
// is refused, and the process lives.
func TestP16ThousandsOfActions(t *testing.T) {
	const files = 2000
	e := newEnv(t, testenv.Options{Params: map[string]string{"mdt.*.hsm.max_requests": "5000"}})
	c := e.startCopytool(e.lustre.Mount(), "--http", "127.0.0.1:0", "--archives", "4")
	h := e.gate.Hold(isCommit)
	var paths []string
	for i := range files {
		paths = append(paths, e.write(fmt.Sprintf("f%d", i), []byte("content")))
	}
	e.request("archive", paths...)
	<-h.Caught
	c.waitReceived(files)
	c.waitMetric(`lhsm_azblob_queue_depth{op="ARCHIVE"}`, files-10) // some run, and what is received is not queued at once
	h.Release()
	e.lustre.WaitIdle()
	c.waitLogTimes(files, "action done", "op=ARCHIVE")
	if n := len(e.blobNames()); n != files {
		t.Errorf("there are %d blobs, want %d", n, files)
	}
}

// TestP17ExitStatus: what did not work is not 0, and the unit starts it again
// whatever it was.
func TestP17ExitStatus(t *testing.T) {
	e, c := start(t)
	c.stop()
	if code := c.process.Wait(); code != 0 {
		t.Errorf("after SIGTERM: exit %d, want 0", code)
	}
	e.lustre.Fault("register", "errno=EIO", "count=1")
	if code, out := e.runCopytool(e.lustre.Mount()); code != 1 {
		t.Errorf("without a registration: exit %d, want 1: %s", code, out)
	}
	if code, out := e.runCopytool("--archives", "none", e.lustre.Mount()); code != 64 { // 2 is what a panic ends with
		t.Errorf("with a mistake in the settings: exit %d, want 64: %s", code, out)
	}
	unit, err := os.ReadFile("../../packaging/lhsmtool_azblob@.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"\nRestart=always\n", "\nRestartPreventExitStatus=64\n"} {
		if !strings.Contains(string(unit), line) {
			t.Errorf("the unit has no line %q", strings.TrimSpace(line))
		}
	}
}

// TestP18RefusedAndStopped: the token of a running archive is refused while the
// copytool is being stopped. The action goes on with the next one, and ends once.
func TestP18RefusedAndStopped(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	s := e.sasFile(time.Hour)
	c := e.startCopytool(e.lustre.Mount(), s.args()...)
	content := faultFiles["small"]
	h := e.gate.Hold(isPutOf("f"))
	refused := e.gate.Fault(isPutOf("f"), 1, gate.Refuse(http.StatusForbidden, "AuthenticationFailed"))
	e.lfs("hsm_archive", e.write("f", content))
	<-h.Caught
	s.renew("racwdl")
	c.signal(syscall.SIGTERM)
	c.waitLog("msg=draining")
	h.Release()
	select {
	case <-c.done:
	case <-time.After(patience):
		t.Fatal("the copytool did not end")
	}
	if code := c.process.Wait(); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
	if n := strings.Count(strings.Join(c.log(), "\n"), "msg=\"action "); n != 1 || e.gate.Hits(refused) != 1 {
		t.Errorf("the action ended %d times after %d refusals, want once each", n, e.gate.Hits(refused))
	}
	e.wantState("f", stateArchived)
	e.wantBlob("f", content)
}

// TestP19TwoActionsOnOneFile: they do not run at the same time, and the one is not
// taken for the other.
func TestP19TwoActionsOnOneFile(t *testing.T) {
	e, c := startSpare(t, "--transfers", "16")
	content := faultFiles["blocks"]
	p := e.write("f", content)
	h := e.gate.Hold(isPutOf("f"))
	e.lfs("hsm_archive", p)
	<-h.Caught
	e.lfs("hsm_archive", p)
	e.lfs("hsm_remove", p)
	c.waitLogTimes(2, "received", "op=ARCHIVE")
	c.waitLog("received", "op=REMOVE")
	c.wantMetric(`lhsm_azblob_actions_in_flight{op="ARCHIVE"}`, 1)
	c.wantMetric(`lhsm_azblob_actions_in_flight{op="REMOVE"}`, 0)
	h.Release()
	e.lustre.WaitIdle()
	c.waitLogTimes(2, "action done", "op=ARCHIVE")
	c.waitLog("action done", "op=REMOVE")
	if n := e.gate.Count(commitsOf("f")); n != 1 {
		t.Errorf("the file was published %d times, want once", n)
	}
	e.wantNoBlob("f") // the remove was asked for last
	e.wantContent("f", content)
}

// TestP21ErrorsAreTold: different failures have different numbers at the
// coordinator and different codes for people. All of them are in
// TestStorageFaultsInRestore and TestLustreFaultsInRestore.
func TestP21ErrorsAreTold(t *testing.T) {
	e, c := startSpare(t)
	for code, tt := range map[string]struct {
		errno syscall.Errno
		arm   func(rel string)
	}{
		"BlobMissing":   {syscall.ENOENT, func(rel string) { e.gate.Fault(isGetOf(rel), -1, gate.Refuse(404, "BlobNotFound")) }},
		"BlobArchived":  {syscall.ENOMEDIUM, func(rel string) { e.gate.Fault(isGetOf(rel), -1, gate.Refuse(409, "BlobArchived")) }},
		"AuthFailed":    {syscall.EACCES, func(rel string) { e.gate.Fault(isGetOf(rel), -1, gate.Refuse(403, "AuthorizationFailure")) }},
		"LustreError":   {syscall.EIO, func(string) { e.lustre.Fault("write", "errno=EIO", "count=1") }},
		"NoSpace":       {syscall.ENOSPC, func(string) { e.lustre.Fault("write", "errno=ENOSPC") }},
		"QuotaExceeded": {syscall.EDQUOT, func(string) { e.lustre.Fault("write", "errno=EDQUOT", "count=1") }},
	} {
		e.during(t, c, code, func() {
			e.released(code, []byte("content"))
			tt.arm(code)
			e.readFails(code)
			e.wantFailure(c, "RESTORE", code, code, tt.errno)
			e.gate.Heal()
			e.lustre.ClearFaults()
			e.wantContent(code, []byte("content"))
		})
	}
}

// TestP22MarkersAreAwaited: when an action has ended nothing of it goes on, and a
// marker that failed is not forgotten.
func TestP22MarkersAreAwaited(t *testing.T) {
	e, c := startSpare(t)
	h := e.gate.Hold(isMarkerOf("dir"))
	p := e.write("dir/f", []byte("content"))
	e.lfs("hsm_archive", p)
	<-h.Caught
	c.wantMetric(`lhsm_azblob_actions_in_flight{op="ARCHIVE"}`, 1)
	if got := e.lfs("hsm_action", p); !strings.HasPrefix(got, p+": ARCHIVE running (") {
		t.Errorf("while the marker is on its way: %q", got)
	}
	h.Release()
	e.lustre.WaitIdle()
	if md := e.metadata("dir"); md["hdi_isfolder"] != "true" {
		t.Errorf("the action has ended, and the marker says %v", md)
	}
	e.gate.Fault(isMarkerOf("other"), -1, gate.Refuse(http.StatusForbidden, "AuthorizationFailure"))
	e.archived("other/f", []byte("content"))
	c.waitLog("the marker of a directory is not written")
	c.wantMetric(`lhsm_azblob_directory_markers_total{result="failed"}`, 1)
}

// TestP23FileIDOfAnArchive is neither the blob's name nor a path to read from.
func TestP23FileIDOfAnArchive(t *testing.T) {
	e, _ := start(t)
	e.write("elsewhere", []byte("another file"))
	p := e.write("f", []byte("content"))
	e.lfs("hsm_archive", "--data", `{"file_id": "elsewhere"}`, p)
	e.lustre.WaitIdle()
	e.wantState("f", stateArchived)
	e.wantBlob("f", []byte("content"))
	e.wantNoBlob("elsewhere")
}

// TestP25ManyLinks: the name that the copy has is the last of a hundred long ones,
// and is still found to be one of the file's.
func TestP25ManyLinks(t *testing.T) {
	e, _ := start(t)
	e.archived("name", []byte("one"))
	dir := e.directory("links")
	for i := range 100 {
		if err := os.Link(e.path("name"), filepath.Join(dir, fmt.Sprintf("%03d%s", i, strings.Repeat("l", 240)))); err != nil {
			t.Fatal(err)
		}
	}
	e.rename("name", "other") // a name that is given last is told last
	e.rename("other", "name")
	e.append("name", []byte("two"))
	e.hsm("archive", "name")
	e.wantState("name", stateArchived)
	e.wantBlob("name", []byte("onetwo"))
	if names := e.blobNames(); len(names) != 1 {
		t.Errorf("the file has the blobs %q, want one", names)
	}
}

// TestP27TierAndVersion: a blob gets the tier that was asked for, however it is
// sent, and the file remembers the version.
func TestP27TierAndVersion(t *testing.T) {
	e, _ := startSpare(t, "--access-tier", "Cool")
	const version = "2026-01-01T00:00:00.0000000Z"
	for kind, content := range faultFiles {
		e.gate.Fault(func(r *http.Request) bool { return pathIs(r.URL.Path, kind) }, -1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			w.Header().Set("x-ms-version-id", version) // Azurite has none
			next.ServeHTTP(w, r)
		})
		p := e.archived(kind, content)
		if tier := e.properties(kind).AccessTier; tier == nil || *tier != "Cool" {
			t.Errorf("%s: the tier is %v, want Cool", kind, tier)
		}
		if id := identityXattr(p); !strings.Contains(id, `"ver":"`+version+`"`) {
			t.Errorf("%s: the version is not in the identity %s", kind, id)
		}
	}
}

// TestP28LogsOneLinePerAction, without being told how much to log.
func TestP28LogsOneLinePerAction(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	c := &copytool{t: t, cmd: e.copytoolCommand(e.lustre.Mount()), done: make(chan struct{}), grown: make(chan struct{}, 1)}
	c.follow()
	c.waitLog("msg=serving")
	for i := range 10 {
		e.archived(fmt.Sprintf("d/f%d", i), []byte("content"))
	}
	c.stop()
	log := strings.Join(c.log(), "\n")
	if n := strings.Count(log, "msg=\"action done\""); n != 10 {
		t.Errorf("%d lines about 10 actions", n)
	}
	if strings.Contains(log, "level=DEBUG") || len(c.log()) > 16 {
		t.Errorf("the log of 10 actions:\n%s", log)
	}
}

// TestP29StagedBlocksAreNotSentAgain: an upload of five blocks is cut off before the
// last. What it had sent just before may not be in the journal any more.
func TestP29StagedBlocksAreNotSentAgain(t *testing.T) {
	args := []string{"--block-size", "256KiB", "--transfers", "1"}
	e, c := start(t, args...)
	content := randomBytes(4*smallBlock+1, 1)
	e.write("f", content)
	h := e.archiveUntil(held(after(4, isBlockOf("f"))), "f", true)
	c.kill()
	h.Lose()
	sent := e.gate.Count(blocksOf("f"))
	e.recovers(args...)
	e.wantBlob("f", content)
	if n := e.gate.Count(blocksOf("f")) - sent; n > 4 {
		t.Errorf("%d of 5 blocks were sent again", n)
	}
}
