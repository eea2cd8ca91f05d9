package acceptance

import (
	"syscall"
	"testing"
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
// copytool is idle and while it is at work. What it could not report ends by the
// coordinator's timeout.
func TestMountLostAndBack(t *testing.T) {
	e, c := startSpare(t)
	e.lustre.SetParam("mdt.*.hsm.active_request_timeout", "1s")
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
	c.waitLog("action failed", "op=ARCHIVE")
	e.lustre.Restart()
	c.waitLogTimes(2, "registered again")
	e.lustre.WaitIdle()
	e.hsm("archive", "archive")
	e.wantState("archive", stateArchived)
	e.wantBlob("archive", content)
	c.wantMetric("lhsm_azblob_memory_in_use_bytes", 0)
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
	c.wantMetric("lhsm_azblob_memory_in_use_bytes", 0)
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

// TestCoordinatorShutDown: it forgets its agents and does not tell them. What
// runs cannot be reported, and a copytool that starts anew gets work again.
func TestCoordinatorShutDown(t *testing.T) {
	e, c := startSpare(t)
	e.lustre.SetParam("mdt.*.hsm.active_request_timeout", "1s")
	p := e.write("f", faultFiles["blocks"])
	h := e.gate.Hold(isPutOf("f"))
	e.lfs("hsm_archive", p)
	<-h.Caught
	e.lustre.SetParam("mdt.*.hsm_control", "shutdown")
	h.Release()
	c.waitLog("action failed", "op=ARCHIVE", "code=NotReported")
	e.lustre.SetParam("mdt.*.hsm_control", "enabled")
	c.stop()
	e.startCopytool(e.lustre.Mount())
	e.lustre.WaitIdle()
	e.hsm("archive", "f")
	e.wantState("f", stateArchived)
	e.wantBlob("f", faultFiles["blocks"])
}
