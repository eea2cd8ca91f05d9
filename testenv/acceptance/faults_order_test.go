package acceptance

import (
	"net/http"
	"strings"
	"syscall"
	"testing"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/gate"
)

// What comes twice, too early, too late, or again.

// TestArchiveOnTwoMoversAtOnce: the coordinator does not merge duplicates, and
// gives the second to the mover that is idle. Both have all bytes in the
// container before either makes them visible.
func TestArchiveOnTwoMoversAtOnce(t *testing.T) {
	e := newEnv(t, longGrace(testenv.Options{Mounts: 2}))
	a := e.startSpare()
	b := e.startCopytool(e.lustre.Mounts()[1], "--block-size", "256KiB")
	for name, content := range faultFiles {
		p := e.write(name, content)
		fid := e.fid(name)
		h := e.gate.Hold(isPutOf(name))
		for range 2 { // the second goes to the agent that has less to do
			e.lfs("hsm_archive", p)
			<-h.Caught
		}
		h.Release()
		e.lustre.WaitIdle()
		for _, c := range []*copytool{a, b} {
			c.waitLog("action done", "op=ARCHIVE", fid, "code=OK")
		}
		e.wantState(name, stateArchived)
		e.wantBlob(name, content)
		e.wantNoError(name)
		e.lfs("hsm_release", p)
		e.wantContent(name, content) // so the file knows the blob that was the last
	}
	e.wantSettled(a)
}

// TestCancelAfterItsTarget: what waited when its target ended is sent all the
// same, and must hit nothing.
func TestCancelAfterItsTarget(t *testing.T) {
	e, c := startSpare(t)
	content := faultFiles["small"]
	p := e.write("f", content)
	h := e.gate.Hold(isPutOf("f"))
	e.lfs("hsm_archive", p)
	<-h.Caught
	e.lustre.SetParam("mdt.*.hsm_control", "disabled")
	e.lfs("hsm_cancel", p)
	h.Release()
	c.waitLog("action done", "op=ARCHIVE", e.fid("f"))
	e.lustre.SetParam("mdt.*.hsm_control", "enabled")
	c.waitLog("received", "op=CANCEL", e.fid("f"))
	e.wantState("f", stateArchived)
	e.wantBlob("f", content)
	e.append("f", []byte("more"))
	e.lfs("hsm_archive", p)
	c.waitLogTimes(2, "action done", "op=ARCHIVE", e.fid("f"))
	e.wantBlob("f", append(content[:len(content):len(content)], "more"...))
	e.wantSettled(c)
}

// TestCancelOvertakesItsTarget: messages of two sources need not keep their order.
func TestCancelOvertakesItsTarget(t *testing.T) {
	e, c := startSpare(t)
	content := faultFiles["small"]
	restore := e.released("restore", content)
	for op, rel := range map[string]string{"ARCHIVE": "archive", "RESTORE": "restore"} {
		if op == "ARCHIVE" {
			e.write(rel, content)
		}
		fid := e.fid(rel)
		seen := e.gate.Count(func(r gate.Request) bool { return pathIs(r.Path, rel) })
		e.lustre.Fault("pipe-late", "count=1")
		e.lfs("hsm_"+strings.ToLower(op), e.path(rel))
		e.awaitStatus(op, fid, "STARTED")
		e.lfs("hsm_cancel", e.path(rel))
		c.waitLog("level=INFO msg=\"action canceled\"", "op="+op, fid, "code=Canceled", "errno=125")
		e.lustre.WaitIdle()
		if n := e.gate.Count(func(r gate.Request) bool { return pathIs(r.Path, rel) }); n != seen {
			t.Errorf("%s: %d requests were made for a cancelled action", op, n-seen)
		}
		if got := e.toldErrno(op, fid); got != syscall.ECANCELED {
			t.Errorf("%s: the changelog has errno %v", op, got)
		}
	}
	e.wantNoBlob("archive")
	e.hsm("archive", "archive")
	e.wantState("archive", stateArchived)
	e.wantState("restore", stateReleased)
	if err := readSame(restore, content); err != nil {
		t.Error(err)
	}
	e.wantSettled(c)
}

// TestPassingFailuresAreTriedAgain: with the policy that allows it the
// coordinator queues the action again, under the same cookie, until it succeeds.
func TestPassingFailuresAreTriedAgain(t *testing.T) {
	e, c := startSpare(t, "--retries", "0")
	e.lustre.SetParam("mdt.*.hsm.policy", "-NRA")
	content := faultFiles["blocks"]
	for code, do := range map[string]gate.Spoiler{"Throttled": gate.Refuse(503, "ServerBusy"), "AccountUnreachable": gate.HangUp} {
		p := e.released(code+"-restore", content)
		e.write(code+"-archive", content)
		e.gate.Fault(func(r *http.Request) bool { return strings.Contains(r.URL.Path, code) }, -1, do)
		e.lfs("hsm_archive", e.path(code+"-archive"))
		c.waitLogTimes(2, "action failed", "op=ARCHIVE", "code="+code, "retry=true", e.fid(code+"-archive"))
		read := make(chan error, 1)
		go func() { read <- readSame(p, content) }()
		c.waitLogTimes(2, "action failed", "op=RESTORE", "code="+code, "retry=true", e.fid(code+"-restore"))
		e.gate.Heal()
		if err := <-read; err != nil {
			t.Errorf("who was waiting all the time: %v", err)
		}
		e.lustre.WaitIdle()
		for op, rel := range map[string]string{"ARCHIVE": code + "-archive", "RESTORE": code + "-restore"} {
			cookies := map[string]bool{}
			for _, line := range c.log() {
				if containsAll(line, []string{"msg=\"action ", "op=" + op, e.fid(rel)}) {
					_, cookie, _ := strings.Cut(line, "cookie=")
					cookies[strings.Fields(cookie)[0]] = true
				}
			}
			if len(cookies) != 1 {
				t.Errorf("%s: the tries have the cookies %v, want the one", rel, cookies)
			}
			if got := e.lastStatus(op, e.fid(rel)); got != "SUCCEED" {
				t.Errorf("%s: %s ends as %s", rel, op, got)
			}
			e.wantState(rel, stateArchived)
			e.wantNoError(rel)
		}
		e.wantBlob(code+"-archive", content)
	}
	// What another try would only repeat is not tried again.
	e.gate.Fault(isWriteOf("for-good"), -1, gate.Refuse(403, "AuthorizationFailure"))
	e.write("for-good", content)
	e.hsm("archive", "for-good")
	e.wantFailure(c, "ARCHIVE", "for-good", "AuthFailed", syscall.EACCES)
	e.wantSettled(c)
}
