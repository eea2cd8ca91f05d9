package copytool

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
)

// inBubble runs a test with an agent whose clock is the bubble's.
func inBubble(t *testing.T, test func(t *testing.T, r *rig), adjust ...func(*Options)) {
	synctest.Test(t, func(t *testing.T) {
		test(t, newRig(t, adjust...))
	})
}

// hold lets requests of a kind wait until the action is interrupted or released.
func (r *rig) hold(op string) (caught chan struct{}, release func()) {
	caught, gate := make(chan struct{}, 100), make(chan struct{})
	r.store.before = func(ctx context.Context, o string, _ blobstore.Name) error {
		if o != op {
			return nil
		}
		caught <- struct{}{}
		select {
		case <-gate:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return caught, func() { close(gate) }
}

func TestCancelOfARunningArchive(t *testing.T) {
	r := newRig(t)
	fid := r.write("f", "content")
	caught, _ := r.hold("put")
	it := r.item(llapi.ActionArchive, fid)
	r.send(it)
	<-caught
	cancel := it
	cancel.Action = llapi.ActionCancel
	r.send(cancel)
	if errno := r.wait(it); errno != syscall.ECANCELED {
		t.Errorf("ended with %v, want ECANCELED", errno)
	}
	if _, ok := r.xattr(fid, ErrorXattr); ok {
		t.Error("a cancel was noted as the file's last error")
	}
	r.wantNoBlob("f")
}

// TestCancelHeardFromProgress: with hsm_control=purge only the reports tell.
func TestCancelHeardFromProgress(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		fid := r.write("f", "content")
		caught, _ := r.hold("put")
		it := r.item(llapi.ActionArchive, fid)
		r.send(it)
		<-caught
		r.mu.Lock()
		r.answer[key{it.Cookie, fid}] = &llapi.Error{Func: "progress", Errno: syscall.ECANCELED}
		r.mu.Unlock()
		if errno := r.wait(it); errno != syscall.ECANCELED {
			t.Errorf("ended with %v, want ECANCELED", errno)
		}
	})
}

func TestCancelHeardFromBegin(t *testing.T) {
	r := newRig(t)
	fid := r.write("f", "content")
	it := r.item(llapi.ActionArchive, fid)
	r.answer[key{it.Cookie, fid}] = &llapi.Error{Func: "begin", Errno: syscall.ECANCELED}
	r.send(it)
	if errno := r.wait(it); errno != syscall.ECANCELED {
		t.Errorf("ended with %v, want ECANCELED", errno)
	}
}

// TestForgottenBeforeItBegan is not to be taken for a file that vanished.
func TestForgottenBeforeItBegan(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		it := r.item(llapi.ActionArchive, r.write("f", "content"))
		r.answer[key{it.Cookie, it.FID}] = &llapi.Error{Func: "begin", Errno: syscall.ENOENT}
		r.send(it)
		synctest.Wait()
		<-r.agent.sched.idle()
		if !strings.Contains(r.log.String(), "code=Forgotten") || len(r.ended[key{it.Cookie, it.FID}]) != 0 {
			t.Errorf("want it dropped as Forgotten, and no end said; the log:\n%s", r.log)
		}
		r.wantNoBlob("f")
	})
}

func TestForgottenActionIsAbandoned(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		fid := r.write("f", "content")
		caught, _ := r.hold("put")
		it := r.item(llapi.ActionArchive, fid)
		r.send(it)
		<-caught
		r.mu.Lock()
		gone := &llapi.Error{Func: "progress", Errno: syscall.ENOENT}
		r.answer[key{it.Cookie, fid}], r.endError[key{it.Cookie, fid}] = gone, gone
		r.mu.Unlock()
		if errno := r.wait(it); errno == syscall.ECANCELED || errno == 0 {
			t.Errorf("ended with %v; only the coordinator may cancel, and nothing was archived", errno)
		}
		r.wantNoBlob("f")
	})
}

