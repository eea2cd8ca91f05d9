package acceptance

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/lease"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/gate"
)

// second makes a spoiler of the second request: something happens to the
// container while a file is under way.
func second(happens func()) gate.Spoiler {
	var n atomic.Int32
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if n.Add(1) == 2 {
			happens()
		}
		next.ServeHTTP(w, r)
	}
}

// TestLeaseHeld has a real lease on the copy: who reads does not mind it.
func TestLeaseHeld(t *testing.T) {
	e, c := startSpare(t)
	first, next := faultFiles["blocks"], []byte("changed")
	p := e.released("f", first)
	l, err := lease.NewBlobClient(e.blobs.NewBlobClient("f"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.AcquireLease(t.Context(), -1, nil); err != nil {
		t.Fatal(err)
	}
	e.wantContent("f", first)
	e.write("f", next)
	e.hsm("archive", "f")
	e.wantState("f", stateDirty)
	e.wantBlob("f", first)
	e.wantFailure(c, "ARCHIVE", "f", "BlobLeased", syscall.ETXTBSY)
	e.hsm("remove", "f")
	e.wantBlob("f", first)
	e.wantFailure(c, "REMOVE", "f", "BlobLeased", syscall.ETXTBSY)
	if _, err := l.BreakLease(t.Context(), &lease.BlobBreakOptions{BreakPeriod: new(int32)}); err != nil {
		t.Fatal(err)
	}
	e.hsm("archive", "f")
	e.wantState("f", stateArchived)
	e.wantBlob("f", next)
	if got := errorXattr(p); got != "" {
		t.Errorf("after the success the file has the error %q", got)
	}
}

// TestH04ReplacedDuringRestore puts another blob in place between two ranges.
func TestH04ReplacedDuringRestore(t *testing.T) {
	e, c := startSpare(t)
	p := e.released("f", faultFiles["blocks"])
	e.gate.Fault(isGetOf("f"), -1, second(func() { e.overwriteBlob("f", randomBytes(len(faultFiles["blocks"]), 77)) }))
	if _, err := os.ReadFile(p); err == nil {
		t.Error("the read of a file whose blob was replaced on the way succeeded")
	}
	e.wantState("f", stateReleased)
	e.wantFailure(c, "RESTORE", "f", "BlobChanged", syscall.EIO)
	e.wantSettled(c)
}

// TestMetadataChangedDuringRestore gives the blob another ETag, and the same bytes.
func TestMetadataChangedDuringRestore(t *testing.T) {
	e, c := startSpare(t)
	e.released("f", faultFiles["blocks"])
	e.gate.Fault(isGetOf("f"), -1, second(func() {
		client := e.blobs.NewBlobClient("f")
		p, err := client.GetProperties(context.Background(), nil)
		if err == nil {
			p.Metadata["project"] = &[]string{"apollo"}[0]
			_, err = client.SetMetadata(context.Background(), p.Metadata, nil)
		}
		if err != nil {
			t.Error(err)
		}
	}))
	e.wantContent("f", faultFiles["blocks"])
	c.waitLog("metadata was changed by somebody")
}

// TestForeignBlobAppearsDuringArchive: the condition of the commit is what
// keeps it.
func TestForeignBlobAppearsDuringArchive(t *testing.T) {
	e, c := startSpare(t)
	for rel, content := range faultFiles {
		e.gate.Fault(isPutOf(rel), 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			e.overwriteBlob(rel, []byte("somebody else's"))
			next.ServeHTTP(w, r)
		})
		e.write(rel, content)
		e.hsm("archive", rel)
		e.wantState(rel, stateExists)
		e.wantBlob(rel, []byte("somebody else's"))
		e.wantFailure(c, "ARCHIVE", rel, "BlobExists", syscall.EEXIST)
	}
	e.wantSettled(c)
}

// TestRemoveFaults: a remove that fails leaves the blob as it was, and a file that an
// archive sets right without sending it.
func TestRemoveFaults(t *testing.T) {
	e, c := startSpare(t)
	isDelete := func(r *http.Request) bool { return r.Method == http.MethodDelete }
	for _, f := range []storageFault{
		{name: "busy", times: 1, do: gate.Refuse(503, "ServerBusy")},
		{name: "lost", times: 1, do: gate.LoseAnswer},
		{name: "gone", times: -1, do: gate.Refuse(404, "BlobNotFound")},
		{name: "immutable", times: -1, do: gate.Refuse(409, "BlobImmutableDueToPolicy"), code: "BlobImmutable", errno: syscall.EROFS},
		{name: "forbidden", times: -1, do: gate.Refuse(403, "AuthorizationPermissionMismatch"), code: "AuthFailed", errno: syscall.EACCES},
		{name: "container", times: -1, do: gate.Refuse(404, "ContainerNotFound"), code: "ContainerMissing", errno: syscall.ENODEV},
	} {
		e.during(t, c, f.name, func() {
			e.archived(f.name, []byte("content"))
			armed := e.gate.Fault(isDelete, f.times, f.do)
			e.hsm("remove", f.name)
			e.wantHits([]*gate.Fault{armed}, f)
			if f.code != "" {
				e.wantState(f.name, stateDirty)
				e.wantBlob(f.name, []byte("content"))
				e.wantFailure(c, "REMOVE", f.name, f.code, f.errno)
				puts := func(r gate.Request) bool { return r.Method == http.MethodPut }
				sent := e.gate.Count(puts)
				e.hsm("archive", f.name)
				e.wantState(f.name, stateArchived)
				if n := e.gate.Count(puts); n != sent {
					e.t.Errorf("the archive after it sent %d requests", n-sent)
				}
				e.hsm("remove", f.name)
			}
			e.wantState(f.name, "(0x00000000), archive_id:1")
			e.wantNoError(f.name)
		})
	}
}

// TestMarkerFaults: what is said about directories is no reason to fail a file.
func TestMarkerFaults(t *testing.T) {
	e, c := startSpare(t)
	armed := e.gate.Fault(isWriteOf("dir"), -1, gate.Refuse(403, "AuthorizationFailure"))
	e.archived("dir/f", []byte("content"))
	e.archived("dir/g", []byte("content"))
	if n := e.gate.Hits(armed); n != 1 {
		t.Errorf("the marker was tried %d times, want once for now", n)
	}
	c.waitLog("the marker of a directory is not written", "AuthorizationFailure")
	e.wantSettled(c)
}

// TestSASReplacedDuringTransfer refuses the old token from the second request
// on, the moment after a new one has been put in place.
func TestSASReplacedDuringTransfer(t *testing.T) {
	e := newEnv(t, longGrace(testenv.Options{}))
	sas := e.sasFile(time.Hour)
	// expire ends the validity of the token as soon as one request has been made with it.
	expire := func(at func(*http.Request) bool, replace func()) *gate.Fault {
		var requests atomic.Int32
		var once sync.Once
		token := sas.signature()
		return e.gate.Fault(func(r *http.Request) bool {
			return at(r) && strings.Contains(r.URL.RawQuery, "sig="+token) && requests.Add(1) > 1
		}, -1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			once.Do(replace)
			gate.Refuse(403, "AuthenticationFailed")(w, r, next)
		})
	}
	renew := func() { sas.renew("racwdl") }

	e.command("changelog_register", "-m", "HSM")
	c := e.startCopytool(e.lustre.Mount(), sas.args("--block-size", "256KiB", "--transfers", "2")...)
	content := faultFiles["blocks"]
	armed := expire(isWriteOf("f"), renew)
	p := e.archived("f", content)
	e.wantBlob("f", content)
	e.lfs("hsm_release", p)
	armed2 := expire(isGetOf("f"), renew)
	e.wantContent("f", content)
	if e.gate.Hits(armed) == 0 || e.gate.Hits(armed2) == 0 {
		t.Error("no token was refused")
	}

	// Without a new one the action fails, and a later one needs no restart.
	e.lfs("hsm_release", p)
	expire(isGetOf("f"), func() {})
	if _, err := os.ReadFile(p); err == nil {
		t.Error("the read succeeded without a valid token")
	}
	e.wantFailure(c, "RESTORE", "f", "AuthFailed", syscall.EACCES)
	renew()
	e.wantContent("f", content)
	c.wantMetric("lhsm_azblob_memory_in_use_bytes", 0)
}

