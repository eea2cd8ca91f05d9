package acceptance

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/gate"
)

// What other copytools for Blob storage were found to do wrong. Each defect has a
// test that carries its number, and each test was seen to fail with the protection
// taken out, in the way that the last column says.
//
//	     defect                                 test                                     taken out
//	P1   cancelled restores hang                TestP01CancelledTransfersEnd             scheduler.go: endLocked does not cancel
//	P2   failed uploads keep their buffers      TestP02FailuresGiveMemoryBack            upload.go: stageAll releases on success only
//	P3   errors become "context canceled"       TestP03TheRealErrorIsTold                upload.go: stageAll returns what acquire said
//	P4   bandwidth below a block, one stream    TestP04BandwidthOfOneStream              conn.go: Read does not wait
//	P5   an expired SAS kills small archives    TestP05SASExpiresBeforeASmallFile        sas.go: Do tries once
//	P6   a goroutine leaks per upload           TestP06GoroutinesEnd                     conn.go: a goroutine that waits for m.ctx
//	P7   renamed files are not found            TestP07RenameThenRestore                 locate.go: by path
//	P8   the prefix only on the way up          TestP08PrefixBothWays                    store.go: nameFor; settings.go: prefix
//	P9   no checksums                           TestP09DamagedBytesAreNoticed            upload.go: TransactionalValidation; download.go: CheckCRC64
//	P10  the good copy goes first               TestP10OldCopyStaysUntilTheNewIsThere    archive.go: publish deletes first
//	P11  reads by path                          TestP11RenameRace                        archive.go: upload opens the path
//	P12  connections are not kept               TestP12ConnectionsAreKept                transport.go: MaxIdleConnsPerHost
//	P13  the SAS appended twice                 TestP13SASOnce                           sas.go: send appends it to what is there
//	P14  the source of the SAS fails            TestP14SASFileVanishes                   sas.go: reload empties the token
//	P15  a right is missing, found late         TestP15MissingRightIsFoundAtTheStart     check.go: probeDelete
//	P16  a full queue fails actions             TestP16ThousandsOfActions                scheduler.go: enqueue refuses above 8
//	P17  exit status 0 after a failure          TestP17ExitStatus                        run.go: always exitOK; the unit: Restart=on-failure
//	P18  a refused token runs an action twice   TestP18RefusedAndStopped                 sas.go: Do tries once
//	P19  two actions on one file                TestP19TwoActionsOnOneFile               scheduler.go: claimFile
//	P20  a refused report stops nothing         TestP20RefusedProgressStopsTheTransfer   progress.go: beatOne cancels nothing
//	P21  every error is EINVAL                  TestP21ErrorsAreTold                     code.go: VerdictFor says EINVAL
//	P22  markers that nobody waits for          TestP22MarkersAreAwaited                 archive.go: go markParents
//	P23  file_id of an archive as its name      TestP23FileIDOfAnArchive                 archive.go: chooseName takes it
//	P24  names that no blob can have            TestP24OddNames                          name.go: NameForPath returns the path
//	P25  only the first links are seen          TestP25ManyLinks                         mount.go: Paths ends after 15
//	P26  other agents' archive ids are taken    TestP26UnservedArchiveIDWaits            store.go: ids returns none
//	P27  no access tier, no version             TestP27TierAndVersion                    upload.go: tier returns nil
//	P28  logs everything                        TestP28LogsOneLinePerAction              options.go: log-level debug
//	P29  interrupted uploads are sent again     TestP29StagedBlocksAreNotSentAgain       resume.go: takeUp does nothing
//
// Of P27, rehydration, encryption scopes and reading versions are not built; a blob
// in the archive tier is reported as such (TestP21), an immutable one as well (H11).

// TestP02FailuresGiveMemoryBack: the budget has room for 4 blocks, and 5 uploads of
// two blocks fail before one succeeds.
func TestP02FailuresGiveMemoryBack(t *testing.T) {
	e, c := start(t, "--http", "127.0.0.1:0", "--memory", "64MiB", "--block-size", "16MiB")
	content := randomBytes(17<<20, 1)
	for i := range 5 {
		e.gate.Fault(isWriteOf(fmt.Sprintf("f%d", i)), -1, gate.Refuse(http.StatusBadRequest, "InvalidHeaderValue"))
		e.write(fmt.Sprintf("f%d", i), content)
		e.hsm("archive", fmt.Sprintf("f%d", i))
		e.wantState(fmt.Sprintf("f%d", i), stateExists)
		c.wantMetric("lhsm_azblob_memory_in_use_bytes", 0)
	}
	e.archived("f", content)
	c.wantMetric("lhsm_azblob_memory_in_use_bytes", 0)
}

