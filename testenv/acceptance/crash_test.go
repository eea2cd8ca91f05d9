package acceptance

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/gate"
)

// The coordinator's timeout is an hour in these tests. What is over sooner was
// ended by the copytool that started after the kill.

// crashBlock is --block-size here: files are cut without being large.
const crashBlock = 1 << 20

// kill ends the copytool as a crash would, and waits until it is gone.
func (c *copytool) kill() {
	c.signal(syscall.SIGKILL)
	<-c.done
}

// recovers starts a copytool after a kill and waits until nothing is open.
func (e *env) recovers(args ...string) *copytool {
	e.t.Helper()
	begin := time.Now()
	c := e.startCopytool(e.lustre.Mount(), args...)
	e.lustre.WaitIdle()
	e.t.Logf("nothing is open %v after the start", time.Since(begin).Round(time.Millisecond))
	return c
}

// A place is where a test stops what passes the gate.
type place func(*gate.Gate) *gate.Hold

func held(match func(*http.Request) bool) place {
	return func(g *gate.Gate) *gate.Hold { return g.Hold(match) }
}

func answerHeld(match func(*http.Request) bool) place {
	return func(g *gate.Gate) *gate.Hold { return g.HoldAnswer(match) }
}

// archiveUntil asks for an archive and waits until something is caught at the place. If a
// block is to be known by then, that is in the journal: the answer to a block may still
// be on its way there when the next arrives.
func (e *env) archiveUntil(at place, rel string, known bool) *gate.Hold {
	e.t.Helper()
	first := e.gate.Hold(isBlockOf(rel))
	h := at(e.gate)
	e.lfs("hsm_archive", e.path(rel))
	<-first.Caught
	before := e.journalSize()
	first.Release()
	<-h.Caught
	for deadline := time.Now().Add(patience); known && e.journalSize() == before; {
		if time.Now().After(deadline) {
			e.t.Fatalf("the journal has no block of %s", rel)
		}
	}
	return h
}

// isMarkerOf accepts the marker blob of a directory.
func isMarkerOf(name string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == http.MethodPut && pathIs(r.URL.Path, name) }
}

func isDeleteOf(name string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == http.MethodDelete && pathIs(r.URL.Path, name) }
}

// after lets n requests pass.
func after(n int64, match func(*http.Request) bool) func(*http.Request) bool {
	var seen atomic.Int64
	return func(r *http.Request) bool { return match(r) && seen.Add(1) > n }
}

// comp is the part of a blob that a request is about.
func compOf(r gate.Request) string {
	q, err := url.ParseQuery(r.Query)
	if err != nil {
		return err.Error()
	}
	return q.Get("comp")
}

func blocksOf(name string) func(gate.Request) bool {
	return func(r gate.Request) bool {
		return r.Method == http.MethodPut && compOf(r) == "block" && pathIs(r.Path, name)
	}
}

func commitsOf(name string) func(gate.Request) bool {
	return func(r gate.Request) bool {
		return r.Method == http.MethodPut && (compOf(r) == "" || compOf(r) == "blocklist") && pathIs(r.Path, name)
	}
}

func TestKilledDuringAnArchive(t *testing.T) {
	const blocks = 5
	for _, tt := range []struct {
		name    string
		at      place
		then    func(h *gate.Hold)
		resent  int // blocks, at most
		commits int // requests that publish, after the kill, at most
		visible bool
	}{
		{"before the first block", held(isBlockOf("d/f")), (*gate.Hold).Lose, blocks, 1, false},
		{"between blocks", held(after(2, isBlockOf("d/f"))), (*gate.Hold).Lose, blocks - 1, 1, false},
		{"before the commit", held(isPutOf("d/f")), (*gate.Hold).Lose, 0, 1, false},
		// The commit of the dead and that of the living race, or the blocks are gone meanwhile.
		{"before a commit that arrives late", held(isPutOf("d/f")), (*gate.Hold).Release, blocks, 1, false},
		{"after the commit", answerHeld(isPutOf("d/f")), (*gate.Hold).Lose, 0, 0, true},
		{"after the identity", held(isMarkerOf("d")), (*gate.Hold).Lose, 0, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := []string{"--block-size", "1MiB", "--transfers", "1"}
			e, c := start(t, args...)
			content := randomBytes((blocks-1)*crashBlock+1000, 1)
			p := e.write("d/f", content)
			h := e.archiveUntil(tt.at, "d/f", tt.resent < blocks)
			c.kill()
			if names := e.blobNames(); len(names) > 0 != tt.visible {
				t.Errorf("after the kill the container shows %q", names)
			}
			tt.then(h)
			sent, commits := e.gate.Count(blocksOf("d/f")), e.gate.Count(commitsOf("d/f"))
			e.recovers(args...)
			e.wantState("d/f", stateArchived)
			e.wantBlob("d/f", content)
			if n := e.gate.Count(blocksOf("d/f")) - sent; n > tt.resent {
				t.Errorf("%d blocks were sent after the kill, want %d at most", n, tt.resent)
			}
			if n := e.gate.Count(commitsOf("d/f")) - commits; n > tt.commits {
				t.Errorf("%d times something was published after the kill, want %d at most", n, tt.commits)
			}
			e.lfs("hsm_release", p)
			e.wantContent("d/f", content)
		})
	}
}

// TestKilledAndWritten: the file changes while nobody works on it. Old blocks
// must not get into the blob.
func TestKilledAndWritten(t *testing.T) {
	e, c := start(t, "--block-size", "1MiB")
	p := e.write("f", randomBytes(3*crashBlock, 1))
	h := e.gate.Hold(isPutOf("f"))
	e.lfs("hsm_archive", p)
	<-h.Caught
	c.kill()
	h.Lose()
	content := randomBytes(3*crashBlock, 2)
	e.write("f", content)
	e.recovers("--block-size", "1MiB")
	e.wantState("f", stateArchived)
	e.wantBlob("f", content)
}