// A stall stops in the middle of a body, in whichever direction that goes.
type stall struct {
	caught chan struct{}
	end    chan struct{}
}

func (e *env) stall(at func(*http.Request) bool) stall {
	s := stall{make(chan struct{}, 100), make(chan struct{})}
	e.t.Cleanup(func() { close(s.end) })
	e.gate.Fault(at, -1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPut {
			_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
		} else {
			answer := gate.Record(r, next)
			gate.Send(w, answer, answer.Body.Bytes()[:answer.Body.Len()/2])
		}
		s.caught <- struct{}{}
		select {
		case <-s.end:
		case <-r.Context().Done():
		}
	})
	return s
}

// TestP01CancelledTransfersEnd: nothing but the cancel can end them in the
// time that this test has.
func TestP01CancelledTransfersEnd(t *testing.T) {
	e, c := startSpare(t)
	e.released("restore", faultFiles["blocks"])
	e.write("archive", faultFiles["blocks"])
	for verb, at := range map[string]func(*http.Request) bool{"archive": isWriteOf("archive"), "restore": isGetOf("restore")} {
		s := e.stall(at)
		e.lfs("hsm_"+verb, e.path(verb))
		<-s.caught
		<-s.caught // both of the two transfers that may run
		e.lfs("hsm_cancel", e.path(verb))
		e.lustre.WaitIdle()
		c.waitLog("level=INFO msg=\"action canceled\"", "op="+strings.ToUpper(verb), "code=Canceled")
		e.wantSettled(c)
		e.gate.Heal()
	}
	e.wantState("restore", stateReleased)
	e.wantContent("restore", faultFiles["blocks"])
	e.hsm("archive", "archive")
	e.wantBlob("archive", faultFiles["blocks"])
}

