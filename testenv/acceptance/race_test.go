package acceptance

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"lhsm-azblob/testenv"
)

// TestH02TornCopy changes a file when all of its bytes have been sent
// and only the commit is missing.
func TestH02TornCopy(t *testing.T) {
	e, c := start(t, "--block-size", "8MiB")
	content := randomBytes(3*blockSize, 1)
	p := e.write("f", content)
	h := e.gate.Hold(isBlockOf("f"))
	e.lfs("hsm_archive", p)
	<-h.Caught
	e.append("f", []byte("late"))
	h.Release()
	e.lustre.WaitIdle()
	e.wantState("f", "(0x00000003) exists dirty, archive_id:1")
	e.wantNoBlob("f")
	c.waitLog("FileChanged")

	e.hsm("archive", "f")
	e.wantState("f", stateArchived)
	e.wantBlob("f", append(content, "late"...))
}

// TestWriteDuringReArchive does the same to a file that has a good blob: the
// good one stays.
func TestWriteDuringReArchive(t *testing.T) {
	e, _ := start(t, "--block-size", "8MiB")
	first := randomBytes(3*blockSize, 1)
	p := e.archived("f", first)
	e.append("f", []byte("second"))
	h := e.gate.Hold(isBlockOf("f"))
	e.lfs("hsm_archive", p)
	<-h.Caught
	e.append("f", []byte("third"))
	h.Release()
	e.lustre.WaitIdle()
	e.wantState("f", stateDirty)
	e.wantBlob("f", first)
}

// TestP10OldCopyStaysUntilTheNewIsThere looks at the container just before the commit.
func TestP10OldCopyStaysUntilTheNewIsThere(t *testing.T) {
	e, _ := start(t, "--block-size", "8MiB")
	first := randomBytes(2*blockSize, 1)
	p := e.archived("f", first)
	e.append("f", []byte("second"))
	h := e.gate.Hold(isPutOf("f"))
	e.lfs("hsm_archive", p)
	<-h.Caught
	e.wantBlob("f", first)
	h.Release()
	e.lustre.WaitIdle()
	e.wantBlob("f", append(first, "second"...))
}

// TestArchiveTwiceAtOnce: the coordinator does not merge duplicates.
func TestArchiveTwiceAtOnce(t *testing.T) {
	e, _ := start(t)
	content := randomBytes(1_000_000, 1)
	p := e.write("f", content)
	h := e.gate.Hold(isPutOf("f"))
	e.lfs("hsm_archive", p)
	e.lfs("hsm_archive", p)
	<-h.Caught
	h.Release()
	e.lustre.WaitIdle()
	e.wantState("f", stateArchived)
	e.wantBlob("f", content)
}

func TestCancelOfARunningArchive(t *testing.T) {
	e, _ := start(t, "--block-size", "8MiB")
	p := e.write("f", randomBytes(3*blockSize, 1))
	h := e.gate.Hold(isBlockOf("f"))
	e.lfs("hsm_archive", p)
	<-h.Caught
	e.lfs("hsm_cancel", p)
	e.lustre.WaitIdle() // the gate is still closed: only the cancel can have ended it
	e.wantState("f", stateExists)
	e.wantNoBlob("f")
	h.Release()
	e.hsm("archive", "f")
	e.wantState("f", stateArchived)
}

func TestCancelOfAWaitingArchive(t *testing.T) {
	e, _ := start(t, "--archives", "1")
	running, waiting := e.write("running", []byte("a")), e.write("waiting", []byte("b"))
	h := e.gate.Hold(isPutOf("running"))
	e.lfs("hsm_archive", running)
	<-h.Caught
	e.lfs("hsm_archive", waiting)
	e.lfs("hsm_cancel", waiting)
	e.awaitStatus("ARCHIVE", e.fid("waiting"), "CANCELED")
	h.Release()
	e.lustre.WaitIdle()
	e.wantState("running", stateArchived)
	e.wantNoBlob("waiting")
}

