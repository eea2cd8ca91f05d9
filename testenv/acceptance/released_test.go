package acceptance

import (
	"testing"
)

// What is released after its archive or remove was asked for, and before that begins.

// TestReleasedBeforeItsSecondArchive: the second one would wait for the restore that
// its own reading asks for.
func TestReleasedBeforeItsSecondArchive(t *testing.T) {
	e, c := start(t, "--archives", "1")
	content := randomBytes(100_000, 1)
	before, between := e.gate.Hold(isPutOf("before")), e.gate.Hold(isPutOf("between"))
	p := e.write("f", content)
	for _, rel := range []string{"before", "f", "between", "f"} {
		if rel != "f" {
			e.write(rel, []byte(rel))
		}
		e.lfs("hsm_archive", e.path(rel))
	}
	<-before.Caught
	before.Release()
	<-between.Caught
	e.wantState("f", stateArchived)
	e.lfs("hsm_release", p)
	between.Release()
	e.lustre.WaitIdle()
	c.waitLogTimes(4, "op=ARCHIVE", "code=OK")
	e.wantState("f", stateReleased)
	e.wantContent("f", content)
}

// TestReleasedBeforeItsRemove: the copy is all there is by then.
func TestReleasedBeforeItsRemove(t *testing.T) {
	e, c := start(t, "--removes", "1")
	content := randomBytes(100_000, 1)
	p, other := e.archived("f", content), e.archived("other", []byte("before it"))
	h := e.gate.Hold(isDeleteOf("other"))
	e.lfs("hsm_remove", other)
	<-h.Caught
	e.lfs("hsm_remove", p)
	c.waitLogTimes(2, "received op=REMOVE") // one that has not been sent by then never is
	e.lfs("hsm_release", p)
	h.Release()
	e.lustre.WaitIdle()
	c.waitLog("op=REMOVE", "code=OnlyCopy")
	e.wantState("f", stateReleased)
	e.wantBlob("f", content)
	e.wantContent("f", content)
	e.hsm("remove", "f")
	e.wantNoBlob("f")
}

// TestReleaseDuringItsRemove: Lustre grants it, unless the copytool has forbidden it.
func TestReleaseDuringItsRemove(t *testing.T) {
	e, _ := start(t)
	content := randomBytes(100_000, 1)
	p := e.archived("f", content)
	h := e.gate.Hold(isDeleteOf("f"))
	e.lfs("hsm_remove", p)
	<-h.Caught
	if r := e.lustre.Lfs("hsm_release", p); r.Code == 0 {
		t.Error("a file could be released while its copy was being removed")
	}
	h.Release()
	e.lustre.WaitIdle()
	e.wantState("f", "(0x00000000), archive_id:1")
	e.wantNoBlob("f")
	e.wantContent("f", content)
	e.released("f", content)
}

// TestRemoveOfALostCopy: an admin has given the copy up, and wants Lustre to forget it.
func TestRemoveOfALostCopy(t *testing.T) {
	e, _ := start(t)
	content := randomBytes(100_000, 1)
	p := e.archived("f", content)
	e.lfs("hsm_set", "--lost", p)
	e.hsm("remove", "f")
	e.wantState("f", "(0x00000000), archive_id:1")
	e.wantNoBlob("f")
	e.wantContent("f", content)
}

// TestWrittenAfterItsRestore: the client that restored a file goes on seeing it as
// released in its attribute, for as long as it likes. What it says is not to be believed:
// an archive that did would end well and have sent nothing.
func TestWrittenAfterItsRestore(t *testing.T) {
	e, _ := start(t)
	content := randomBytes(100_000, 1)
	e.released("f", content)
	e.append("f", []byte("more"))
	e.wantState("f", "(0x0000000b) exists dirty archived, archive_id:1")
	e.hsm("archive", "f")
	e.wantState("f", stateArchived)
	content = append(content, "more"...)
	e.wantBlob("f", content)
	e.lfs("hsm_release", e.path("f"))
	e.wantContent("f", content)
}