func TestKilledDuringARestore(t *testing.T) {
	for name, passes := range map[string]int64{"before the first byte": 0, "in the middle": 2} {
		t.Run(name, func(t *testing.T) {
			args := []string{"--block-size", "1MiB", "--transfers", "2"}
			e, c := start(t, args...)
			content := randomBytes(5*crashBlock+5, 1)
			p := e.released("f", content)
			h := e.gate.Hold(after(passes, isGetOf("f")))
			type result struct {
				b   []byte
				err error
			}
			read := make(chan result, 1)
			go func() {
				b, err := os.ReadFile(p)
				read <- result{b, err}
			}()
			<-h.Caught
			c.kill()
			h.Lose()
			e.recovers(args...)
			select {
			case r := <-read:
				if r.err != nil || !bytes.Equal(r.b, content) {
					t.Errorf("who was blocked read %d bytes, %v", len(r.b), r.err)
				}
			case <-time.After(patience):
				t.Fatal("the reader is still blocked")
			}
			e.wantState("f", stateArchived)
		})
	}
}

func TestKilledDuringARemove(t *testing.T) {
	for name, at := range map[string]place{
		"before": held(isDeleteOf("f")),
		"after":  answerHeld(isDeleteOf("f")),
	} {
		t.Run(name, func(t *testing.T) {
			e, c := start(t)
			content := randomBytes(1000, 1)
			p := e.archived("f", content)
			h := at(e.gate)
			e.lfs("hsm_remove", p)
			<-h.Caught
			c.kill()
			h.Lose()
			e.recovers()
			e.wantState("f", "(0x00000000), archive_id:1")
			e.wantNoBlob("f")
			e.wantContent("f", content)
		})
	}
}

// TestKilledWithAQueue: most of what the dead one held had not begun.
func TestKilledWithAQueue(t *testing.T) {
	e := newEnv(t, testenv.Options{Params: map[string]string{"mdt.*.hsm.max_requests": "1000"}})
	c := e.startCopytool(e.lustre.Mount(), "--archives", "2")
	h := e.gate.Hold(isCommit)
	const n = 200
	var paths []string
	for i := range n {
		paths = append(paths, e.write(fmt.Sprintf("f%d", i), randomBytes(100+i, byte(i))))
	}
	e.request("archive", paths...)
	<-h.Caught
	c.waitReceived(n)
	c.kill()
	h.Lose()
	e.recovers()
	for i := range n {
		e.wantState(fmt.Sprintf("f%d", i), stateArchived)
		e.wantBlob(fmt.Sprintf("f%d", i), randomBytes(100+i, byte(i)))
	}
}

// request asks for many files, with as many as one call takes.
func (e *env) request(verb string, paths ...string) {
	e.t.Helper()
	for some := range slices.Chunk(paths, 25) {
		e.lfs(append([]string{"hsm_" + verb}, some...)...)
	}
}

// TestKilledWithUnreadActions: the copytool is deaf for a while before it dies, as
// a process is that takes its time to be torn down.
func TestKilledWithUnreadActions(t *testing.T) {
	e, c := start(t)
	content := randomBytes(1000, 1)
	p := e.write("f", content)
	c.signal(syscall.SIGSTOP)
	e.lfs("hsm_archive", p)
	for sent := false; !sent; { // the coordinator waits for nobody, so this ends
		sent = strings.Contains(e.lustre.GetParam("mdt.*.hsm.actions"), "status=STARTED")
	}
	c.kill()
	c = e.recovers()
	c.waitLog("op=ARCHIVE", "code=OK")
	e.wantState("f", stateArchived)
	e.wantBlob("f", content)
}

// waitReceived waits until so many actions have been received.
func (c *copytool) waitReceived(n int) {
	c.t.Helper()
	deadline := time.After(patience)
	for {
		if strings.Count(strings.Join(c.log(), "\n"), "msg=received") >= n {
			return
		}
		select {
		case <-c.grown:
		case <-deadline:
			c.t.Fatalf("the copytool has not received %d actions", n)
		}
	}
}

// TestCancelAfterAKill is of an action that no process holds.
func TestCancelAfterAKill(t *testing.T) {
	e, c := start(t, "--block-size", "1MiB")
	p := e.write("f", randomBytes(3*crashBlock, 1))
	h := e.gate.Hold(isBlockOf("f"))
	e.lfs("hsm_archive", p)
	<-h.Caught
	c.kill()
	e.lfs("hsm_cancel", p)
	e.startCopytool(e.lustre.Mount(), "--block-size", "1MiB")
	e.lustre.WaitIdle() // the gate is still closed: only the cancel can have ended it
	e.wantState("f", stateExists)
	e.wantNoBlob("f")
}

// TestKilledAndForgotten: what the coordinator has given up meanwhile is not done.
func TestKilledAndForgotten(t *testing.T) {
	e, c := start(t)
	content := randomBytes(1000, 1)
	p := e.archived("f", content)
	h := e.gate.Hold(isDeleteOf("f"))
	e.lfs("hsm_remove", p)
	<-h.Caught
	c.kill()
	e.giveUp()
	h.Lose()
	c = e.startCopytool(e.lustre.Mount())
	c.waitLog("the action was over already")
	e.wantState("f", stateDirty) // nobody could tell whether the blob was deleted
	e.wantBlob("f", content)
	e.hsm("archive", "f")
	e.wantState("f", stateArchived)
}
