package acceptance

import (
	"testing"
	"time"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/gate"
)

// An archive and a remove of one file, on two movers at once.

const stateRemoved = "(0x00000000), archive_id:1"

// A pair is the mover that has an action of the file d/f, and the other one.
type pair struct{ has, other *copytool }

// startPair starts a mover on each of two mounts.
func (e *env) startPair() (a, b *copytool) {
	return e.startCopytool(e.lustre.Mounts()[0]), e.startCopytool(e.lustre.Mounts()[1])
}

// whoRuns waits until one of two movers has received an action of the file.
func (e *env) whoRuns(op string, a, b *copytool) pair {
	e.t.Helper()
	received := []string{"received", "op=" + op, e.fid("d/f")}
	for deadline := time.After(patience); ; {
		switch {
		case a.count(received...) > 0:
			return pair{a, b}
		case b.count(received...) > 0:
			return pair{b, a}
		}
		select {
		case <-a.grown:
		case <-b.grown:
		case <-deadline:
			e.t.Fatalf("neither mover has a line with %q", received)
		}
	}
}

// removeWaits holds an archive that has recorded its copy, until a remove waits for it.
func (e *env) removeWaits() (pair, *gate.Hold) {
	e.t.Helper()
	a, b := e.startPair()
	p := e.write("d/f", randomBytes(1000, 1))
	h := e.gate.Hold(isMarkerOf("d"))
	e.lfs("hsm_archive", p)
	<-h.Caught
	m := e.whoRuns("ARCHIVE", a, b)
	e.lfs("hsm_remove", p)
	m.other.waitLog("waits for another action", "op=REMOVE", e.fid("d/f"))
	return m, h
}

// TestRemoveComesBeforeTheEndOfAnArchive, and after its record. The other mover is
// given it, which waits. The end must not come after the copy is gone.
func TestRemoveComesBeforeTheEndOfAnArchive(t *testing.T) {
	e := newEnv(t, longGrace(testenv.Options{Mounts: 2}))
	m, h := e.removeWaits()
	e.wantBlob("d/f", randomBytes(1000, 1))
	h.Release()
	m.has.waitLog("action done", "op=ARCHIVE", e.fid("d/f"))
	m.other.waitLog("action done", "op=REMOVE", e.fid("d/f"))
	e.lustre.WaitIdle()
	e.wantState("d/f", stateRemoved)
	e.wantNoBlob("d/f")
}

// TestArchiveComesDuringARemove that has read which blob it is to delete.
func TestArchiveComesDuringARemove(t *testing.T) {
	e := newEnv(t, longGrace(testenv.Options{Mounts: 2}))
	a, b := e.startPair()
	p := e.archived("d/f", randomBytes(1000, 1))
	e.append("d/f", []byte("more"))
	h := e.gate.Hold(isDeleteOf("d/f"))
	e.lfs("hsm_remove", p)
	<-h.Caught
	m := e.whoRuns("REMOVE", a, b)
	e.lfs("hsm_archive", p)
	m.other.waitLog("action failed", "op=ARCHIVE", e.fid("d/f"), "code=Busy", "errno=16")
	h.Release()
	e.lustre.WaitIdle()
	e.wantNoBlob("d/f")
	e.hsm("archive", "d/f")
	e.wantState("d/f", stateArchived)
	e.lfs("hsm_release", p)
	e.wantContent("d/f", append(randomBytes(1000, 1), "more"...))
}

// TestBothAreKilledOverOneFile: the archive has recorded its copy, the remove waits for
// it, and both are taken over.
func TestBothAreKilledOverOneFile(t *testing.T) {
	e := newEnv(t, longGrace(testenv.Options{Mounts: 2}))
	m, h := e.removeWaits()
	m.has.kill()
	m.other.kill()
	h.Release()
	e.startPair()
	e.lustre.WaitIdle()
	e.wantState("d/f", stateRemoved)
	e.wantNoBlob("d/f")
}

// TestMoverDiesForGood in the middle of an action, with its journal. When the
// coordinator has given that up, the file is free for the other kind.
func TestMoverDiesForGood(t *testing.T) {
	e := newEnv(t, longGrace(testenv.Options{Mounts: 2}))
	a, b := e.startPair()
	p := e.write("d/f", randomBytes(1000, 1))
	giveUp := func(op string) {
		a.kill()
		b.kill()
		e.timeOut(op, "d/f")
		e.stateDir = t.TempDir()
		a, b = e.startPair()
	}
	h := e.gate.Hold(isMarkerOf("d"))
	e.lfs("hsm_archive", p)
	<-h.Caught
	giveUp("ARCHIVE")
	h.Lose()
	e.hsm("remove", "d/f")
	e.wantState("d/f", stateRemoved)
	e.wantNoBlob("d/f")

	e.hsm("archive", "d/f")
	h = e.gate.Hold(isDeleteOf("d/f"))
	e.lfs("hsm_remove", p)
	<-h.Caught
	giveUp("REMOVE")
	e.hsm("archive", "d/f")
	h.Lose() // what it had asked for
	e.wantState("d/f", stateArchived)
	e.lfs("hsm_release", p)
	e.wantContent("d/f", randomBytes(1000, 1))
}
