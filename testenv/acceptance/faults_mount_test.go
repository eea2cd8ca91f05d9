package acceptance

import (
	"syscall"
	"testing"

	"lhsm-azblob/testenv"
)

// TestBeginAndEndFail: the first word about an action that cannot begin is lost.
func TestBeginAndEndFail(t *testing.T) {
	e, c := startSpare(t)
	e.write("archive", []byte("content"))
	p := e.released("restore", []byte("content"))
	e.lustre.Fault("begin", "errno=EIO", "count=1")
	e.lustre.Fault("end", "errno=EIO", "count=1")
	e.hsm("archive", "archive")
	e.wantFailure(c, "ARCHIVE", "archive", "LustreError", syscall.EIO)
	e.lustre.Fault("begin", "errno=EIO", "count=1")
	e.lustre.Fault("end", "errno=EIO", "count=1")
	if readSame(p, []byte("content")) == nil {
		t.Error("the read succeeded")
	}
	e.lustre.ClearFaults()
	e.hsm("archive", "archive")
	e.wantState("archive", stateArchived)
	e.wantContent("restore", []byte("content"))
}

// TestMountLostAndBack takes the file system away and gives it back, while the
// copytool is idle and while it is at work. A stand-in that dies takes its
// coordinator along, so what it could not report ends by the timeout.
func TestMountLostAndBack(t *testing.T) {
	e, c := startSpare(t)
	content := faultFiles["blocks"]
	e.released("idle", content)
	e.lustre.Kill()
	c.waitLog("the registration is lost")
	e.lustre.Restart()
	c.waitLog("registered again")
	e.wantContent("idle", content)

	e.write("archive", content)
	h := e.gate.Hold(isPutOf("archive"))
	e.lfs("hsm_archive", e.path("archive"))
	<-h.Caught
	e.lustre.Kill()
	h.Release()
	c.waitLog("the coordinator does not take the end", "op=ARCHIVE")
	e.lustre.Restart()
	c.waitLogTimes(2, "registered again")
	c.waitLog("action failed", "op=ARCHIVE")
	e.giveUp()
	e.hsm("archive", "archive")
	e.wantState("archive", stateArchived)
	e.wantBlob("archive", content)
	e.wantSettled(c)
}

// TestEvicted: the coordinator has forgotten the agent, and is told again.
func TestEvicted(t *testing.T) {
	e, c := startSpare(t)
	for _, command := range []string{"evict", "reconnect"} {
		if r := e.lustre.Command(command); r.Code != 0 {
			t.Fatal(r.Stderr)
		}
	}
	e.archived("f", []byte("content"))
	e.wantSettled(c)
}

// TestCoordinatorDisabled: what runs goes on, and what is asked for waits.
func TestCoordinatorDisabled(t *testing.T) {
	e, c := startSpare(t)
	p := e.write("f", faultFiles["blocks"])
	h := e.gate.Hold(isPutOf("f"))
	e.lfs("hsm_archive", p)
	<-h.Caught
	e.lustre.SetParam("mdt.*.hsm_control", "disabled")
	h.Release()
	c.waitLog("action done", "op=ARCHIVE")
	e.wantState("f", stateArchived)
	e.lustre.SetParam("mdt.*.hsm_control", "enabled")
	e.archived("next", []byte("content"))
}

// TestCoordinatorShutDown: it forgets its agents and what they do. What ends
// meanwhile is told when it is there again, and is news to nobody; then it gets work
// from there as before.
func TestCoordinatorShutDown(t *testing.T) {
	e, c := startSpare(t)
	p := e.write("f", faultFiles["blocks"])
	h := e.gate.Hold(isPutOf("f"))
	e.lfs("hsm_archive", p)
	<-h.Caught
	e.lustre.SetParam("mdt.*.hsm_control", "shutdown")
	h.Release()
	c.waitLog("the coordinator does not take the end", "op=ARCHIVE")
	e.lustre.SetParam("mdt.*.hsm_control", "enabled")
	c.waitLog("action failed", "op=ARCHIVE", "code=Forgotten")
	e.giveUp() // what it has forgotten only the timeout ends
	e.hsm("archive", "f")
	e.wantState("f", stateArchived)
	e.wantBlob("f", faultFiles["blocks"])
}

// TestRestoreWhileTheCoordinatorIsDown: it sends its restores again when it starts,
// and who waits for one gets the data.
func TestRestoreWhileTheCoordinatorIsDown(t *testing.T) {
	e, c := startSpare(t)
	content := faultFiles["blocks"]
	p := e.released("f", content)
	h := e.gate.Hold(isGetOf("f"))
	read := make(chan error, 1)
	go func() { read <- readSame(p, content) }()
	<-h.Caught
	e.lustre.SetParam("mdt.*.hsm_control", "shutdown")
	h.Release()
	c.waitLog("the coordinator does not take the end", "op=RESTORE")
	e.lustre.SetParam("mdt.*.hsm_control", "enabled")
	if err := <-read; err != nil {
		t.Error(err)
	}
	e.lustre.WaitIdle()
	e.wantState("f", stateArchived)
}

// TestEndsAreSaidAgain until the coordinator takes them: what went well has gone well.
func TestEndsAreSaidAgain(t *testing.T) {
	e := newEnv(t, longGrace(testenv.Options{}))
	c := e.startCopytool(e.lustre.Mount())
	content := faultFiles["blocks"]
	e.write("archive", content)
	p := e.released("restore", content)
	e.archived("remove", content)
	for _, tt := range []struct {
		name, op string
		ask      func()
	}{
		{"archive", "ARCHIVE", func() { e.lfs("hsm_archive", e.path("archive")) }},
		{"restore", "RESTORE", func() { e.lfs("hsm_restore", p) }},
		{"remove", "REMOVE", func() { e.lfs("hsm_remove", e.path("remove")) }},
	} {
		e.lustre.Fault("end", "errno=EAGAIN", "count=2")
		tt.ask()
		e.lustre.WaitIdle()
		c.waitLog("action done", "op="+tt.op, e.fid(tt.name))
		e.lustre.ClearFaults()
	}
	e.wantRequests("restore ARCHIVE 1 SUCCEED", "remove ARCHIVE 1 SUCCEED", "archive ARCHIVE 1 SUCCEED", "restore RESTORE 1 SUCCEED", "remove REMOVE 1 SUCCEED")
	e.wantState("archive", stateArchived)
	e.wantBlob("archive", content)
	e.wantContent("restore", content)
	e.wantNoBlob("remove")
	e.wantContent("remove", content)
	if n := e.gate.Count(commitsOf("archive")); n != 1 {
		t.Errorf("the archive was published %d times", n)
	}
}