// TestCancelBeforeAnyCopytool: target and cancel wait together and are sent together.
func TestCancelBeforeAnyCopytool(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	p := e.write("f", []byte("a"))
	e.lfs("hsm_archive", p)
	e.lfs("hsm_cancel", p)
	e.startCopytool(e.lustre.Mount())
	e.lustre.WaitIdle()
	e.wantNoBlob("f")
	if got := e.lfs("hsm_state", p); strings.Contains(got, "archived") {
		t.Errorf("a cancelled archive took place: %q", got)
	}
}

// TestReaderWaitsForTheRestore has many readers blocked on one file.
func TestReaderWaitsForTheRestore(t *testing.T) {
	e, _ := start(t)
	content := randomBytes(1_000_000, 5)
	p := e.released("f", content)
	h := e.gate.Hold(isGetOf("f"))
	type result struct {
		b   []byte
		err error
	}
	results := make(chan result)
	for range 10 {
		go func() {
			b, err := os.ReadFile(p)
			results <- result{b, err}
		}()
	}
	<-h.Caught
	select {
	case r := <-results:
		t.Fatalf("a read ended before the restore: %d bytes, %v", len(r.b), r.err)
	default:
	}
	h.Release()
	for range 10 {
		if r := <-results; r.err != nil || string(r.b) != string(content) {
			t.Errorf("a blocked read got %d bytes, %v", len(r.b), r.err)
		}
	}
}

// TestTwoMoversShareTheWork runs a copytool on each of two client mounts.
func TestTwoMoversShareTheWork(t *testing.T) {
	// One list holds at most max_requests actions and goes to one agent.
	e := newEnv(t, testenv.Options{Mounts: 2, Params: map[string]string{"mdt.*.hsm.max_requests": "8"}})
	a := e.startCopytool(e.lustre.Mounts()[0])
	b := e.startCopytool(e.lustre.Mounts()[1])
	request := []string{"hsm_archive"}
	for i := range 50 {
		request = append(request, e.write(fmt.Sprintf("f%d", i), randomBytes(2000+i, byte(i))))
	}
	e.lfs(request...)
	e.lustre.WaitIdle()
	for i := range 50 {
		e.wantState(fmt.Sprintf("f%d", i), stateArchived)
		e.wantBlob(fmt.Sprintf("f%d", i), randomBytes(2000+i, byte(i)))
	}
	for _, c := range []*copytool{a, b} {
		c.waitLog("op=ARCHIVE", "code=OK")
	}
}

// TestSecondCopytoolOnOneMount would silently break the first one's registration.
func TestSecondCopytoolOnOneMount(t *testing.T) {
	e, _ := start(t)
	code, out := e.runCopytool(e.lustre.Mount())
	if code != 1 || !strings.Contains(out, "another copytool") {
		t.Errorf("a second copytool on the mount: exit %d, %q; want 1 and a line about the other", code, out)
	}
	e.archived("f", []byte("the first one still works"))
}

func TestP26UnservedArchiveIDWaits(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	c := e.startCopytool(e.lustre.Mount(), "--archive-id", "2")
	p := e.write("f", []byte("a"))
	e.lfs("hsm_archive", "--archive", "7", p)
	e.wantAction(p, "ARCHIVE waiting (from 0 to EOF)")
	q := e.write("g", []byte("b"))
	e.lfs("hsm_archive", "--archive", "2", q)
	c.waitLog("op=ARCHIVE", "code=OK")
	e.wantBlob("g", []byte("b"))
	e.wantAction(p, "ARCHIVE waiting (from 0 to EOF)")
	e.wantNoBlob("f")
}

// isBlockOf accepts the staging of a block of the named blob.
func isBlockOf(name string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return r.Method == http.MethodPut && r.URL.Query().Get("comp") == "block" && pathIs(r.URL.Path, name)
	}
}