// TestProgress: bytes as they move, heartbeats when they do not, and a word
// now and then about actions that wait.
func TestProgress(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		running, waiting := r.item(llapi.ActionArchive, r.write("f", "content")), r.item(llapi.ActionArchive, r.write("g", "content"))
		caught, release := r.hold("put")
		r.send(running)
		<-caught
		r.send(waiting)
		synctest.Wait()
		r.agent.sched.tasks[key{running.Cookie, running.FID}].moved.Store(5)
		time.Sleep(31 * time.Second) // three reports
		r.agent.sched.tasks[key{running.Cookie, running.FID}].moved.Store(7)
		time.Sleep(300 * time.Second)
		r.mu.Lock()
		run, wait := r.progress[key{running.Cookie, running.FID}], r.progress[key{waiting.Cookie, waiting.FID}]
		r.mu.Unlock()
		if len(run) != 33 || run[0] != (llapi.Extent{Offset: 0, Length: 5}) || run[1] != (llapi.Extent{Offset: 5}) || run[3] != (llapi.Extent{Offset: 5, Length: 2}) {
			t.Errorf("%d reports of the running action: %v", len(run), run)
		}
		if len(wait) != 1 || wait[0] != (llapi.Extent{}) {
			t.Errorf("reports of the waiting action: %v, want one of nothing", wait)
		}
		release()
		if a, b := r.wait(running), r.wait(waiting); a != 0 || b != 0 {
			t.Errorf("ended with %v and %v", a, b)
		}
	}, func(o *Options) {
		o.Limits.Archives = 1
		o.ProgressInterval = 10 * time.Second
	})
}

func TestWhatIsNotForUs(t *testing.T) {
	r := newRig(t)
	fid := r.write("f", "content")
	other := r.item(llapi.ActionArchive, fid)
	r.lists <- llapi.ActionList{FSName: "other", ArchiveID: 1, Items: []llapi.ActionItem{other}}

	wrongID := r.item(llapi.ActionArchive, fid)
	r.lists <- llapi.ActionList{FSName: "lustre", ArchiveID: 9, Items: []llapi.ActionItem{wrongID}}
	if errno := r.wait(wrongID); errno != syscall.ENXIO {
		t.Errorf("an archive id that is not configured ended with %v, want ENXIO", errno)
	}
	unknown := r.item(llapi.Action(42), fid)
	r.send(unknown)
	if errno := r.wait(unknown); errno != syscall.EOPNOTSUPP {
		t.Errorf("an unknown action ended with %v, want EOPNOTSUPP", errno)
	}
	r.wantNoBlob("f")
	if ch := r.ended[key{other.Cookie, fid}]; len(ch) != 0 {
		t.Error("an action of another file system was ended at our coordinator")
	}
}

func TestArchiveIDs(t *testing.T) {
	one, rest := &Archive{ID: 1}, &Archive{ID: AnyArchive}
	for _, tt := range []struct {
		as   archives
		id   uint32
		want *Archive
	}{
		{archives{one, rest}, 1, one},
		{archives{one, rest}, 2, rest},
		{archives{one, rest}, 0, rest},
		{archives{one}, 0, one},
		{archives{one}, 2, nil},
	} {
		if got, _ := tt.as.byID(tt.id); got != tt.want {
			t.Errorf("%d archives, id %d: %v, want %v", len(tt.as), tt.id, got, tt.want)
		}
	}
}

// TestLostRegistration: the running action goes on, and new ones come through
// the new registration.
func TestLostRegistration(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		running, next := r.item(llapi.ActionArchive, r.write("f", "content")), r.item(llapi.ActionArchive, r.write("g", "content"))
		caught, release := r.hold("put")
		r.send(running)
		<-caught
		refusals := 2
		r.mu.Lock()
		r.register = func() error {
			if refusals--; refusals >= 0 {
				return errors.New("the coordinator is not back yet")
			}
			return nil
		}
		r.mu.Unlock()
		r.fails <- &llapi.Error{Func: "recv", Errno: syscall.EPIPE}
		synctest.Wait() // until the old registration is over
		r.send(next)
		<-caught
		if len(r.sessions) != 2 {
			t.Errorf("%d registrations, want 2", len(r.sessions))
		}
		release()
		if a, b := r.wait(running), r.wait(next); a != 0 || b != 0 {
			t.Errorf("ended with %v and %v", a, b)
		}
	})
}

