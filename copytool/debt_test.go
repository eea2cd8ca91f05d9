package copytool

import (
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lhsm-azblob/llapi"
)

// owes has the agent do an action whose end is not taken.
func (r *rig) owes(action llapi.Action, fid llapi.FID, errno syscall.Errno) llapi.ActionItem {
	it := r.item(action, fid)
	r.refuseEnds(it, errno)
	r.send(it)
	synctest.Wait()
	return it
}

// TestSuccessThatIsNotTaken is said again until it is, and what was done is not done
// twice where the library still allows to say so.
func TestSuccessThatIsNotTaken(t *testing.T) {
	for _, tt := range []struct {
		action   llapi.Action
		requests string // to the store, after the first end
	}{
		{llapi.ActionArchive, ""},
		{llapi.ActionRemove, ""},
		{llapi.ActionRestore, "get"},
	} {
		t.Run(tt.action.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				fid := r.write("f", "content")
				if tt.action != llapi.ActionArchive {
					r.archive(fid)
				}
				if tt.action == llapi.ActionRestore {
					r.release(fid)
				}
				it := r.owes(tt.action, fid, syscall.ESHUTDOWN)
				r.store.log()
				time.Sleep(10 * time.Minute) // which is a long time for a coordinator to be away
				r.takeEnds(it)
				if errno := r.wait(it); errno != 0 {
					t.Errorf("ended with %v", errno)
				}
				synctest.Wait()
				for _, request := range r.store.log() {
					if op, _, _ := strings.Cut(request, " "); op != tt.requests && op != "stat" {
						t.Errorf("after the first end: %s", request)
					}
				}
				r.wantContent(fid, "content")
				if n := strings.Count(r.log.String(), "code=OK op="); n > 1 {
					t.Errorf("%d lines for one action", n)
				}
			})
		})
	}
}

// TestFailureThatIsNotTaken keeps its reason.
func TestFailureThatIsNotTaken(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		fid := r.write("never archived", "content")
		it := r.owes(llapi.ActionRestore, fid, syscall.ESHUTDOWN)
		r.archive(fid) // the file is free
		time.Sleep(time.Hour)
		r.takeEnds(it)
		if errno := r.wait(it); errno != syscall.ENOENT {
			t.Errorf("ended with %v, want ENOENT as at first", errno)
		}
	})
}

// TestLayoutThatTheFileIsNotGiven: the coordinator has ended the restore when it says so.
func TestLayoutThatTheFileIsNotGiven(t *testing.T) {
	r := newRig(t)
	it := r.item(llapi.ActionRestore, r.released("f", "content"))
	r.refuseEnds(it, syscall.EOPNOTSUPP)
	r.send(it)
	if errno := r.wait(it); errno != syscall.EOPNOTSUPP {
		t.Errorf("ended with %v, want EOPNOTSUPP", errno)
	}
	<-r.agent.sched.idle()
	r.wantCode(it.FID, LustreError)
	if n := r.begun; n != 1 {
		t.Errorf("%d files were begun, want one", n)
	}
}

// TestChangedBeforeTheSecondEnd: the kernel would compare with the version at the
// second begin, and call a file archived whose copy is old.
func TestChangedBeforeTheSecondEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		fid := r.write("f", "content")
		it := r.owes(llapi.ActionArchive, fid, syscall.EIO)
		r.change(fid, "other")
		r.takeEnds(it)
		if errno := r.wait(it); errno != syscall.EBUSY {
			t.Errorf("ended with %v, want EBUSY", errno)
		}
		synctest.Wait()
		r.wantCode(fid, FileChanged)
	})
}

// TestForgottenBeforeTheSecondEnd: then there is nobody left to tell.
func TestForgottenBeforeTheSecondEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		fid := r.write("f", "content")
		it := r.owes(llapi.ActionArchive, fid, syscall.EIO)
		r.mu.Lock()
		r.answer[key{it.Cookie, fid}] = &llapi.Error{Func: "progress", Errno: syscall.ENOENT}
		r.mu.Unlock()
		time.Sleep(time.Minute)
		<-r.agent.sched.idle()
		r.wantBlob("f", "content")
		if !strings.Contains(r.log.String(), "code=Forgotten") {
			t.Errorf("want the action dropped as Forgotten; the log:\n%s", r.log)
		}
	})
}

// TestOwedEndsDoNotHoldUpTheDrain beyond its timeout.
func TestOwedEndsDoNotHoldUpTheDrain(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.owes(llapi.ActionArchive, r.write("f", "content"), syscall.ESHUTDOWN)
		begin := time.Now()
		r.stop()
		if took := time.Since(begin); took != time.Minute {
			t.Errorf("stopped after %v, want the drain timeout of a minute", took)
		}
	}, func(o *Options) { o.DrainTimeout = time.Minute })
}

// TestForgottenRestoreIsAbandoned: a coordinator that was restarted may be sending
// it again, under the cookie that an end would name.
func TestForgottenRestoreIsAbandoned(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		fid := r.write("f", "content")
		r.archive(fid)
		r.release(fid)
		caught, release := r.hold("get")
		it := r.item(llapi.ActionRestore, fid)
		r.send(it)
		<-caught
		r.scribble()
		r.mu.Lock()
		r.answer[key{it.Cookie, fid}] = &llapi.Error{Func: "progress", Errno: syscall.ENOENT}
		r.mu.Unlock()
		time.Sleep(time.Minute)
		r.mu.Lock()
		delete(r.answer, key{it.Cookie, fid})
		r.mu.Unlock()
		release()
		r.send(it)
		if errno := r.wait(it); errno != 0 {
			t.Errorf("the restore that was sent again ended with %v", errno)
		}
		r.wantContent(fid, "content")
	})
}
