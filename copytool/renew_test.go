package copytool

import (
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lhsm-azblob/llapi"
)

func (l *fakeLustre) renewed() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.renewals
}

func TestRegistrationIsRenewed(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		time.Sleep(50*time.Minute + time.Second)
		if n := r.renewed(); n != 10 {
			t.Errorf("%d renewals in ten times five minutes", n)
		}
	})
}

// TestNoRenewalWhileActionsCome: it could only do harm, where another metadata server
// has its coordinator stopped.
func TestNoRenewalWhileActionsCome(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		fid := r.write("f", "content")
		for range 10 {
			time.Sleep(r.agent.o.RenewInterval - time.Second)
			r.archive(fid)
		}
		if n := r.renewed(); n != 0 {
			t.Errorf("%d renewals, want none", n)
		}
		time.Sleep(r.agent.o.RenewInterval)
		synctest.Wait()
		if n := r.renewed(); n != 1 {
			t.Errorf("%d renewals after a time of silence, want one", n)
		}
	})
}

// TestRenewalFails: it is tried again soon, and the status says so meanwhile.
func TestRenewalFails(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		stopped := true
		r.mu.Lock()
		r.renew = func() error {
			if stopped {
				return errors.New("the coordinator is stopped")
			}
			return nil
		}
		r.mu.Unlock()
		r.agent.doubtRegistration()
		synctest.Wait()
		if r.agent.Status().Serving {
			t.Error("it claims to serve")
		}
		r.mu.Lock()
		stopped = false
		r.mu.Unlock()
		time.Sleep(minBackoff)
		synctest.Wait()
		if n := r.renewed(); n != 2 || !r.agent.Status().Serving {
			t.Errorf("%d renewals, status %+v; want it registered again at the second", n, r.agent.Status())
		}
	})
}

// TestDoubtAfterAReport: a coordinator that does not know an action was restarted, and
// so may have been one that was stopped or away. While it still is, a renewal would fail.
func TestDoubtAfterAReport(t *testing.T) {
	for errno, want := range map[syscall.Errno]struct{ during, after int }{
		syscall.ENOENT: {1, 1}, syscall.EAGAIN: {0, 1}, syscall.EIO: {0, 1}, 0: {0, 0},
	} {
		inBubble(t, func(t *testing.T, r *rig) {
			fid := r.write("f", "content")
			caught, release := r.hold("put")
			it := r.item(llapi.ActionArchive, fid)
			r.send(it)
			<-caught
			if errno != 0 {
				r.answerProgress(it, &llapi.Error{Func: "progress", Errno: errno})
			}
			time.Sleep(r.agent.o.ProgressInterval)
			synctest.Wait()
			if n := r.renewed(); n != want.during {
				t.Errorf("%v: %d renewals, want %d", errno, n, want.during)
			}
			r.answerProgress(it, nil)
			time.Sleep(r.agent.o.ProgressInterval)
			synctest.Wait()
			if n := r.renewed(); n != want.after {
				t.Errorf("%v, and then an answer: %d renewals, want %d", errno, n, want.after)
			}
			release()
			r.wait(it)
		})
	}
}

// answerProgress is what the coordinator says to reports about an action from now on.
func (l *fakeLustre) answerProgress(it llapi.ActionItem, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answer[key{it.Cookie, it.FID}] = err
}

// TestNoDoubtAfterAnEnd: that a coordinator does not know an action that has just ended
// says nothing about the registration. With thousands of actions it happens all the time.
func TestNoDoubtAfterAnEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		fid := r.write("f", "content")
		caught, release := r.hold("put")
		it := r.item(llapi.ActionArchive, fid)
		r.onReport = func(llapi.ActionItem) { // the report is on its way when the action ends
			release()
			r.wait(it)
		}
		r.send(it)
		<-caught
		time.Sleep(r.agent.o.ProgressInterval)
		synctest.Wait()
		if n := r.renewed(); n != 0 || !r.over[key{it.Cookie, fid}] {
			t.Errorf("%d renewals, want none", n)
		}
	})
}
