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
		time.Sleep(10*time.Minute + time.Second)
		if n := r.renewed(); n != 10 {
			t.Errorf("%d renewals in ten minutes of one each", n)
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

// TestDoubtAfterAReport: what only a coordinator says that was restarted.
func TestDoubtAfterAReport(t *testing.T) {
	for errno, want := range map[syscall.Errno]int{syscall.ENOENT: 1, syscall.EAGAIN: 1, syscall.EIO: 0} {
		inBubble(t, func(t *testing.T, r *rig) {
			fid := r.write("f", "content")
			caught, release := r.hold("put")
			it := r.item(llapi.ActionArchive, fid)
			r.send(it)
			<-caught
			r.mu.Lock()
			r.answer[key{it.Cookie, fid}] = &llapi.Error{Func: "progress", Errno: errno}
			r.mu.Unlock()
			time.Sleep(r.agent.o.ProgressInterval)
			synctest.Wait()
			if n := r.renewed(); n != want {
				t.Errorf("%v: %d renewals, want %d", errno, n, want)
			}
			release()
			r.wait(it)
		})
	}
}