// TestP03TheRealErrorIsTold: one block of many fails, the others are given up
// because of it, and it is the first that counts.
func TestP03TheRealErrorIsTold(t *testing.T) {
	e, c := start(t, "--http", "127.0.0.1:0", "--block-size", "64KiB", "--transfers", "4", "--memory", "64MiB")
	e.command("changelog_register", "-m", "HSM")
	content := randomBytes(20*64<<10, 1)
	for i := range 10 {
		rel := fmt.Sprintf("f%d", i)
		e.gate.Fault(after(3, isBlockOf(rel)), -1, gate.Refuse(http.StatusConflict, "BlobImmutableDueToPolicy"))
		e.lfs("hsm_archive", e.write(rel, content))
	}
	e.lustre.WaitIdle()
	for i := range 10 {
		e.wantFailure(c, "ARCHIVE", fmt.Sprintf("f%d", i), "BlobImmutable", syscall.EROFS)
	}
}

// TestP04BandwidthOfOneStream: a limit below one block per second works, and holds
// for a file that goes in one request. What is asserted is a lower bound.
func TestP04BandwidthOfOneStream(t *testing.T) {
	const rate, size = 256 << 10, 768 << 10
	e, _ := start(t, "--bandwidth", "256KiB", "--block-size", "1MiB")
	content := randomBytes(size, 1)
	least := time.Duration(size-rate/2) * time.Second / rate
	begin := time.Now()
	p := e.archived("f", content)
	if took := time.Since(begin); took < least {
		t.Errorf("%d bytes up took %v, which is more than %d bytes/s", size, took, rate)
	}
	e.lfs("hsm_release", p)
	begin = time.Now()
	e.wantContent("f", content)
	if took := time.Since(begin); took < least {
		t.Errorf("%d bytes down took %v, which is more than %d bytes/s", size, took, rate)
	}
}

// TestP05SASExpiresBeforeASmallFile refuses the one request of a small file, the
// moment after a new token was put in place.
func TestP05SASExpiresBeforeASmallFile(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	s := e.sasFile(time.Hour)
	c := e.startCopytool(e.lustre.Mount(), s.args()...)
	content := randomBytes(5000, 1)
	refused := e.gate.Fault(isPutOf("f"), 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		s.renew("racwdl")
		gate.Refuse(http.StatusForbidden, "AuthenticationFailed")(w, r, next)
	})
	e.archived("f", content)
	e.wantBlob("f", content)
	if e.gate.Hits(refused) != 1 {
		t.Error("no token was refused")
	}
	c.wantMetric("lhsm_azblob_memory_in_use_bytes", 0)
}

// TestP06GoroutinesEnd: as many are there after the second load as after the first.
func TestP06GoroutinesEnd(t *testing.T) {
	const files = 50
	e, c := startSpare(t)
	load := func(round int) {
		var paths []string
		for i := range files {
			paths = append(paths, e.write(fmt.Sprintf("r%d-%d", round, i), faultFiles["blocks"]))
		}
		e.request("archive", paths...)
		e.lustre.WaitIdle()
		e.request("release", paths...)
		e.request("restore", paths...)
		e.lustre.WaitIdle()
	}
	load(1)
	first := c.metric(goroutines)
	load(2)
	c.waitMetricWithin(goroutines, 0, first+files/5) // those of the last action end after it
}

func TestP09DamagedBytesAreNoticed(t *testing.T) {
	e, c := startSpare(t)
	for kind, content := range faultFiles {
		up, down := "up-"+kind, "down-"+kind
		e.gate.Fault(isWriteOf(up), 1, gate.DamageBody)
		e.write(up, content)
		e.hsm("archive", up)
		e.wantState(up, stateExists)
		e.wantFailure(c, "ARCHIVE", up, "ChecksumMismatch", syscall.EBADMSG)
		e.wantNoBlob(up)

		e.released(down, content)
		e.gate.Fault(isGetOf(down), 1, gate.DamageAnswer)
		e.readFails(down)
		e.wantFailure(c, "RESTORE", down, "ChecksumMismatch", syscall.EBADMSG)
		e.wantContent(down, content)
	}
}

