package state

import (
	"context"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// reader waits for a file's data in a goroutine of its own.
func (w *world) reader(fid FID) (done chan error) {
	done = make(chan error, 1)
	go func() { done <- w.WaitRestored(w.t.Context(), fid) }()
	synctest.Wait()
	return done
}

func (w *world) wantBlocked(readers ...chan error) {
	w.t.Helper()
	synctest.Wait()
	for n, r := range readers {
		select {
		case err := <-r:
			w.t.Fatalf("reader %d came back with %v", n, err)
		default:
		}
	}
}

func (w *world) wantDone(want error, readers ...chan error) {
	w.t.Helper()
	synctest.Wait()
	for n, r := range readers {
		select {
		case err := <-r:
			w.is(err, want)
		default:
			w.t.Fatalf("reader %d is still blocked", n)
		}
	}
}

func TestReadersWaitForTheRestore(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := c.released("f", "content")
		readers := []chan error{w.reader(f), w.reader(f), w.reader(f)}
		l, _ := c.next()
		if len(l.Items) != 1 || l.Flags != FlagBlocking {
			t.Fatalf("message %+v", l)
		}
		w.wantBlocked(readers...)
		w.ok(w.request(alice, UserRestore, 0, f)) // joins
		w.wantStatuses("ARCHIVE SUCCEED, RESTORE STARTED")
		c.restore(l.Items[0], "content")
		w.wantDone(nil, readers...)
		w.wantDone(nil, w.reader(f))
	})
}

// The caller whose request fails gets ENODATA; who waited behind it asks again.
func TestFailedRestore(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := c.released("f", "x")
		first := w.reader(f)
		second := w.reader(f)
		it := c.mustNext(1)[0]
		w.ok(c.end(it, 0, syscall.ENOENT))
		w.wantDone(syscall.ENODATA, first)
		w.wantBlocked(second)
		w.wantState(f, Exists|Archived|Released, 1)
		again := c.mustNext(1)[0]
		if again.Cookie == it.Cookie {
			t.Error("the same request again")
		}
		c.restore(again, "x")
		w.wantDone(nil, second)
	})
}

func TestCancelledRestore(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := c.released("f", "x")
		r := w.reader(f)
		h, it := c.volatile(c.mustNext(1)[0])
		defer h.Release()
		w.ok(w.request(Root, UserCancel, 0, f))
		c.mustNext(1)
		w.is(w.Progress(Root, Progress{FID: it.DFID, Cookie: it.Cookie}), syscall.ECANCELED)
		it.FID = it.DFID
		w.ok(c.end(it, 0, syscall.ECANCELED))
		w.wantDone(syscall.ENODATA, r)
		w.wantStatuses("ARCHIVE SUCCEED, RESTORE CANCELED, CANCEL SUCCEED")
		w.wantState(f, Exists|Archived|Released, 1)
	})
}

// Facts/real-lustre.md section 5.9: neither cancel nor purge frees a reader.
func TestReaderWithoutACopytool(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := c.released("f", "x")
		c.Unregister()
		r := w.reader(f)
		w.ok(w.request(Root, UserCancel, 0, f))
		w.sleep("30s")
		w.wantBlocked(r)
		w.set("mdt.*.hsm_control=purge")
		w.wantBlocked(r)
		w.wantStatuses("ARCHIVE SUCCEED, RESTORE CANCELED, CANCEL CANCELED, RESTORE WAITING")
		c = w.tool(1)
		c.restore(c.mustNext(1)[0], "x")
		w.wantDone(nil, r)
	})
}

func TestReaderGivesUp(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := c.released("f", "x")
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
		defer cancel()
		w.is(w.WaitRestored(ctx, f), syscall.EINTR)
		c.restore(c.mustNext(1)[0], "x") // the request lives on
	})
}

func TestReaderIsToldAtOnce(t *testing.T) {
	for name, param := range map[string]string{
		"policy":  "mdt.*.hsm.policy=+NonBlockingRestore",
		"stopped": "mdt.*.hsm_control=shutdown",
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, enabled, func(w *world) {
				c := w.tool(1)
				f := c.released("f", "x")
				w.set(param)
				w.is(w.WaitRestored(w.t.Context(), f), syscall.ENODATA)
				w.is(w.WaitRestored(w.t.Context(), FID{firstSeq, 0x9999, 0}), syscall.ENOENT)
				if name == "policy" {
					w.wantStatuses("ARCHIVE SUCCEED, RESTORE STARTED") // behind it
				}
			})
		})
	}
}

func TestRestoreTimeout(t *testing.T) {
	inBubble(t, with("mdt.*.hsm.active_request_timeout", "20"), func(w *world) {
		c := w.tool(1)
		f := c.released("f", "x")
		r := w.reader(f)
		it := c.mustNext(1)[0]
		for range 3 { // progress keeps it alive
			w.sleep("15s")
			w.ok(w.Progress(Root, Progress{FID: f, Cookie: it.Cookie}))
		}
		w.wantBlocked(r)
		w.sleep("31s")
		w.wantDone(syscall.ENODATA, r)
		w.is(w.Progress(Root, Progress{FID: f, Cookie: it.Cookie}), syscall.ENOENT)
	})
}