// TestStopWithStalledTransfers ends in the time that it is given; the next
// copytool does what was left.
func TestStopWithStalledTransfers(t *testing.T) {
	e, c := startSpare(t, "--drain-timeout", "1s", "--transfers", "16")
	e.lustre.SetParam("mdt.*.hsm.policy", "-NoRetryAction") // else what is left fails for good
	p := e.released("restore", faultFiles["blocks"])
	e.write("archive", faultFiles["blocks"])
	read := make(chan error, 1)
	archive, restore := e.stall(isBlockOf("archive")), e.stall(isGetOf("restore"))
	e.lfs("hsm_archive", e.path("archive"))
	<-archive.caught
	go func() { read <- readSame(p, faultFiles["blocks"]) }()
	<-restore.caught
	c.stop()
	if code := c.process.Wait(); code != 0 {
		t.Errorf("the copytool ended with %d", code)
	}
	for _, op := range []string{"ARCHIVE", "RESTORE"} {
		c.waitLog("action failed", "op="+op, "code=ShuttingDown", "retry=true")
	}
	e.wantNoBlob("archive")
	e.gate.Heal()
	e.startCopytool(e.lustre.Mount())
	if err := <-read; err != nil {
		t.Errorf("the reader who was waiting: %v", err)
	}
	e.lustre.WaitIdle()
	e.wantState("archive", stateArchived)
	e.wantBlob("archive", faultFiles["blocks"])
	e.wantState("restore", stateArchived)
}