// TestP11RenameRace puts another file at the path when the first block of one has
// been sent, and most have not been read. Links are not followed either.
func TestP11RenameRace(t *testing.T) {
	e, c := startSpare(t)
	content := randomBytes(20*smallBlock, 1)
	for name, replace := range map[string]func(p string) error{
		"file": func(p string) error { return os.WriteFile(p, randomBytes(20*smallBlock, 2), 0o644) },
		"link": func(p string) error { return os.Symlink("/etc/passwd", p) },
	} {
		p := e.write(name, content)
		fid := e.fid(name)
		h := e.gate.Hold(isBlockOf(name))
		e.lfs("hsm_archive", p)
		<-h.Caught
		e.rename(name, name+"-moved")
		if err := replace(p); err != nil {
			t.Fatal(err)
		}
		h.Release()
		e.lustre.WaitIdle()
		c.waitLog("action done", "op=ARCHIVE", fid)
		e.wantBlob(name, content)
		e.lfs("hsm_release", e.path(name+"-moved"))
		e.wantContent(name+"-moved", content)
	}
}

// TestP12ConnectionsAreKept counts those that the server sees.
func TestP12ConnectionsAreKept(t *testing.T) {
	const transfers = 16
	e, _ := start(t, "--transfers", fmt.Sprint(transfers), "--block-size", "64KiB", "--memory", "64MiB")
	var paths []string
	for i := range 20 {
		paths = append(paths, e.write(fmt.Sprintf("f%d", i), randomBytes(20*64<<10, byte(i))))
	}
	e.request("archive", paths...)
	e.lustre.WaitIdle()
	var connections []string
	requests := e.gate.Count(func(r gate.Request) bool {
		if !slices.Contains(connections, r.From) {
			connections = append(connections, r.From)
		}
		return true
	})
	if n := len(connections); n > 2*transfers {
		t.Errorf("%d connections for %d requests, of which %d run at a time", n, requests, transfers)
	}
}

func TestP13SASOnce(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	e.startCopytool(e.lustre.Mount(), e.sasFile(time.Hour).args("--block-size", "256KiB", "--on-conflict", "overwrite")...)
	e.gate.Fault(isBlockOf("d/f"), 1, gate.Refuse(http.StatusInternalServerError, "InternalError")) // tried again
	e.released("d/f", faultFiles["blocks"])
	e.wantContent("d/f", faultFiles["blocks"])
	e.rename("d/f", "d/g")
	e.archived("d/f", []byte("new")) // copies the other out of its way
	e.hsm("remove", "d/f")
	for _, query := range e.queries() {
		if n := strings.Count("&"+query, "&sig="); n != 1 {
			t.Errorf("a request has %d signatures: %q", n, query)
		}
	}
}

// queries are those of all requests so far.
func (e *env) queries() (all []string) {
	e.gate.Count(func(r gate.Request) bool {
		all = append(all, r.Query)
		return true
	})
	return all
}

// TestP14SASFileVanishes: whatever hands out the tokens is down, and the old one is
// good for another hour.
func TestP14SASFileVanishes(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	s := e.sasFile(time.Hour)
	c := e.startCopytool(e.lustre.Mount(), s.args()...)
	for i, spoil := range []func() error{
		func() error { return os.Remove(s.path) },
		func() error { return os.WriteFile(s.path, []byte("half a tok"), 0o600) },
		func() error { return os.WriteFile(s.path, nil, 0o600) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		// It is looked at once a second; a refusal makes it look at once.
		e.gate.Fault(isPutOf(fmt.Sprintf("f%d", i)), 1, gate.Refuse(http.StatusForbidden, "AuthenticationFailed"))
		e.write(fmt.Sprintf("f%d", i), []byte("content"))
		e.hsm("archive", fmt.Sprintf("f%d", i))
		c.waitLogTimes(i+1, "cannot read the SAS again")
		e.archived(fmt.Sprintf("f%d", i), []byte("content"))
	}
	s.renew("racwdl")
	e.archived("last", []byte("content"))
}

// TestP15MissingRightIsFoundAtTheStart takes one right away after the other.
func TestP15MissingRightIsFoundAtTheStart(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	s := e.sasFile(time.Hour)
	for _, right := range []string{"r", "w", "d", "l"} {
		s.renew(strings.Replace("racwdl", right, "", 1))
		if right == "w" {
			s.renew("rdl") // what "add" and "create" allow is not enough to replace
		}
		code, out := e.runCopytool(s.args(e.lustre.Mount())...)
		e.wantOneLine(code, out, 1, "AuthorizationPermissionMismatch")
	}
}