// Section 9: an orphaned restore can be taken over as long as only the file's
// own FID was reported.
func TestTakeOverOfARestore(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := c.released("f", "right data")
		r := w.reader(f)
		it := c.mustNext(1)[0]
		dead, _ := c.volatile(it)
		w.writeHandle(dead, "wrong")
		w.ok(w.Progress(Root, Progress{FID: f, Cookie: it.Cookie, Extent: Extent{0, 1 << 20}}))
		if a, _ := w.CurrentAction(f); a.Extent.Length != 1<<20 {
			t.Errorf("moved %d", a.Extent.Length)
		}
		dead.Release() // SIGKILL
		c.restore(it, "right data")
		w.wantDone(nil, r)
		if got := w.read(f); got != "right data" {
			t.Errorf("restored %q", got)
		}
	})
}

func TestBoundRestoreCanOnlyBeFailed(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := c.released("f", "x")
		r := w.reader(f)
		it := c.mustNext(1)[0]
		dead, bound := c.volatile(it)
		w.ok(w.Progress(Root, Progress{FID: bound.DFID, Cookie: it.Cookie}))
		dead.Release()
		h, mine := c.volatile(it)
		defer h.Release()
		w.is(w.Progress(Root, Progress{FID: mine.DFID, Cookie: it.Cookie}), syscall.EINVAL)
		mine.FID = mine.DFID
		w.is(c.end(mine, 0, 0), syscall.EINVAL)
		it.DFID = it.FID
		w.ok(c.end(it, 0, syscall.EAGAIN)) // begin(is_error), end
		w.wantDone(syscall.ENODATA, r)
		w.wantStatuses("ARCHIVE SUCCEED, RESTORE FAILED")
	})
}

func TestRestoreWhoseVolatileIsGone(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := c.released("f", "x")
		r := w.reader(f)
		h, it := c.volatile(c.mustNext(1)[0])
		h.Release() // its objects are gone with it
		w.ok(w.Progress(Root, Progress{FID: it.DFID, Cookie: it.Cookie}))
		w.is(w.Progress(Root, Progress{FID: it.DFID, Cookie: it.Cookie, Flags: ProgressCompleted}), syscall.ENOENT)
		w.wantDone(syscall.ENODATA, r)
		w.wantStatuses("ARCHIVE SUCCEED, RESTORE FAILED")
		w.wantState(f, Exists|Archived|Released, 1)
	})
}

// COPY_END with the file's own FID waits for the lock that the restore holds.
func TestEndOfARestoreWithTheWrongFID(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := c.released("f", "x")
		w.ok(w.request(Root, UserRestore, 0, f))
		it := c.mustNext(1)[0]
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
		defer cancel()
		_, err := w.CopyEnd(ctx, Root, Copy{Item: it})
		w.is(err, syscall.EINTR)
		w.wantStatuses("ARCHIVE SUCCEED, RESTORE STARTED")
	})
}

func TestUnlinkDuringRestore(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := c.released("f", "x")
		w.ok(w.request(Root, UserRestore, 0, f))
		it := c.mustNext(1)[0]
		w.ok(w.Unlink(RootFID, "f", Root))
		c.restore(it, "x")
		w.wantStatuses("ARCHIVE SUCCEED, RESTORE SUCCEED")
	})
}

func TestRestoreTakesTheLayoutOfTheVolatile(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := c.released("f", "x")
		w.ok(w.request(Root, UserRestore, 0, f))
		h, it := c.volatile(c.mustNext(1)[0])
		defer h.Release()
		_, err := w.GetXattr(h.FID(), Root, xattrLustreLOV)
		w.is(err, syscall.ENODATA)       // O_LOV_DELAY_CREATE
		object, _, err := h.OpenObject() // which the front end does at once
		w.ok(err)
		w.ok(object.Close())
		lov := layoutV1(4, 2<<20)
		w.ok(w.SetXattr(h.FID(), Root, xattrLustreLOV, lov, 1))
		w.is(w.SetXattr(h.FID(), Root, xattrLustreLOV, lov, 1), syscall.EEXIST)
		w.writeHandle(h, "x")
		it.FID = it.DFID
		w.ok(c.end(it, 0, 0))
		got, err := w.GetXattr(f, Root, xattrLOV)
		w.ok(err)
		if le.Uint32(got[24:]) != 2<<20 || le.Uint16(got[28:]) != 4 || len(got) != 32+4*24 {
			t.Errorf("layout of %d bytes: stripe size %d, count %d", len(got), le.Uint32(got[24:]), le.Uint16(got[28:]))
		}
	})
}

func TestDescriptorsOutliveTheObject(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		f := w.tool(1).archived("f", "content")
		h, err := w.Open(f, os.O_RDONLY, Root)
		w.ok(err)
		defer h.Release()
		file, _, err := h.OpenObject()
		w.ok(err)
		defer file.Close()
		w.ok(w.Release(f, Root))
		b := make([]byte, 7)
		if _, err := file.ReadAt(b, 0); err != nil || string(b) != "content" {
			t.Errorf("read %q, %v", b, err)
		}
	})
}