// TestLostList is no reason to give up, and several in a row are one to renew
// the registration.
func TestLostList(t *testing.T) {
	r := newRig(t)
	lost := &llapi.Error{Func: "recv", Errno: syscall.EPROTO}
	r.fails <- lost
	r.archive(r.write("f", "content"))
	if n := len(r.sessions); n != 1 {
		t.Errorf("%d registrations after one lost list, want 1", n)
	}
	for range maxLostLists {
		r.fails <- lost
	}
	r.log.wait(t, "registered again")
	r.archive(r.write("g", "content"))
	if n := len(r.sessions); n != 2 {
		t.Errorf("%d registrations after %d lost lists, want 2", n, maxLostLists)
	}
}

func TestDrainLetsActionsEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		running, waiting := r.item(llapi.ActionArchive, r.write("f", "content")), r.item(llapi.ActionArchive, r.write("g", "content"))
		caught, release := r.hold("put")
		r.send(running, waiting)
		<-caught
		r.drain()
		synctest.Wait()
		if st := r.agent.Status(); st.Serving || !st.Draining || st.Running["ARCHIVE"] != 1 || st.Waiting["ARCHIVE"] != 1 {
			t.Errorf("status while draining: %+v", st)
		}
		release()
		if a, b := r.wait(running), r.wait(waiting); a != 0 || b != 0 {
			t.Errorf("ended with %v and %v, want success of both", a, b)
		}
	}, func(o *Options) { o.Limits.Archives = 1 })
}

// TestSentWhileUnregistering: the kernel may hold up the end of a registration until
// what it has to say is read, even after the second signal.
func TestSentWhileUnregistering(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		first, last := r.item(llapi.ActionArchive, r.write("f", "content")), r.item(llapi.ActionArchive, r.write("g", "content"))
		r.ending = func() {
			r.kill()
			r.send(first)
			select {
			case r.fails <- &llapi.Error{Func: "recv", Errno: syscall.EPROTO}:
			case <-time.After(time.Minute):
				t.Error("nobody reads while the registration ends")
			}
			r.send(last)
			synctest.Wait()
		}
		r.drain()
		<-r.done
		r.done <- nil
		for _, it := range []llapi.ActionItem{first, last} {
			if len(r.ended[key{it.Cookie, it.FID}]) != 1 {
				t.Errorf("the action with cookie %d has no end", it.Cookie)
			}
		}
	})
}

func TestDrainEnds(t *testing.T) {
	for name, end := range map[string]func(r *rig){
		"timeout":       func(*rig) { time.Sleep(time.Minute) },
		"second signal": func(r *rig) { r.kill() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				fid := r.write("f", "content")
				running, waiting := r.item(llapi.ActionArchive, fid), r.item(llapi.ActionArchive, r.write("g", "content"))
				caught, _ := r.hold("put")
				r.send(running, waiting)
				<-caught
				r.drain()
				end(r)
				if a, b := r.wait(running), r.wait(waiting); a != syscall.EAGAIN || b != syscall.EAGAIN {
					t.Errorf("ended with %v and %v, want EAGAIN twice", a, b)
				}
				r.wantCode(fid, ShuttingDown)
			}, func(o *Options) {
				o.Limits.Archives = 1
				o.DrainTimeout = time.Minute
			})
		})
	}
}

func TestFirstRegistrationFails(t *testing.T) {
	r := prepareRig(t)
	r.register = func() error { return errors.New("no coordinator") }
	if err := r.agent.Serve(t.Context(), t.Context()); err == nil || !strings.Contains(err.Error(), "no coordinator") {
		t.Errorf("Serve: %v, want the registration's error", err)
	}
}

// TestOneLinePerAction is what operators search by.
func TestOneLinePerAction(t *testing.T) {
	r := newRig(t)
	fid := r.write("dir/f", "content")
	r.archive(fid)
	r.stop()
	for _, word := range []string{"op=ARCHIVE", "code=OK", "fid=" + fid.String(), "path=dir/f", "size=7", "bytes=7", "mib_per_second=", "cookie=0x", "seconds="} {
		if !strings.Contains(r.log.String(), word) {
			t.Errorf("the log does not contain %q:\n%s", word, r.log)
		}
	}
}
