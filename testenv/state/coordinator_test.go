package state

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// Facts/real-lustre.md section 5.1: requests that nobody serves take slots.
func TestHeadOfLineStarvation(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		g := c.released("g", "x")
		unserved := func(name string) { w.ok(w.request(Root, UserArchive, 7, w.file(name, "x"))) }
		unserved("f1")
		unserved("f2")
		w.archiveReq(w.file("f4", "x"))
		c.do(c.mustNext(1)[0]) // two leave a slot
		unserved("f3")
		w.archiveReq(w.file("f5", "x"))
		c.mustIdle() // three do not
		w.sleep("1m")
		c.mustIdle()
		w.ok(w.request(Root, UserRestore, 0, g)) // though a restore gets through
		it := c.mustNext(1)[0]
		if it.Action != ActionRestore {
			t.Fatalf("sent %v", it)
		}
		w.set("mdt.*.hsm.max_requests=10")
		c.do(c.mustNext(1)[0])
	})
}

// Section 5.2: a cancel of a waiting request only queues; purge clears.
func TestCancelOfUnservedRequest(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		f := w.file("f1", "x")
		w.ok(w.request(Root, UserArchive, 7, f))
		w.ok(w.request(Root, UserCancel, 0, f))
		w.sleep("2h")
		w.wantStatuses("ARCHIVE WAITING, CANCEL WAITING")
		if a, _ := w.CurrentAction(f); a.Action != UserArchive || a.State != ProgressWaiting {
			t.Errorf("current action %+v", a)
		}
		w.set("mdt.*.hsm_control=purge")
		w.wantStatuses("ARCHIVE CANCELED, CANCEL CANCELED")
		if got := w.param("mdt.*.hsm_control"); got != "enabled" {
			t.Errorf("after the purge: %s", got)
		}
	})
}

// A waiting request and its cancel are sent together, and the copytool must end
// the request.
func TestTargetAndCancelInOneMessage(t *testing.T) {
	inBubble(t, with("mdt.*.hsm_control", "enabled"), func(w *world) {
		w.set("mdt.*.hsm_control=disabled")
		f := w.file("f", "x")
		w.archiveReq(f)
		w.ok(w.request(Root, UserCancel, 0, f))
		c := w.tool(1)
		w.set("mdt.*.hsm_control=enabled")
		items := c.mustNext(2)
		if items[0].Action != ActionArchive || items[1].Action != ActionCancel || items[0].Cookie != items[1].Cookie {
			t.Fatalf("message %+v", items)
		}
		w.wantStatuses("ARCHIVE CANCELED, CANCEL STARTED")
		_, err := w.CopyStart(Root, Copy{Item: items[0]})
		w.is(err, syscall.ECANCELED)
		w.ok(c.end(items[0], 0, syscall.ECANCELED))
		w.wantStatuses("ARCHIVE CANCELED, CANCEL SUCCEED")
	})
}

// Section 5.5: cancel of a running archive.
func TestCancelOfRunningArchive(t *testing.T) {
	for name, c := range map[string]struct {
		errno   syscall.Errno
		records string
		flags   Flags
		agent   string
	}{
		"obeyed":         {syscall.ECANCELED, "ARCHIVE CANCELED, CANCEL SUCCEED", Exists, "[current:0 ok:0 errors:1]"},
		"too late":       {0, "ARCHIVE CANCELED, CANCEL SUCCEED", Exists | Archived, "[current:0 ok:1 errors:0]"},
		"failed instead": {syscall.EIO, "ARCHIVE CANCELED, CANCEL FAILED", Exists, "[current:0 ok:0 errors:1]"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, enabled, func(w *world) {
				tool := w.tool(1)
				f := w.file("big", "x")
				w.archiveReq(f)
				it := tool.mustNext(1)[0]
				dv := tool.start(it)
				w.ok(w.request(Root, UserCancel, 0, f))
				if cancel := tool.mustNext(1)[0]; cancel.Action != ActionCancel || cancel.Cookie != it.Cookie {
					t.Fatalf("cancel %+v", cancel)
				}
				w.is(w.Progress(Root, Progress{FID: f, Cookie: it.Cookie}), syscall.ECANCELED)
				w.ok(tool.end(it, dv, c.errno))
				w.wantStatuses(c.records)
				w.wantState(f, c.flags, 1)
				if got := w.param("mdt.*.hsm.agents"); !strings.HasSuffix(got, c.agent) {
					t.Errorf("agents: %s", got)
				}
				w.ok(w.request(Root, UserCancel, 0, f)) // nothing left to cancel
				w.wantStatuses(c.records)
			})
		})
	}
}

// Section 5.3: duplicates are both sent, and the second one fails or not by its
// own fate.
func TestDuplicates(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := w.file("r", "x")
		w.set("mdt.*.hsm_control=disabled")
		w.archiveReq(f)
		w.archiveReq(f)
		w.set("mdt.*.hsm_control=enabled")
		items := c.mustNext(2)
		dv := c.start(items[0])
		c.start(items[1])
		w.ok(c.end(items[0], dv, 0))
		w.ok(c.end(items[1], dv, syscall.ENOENT))
		w.wantStatuses("ARCHIVE SUCCEED, ARCHIVE FAILED")
		w.wantState(f, Exists|Archived, 1)
	})
}

// Section 5.4: the ghost of a killed copytool.
func TestDeadAgentKeepsItsSlots(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		dead := w.tool(1)
		big := w.file("big", "x")
		w.archiveReq(big, w.file("big2", "x"), w.file("big3", "x"))
		items := dead.mustNext(3)
		for _, it := range items {
			dead.start(it)
		}
		// kill -9: nobody tells the MDT.
		small := w.file("small", "x")
		w.archiveReq(small)
		w.ok(w.request(Root, UserCancel, 0, big))
		c := w.tool(1) // "already registered"
		c.mustIdle()
		if got := w.param("mdt.*.hsm.agents"); !strings.HasSuffix(got, "archive_id=1 requests=[current:3 ok:0 errors:0]") {
			t.Errorf("agents: %s", got)
		}
		w.wantStatuses("ARCHIVE STARTED, ARCHIVE STARTED, ARCHIVE STARTED, ARCHIVE WAITING, CANCEL WAITING")
		w.sleep("30s")
		w.set("mdt.*.hsm.active_request_timeout=20")
		w.sleep("11s")
		w.wantStatuses("ARCHIVE CANCELED, ARCHIVE CANCELED, ARCHIVE CANCELED, ARCHIVE STARTED, CANCEL STARTED")
		w.wantState(big, Exists, 1)
		l, _ := dead.next()
		dead.SendFailed(l)
		its := c.mustNext(2)
		c.do(its[0])
		w.is(c.end(items[0], 1, 0), syscall.EBUSY)            // late, and nothing was copied
		w.is(c.end(items[0], 0, syscall.EIO), syscall.ENOENT) // the coordinator forgot it
		if got := w.param("mdt.*.hsm.agents"); !strings.HasSuffix(got, "requests=[current:0 ok:1 errors:3]") {
			t.Errorf("agents: %s", got)
		}
		w.sleep("40s") // a cancel that nobody knows times out by itself
		if got := w.statuses(); !strings.HasSuffix(got, "CANCEL CANCELED") {
			t.Errorf("records: %s", got)
		}
	})
}

func TestSendToADeadAgent(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		dead := w.tool(1)
		f := w.file("f", "x")
		w.archiveReq(f)
		l, ok := dead.next()
		if !ok {
			t.Fatal("nothing sent")
		}
		w.wantStatuses("ARCHIVE STARTED")
		dead.SendFailed(l)
		w.wantStatuses("ARCHIVE WAITING")
		if got := w.param("mdt.*.hsm.agents"); got != "" {
			t.Errorf("agents: %s", got)
		}
		c := w.tool(1)
		it := c.mustNext(1)[0]
		if it.Cookie != l.Items[0].Cookie {
			t.Error("sent again with another cookie")
		}
		c.do(it)
		dead.Unregister() // must not hurt the living one
		if got := w.param("mdt.*.hsm.agents"); got == "" {
			t.Error("the living agent is gone")
		}
	})
}

// TestSendFailsLate: the next copytool is there before the coordinator learns that
// the message found nobody.
func TestSendFailsLate(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		dead := w.tool(1)
		w.archiveReq(w.file("f", "x"))
		l, ok := dead.next()
		if !ok {
			t.Fatal("nothing sent")
		}
		c := w.tool(1)
		c.mustIdle()
		w.archiveReq(w.file("both", "x"))
		both := c.mustNext(1)[0]
		dead.SendFailed(l)
		if it := c.mustNext(1)[0]; it.Cookie != l.Items[0].Cookie {
			t.Errorf("sent %v, want what was sent to nobody", it)
		}
		c.mustIdle()
		c.do(both)
	})
}

// Section 5.7: a failover of the MDT.
func TestRestartCoordinator(t *testing.T) {
	inBubble(t, enabled, func(w *world) { // set for good
		c := w.tool(1)
		rel := c.released("rel", "x")
		big := w.file("big", "x")
		w.archiveReq(big)
		it := c.mustNext(1)[0]
		dv := c.start(it)
		w.ok(w.request(Root, UserRestore, 0, rel))
		re := c.mustNext(1)[0]
		w.set("mdt.*.hsm.max_requests=20")
		w.RestartCoordinator()
		again := c.mustNext(1)[0]
		if again.Cookie != re.Cookie || again.Action != ActionRestore {
			t.Errorf("sent again: %+v", again)
		}
		w.is(w.Progress(Root, Progress{FID: big, Cookie: it.Cookie}), syscall.ENOENT)
		w.is(c.end(it, dv, 0), syscall.ENOENT)
		if a, _ := w.CurrentAction(big); a.State != ProgressRunning || a.Extent.Length != 18446744073709551615 {
			t.Errorf("current action %+v", a)
		}
		if got := w.param("mdt.*.hsm.agents"); !strings.HasSuffix(got, "archive_id=1 requests=[current:1 ok:0 errors:0]") {
			t.Errorf("agents: %s", got)
		}
		if got := w.param("mdt.*.hsm.max_requests"); got != "3" {
			t.Errorf("max_requests is %s", got)
		}
		c.restore(again, "x")
		w.sleep("61m")
		w.wantStatuses("ARCHIVE CANCELED")
		w.wantState(big, Exists, 1)
	})
}

func TestRestartOfACoordinatorThatIsNotPersistent(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		w.set("mdt.*.hsm_control=enabled")
		c := w.tool(1)
		w.RestartCoordinator()
		if got := w.param("mdt.*.hsm_control"); got != "stopped" {
			t.Errorf("hsm_control is %s", got)
		}
		w.set("mdt.*.hsm_control=enabled")
		w.archiveReq(w.file("f", "x"))
		c.mustIdle() // it must be started again
		w.wantStatuses("ARCHIVE WAITING")
	})
}

// Section 6.
func TestTwoCopytoolsOnOneMount(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		a, b := w.tool(1), w.tool(7)
		if got := w.param("mdt.*.hsm.agents"); strings.Contains(got, "7") && !strings.Contains(got, "archive_id=1 ") {
			t.Errorf("agents: %s", got)
		}
		w.ok(w.request(Root, UserArchive, 7, w.file("seven", "x")))
		f := w.file("f", "x")
		w.archiveReq(f)
		it := a.mustNext(1)[0]
		if it2 := b.mustNext(1)[0]; it2.Cookie != it.Cookie || it.FID != f {
			t.Errorf("the two got %+v and %+v", it, it2)
		}
		a.do(it)
		w.is(b.end(it, 0, syscall.EIO), syscall.ENOENT)
		a.Unregister()
		a.Unregister()
		_, err := a.Recv(w.t.Context())
		w.is(err, ErrUnregistered)
		w.archiveReq(w.file("g", "x"))
		b.mustIdle()
		w.wantStatuses("ARCHIVE WAITING, ARCHIVE SUCCEED, ARCHIVE WAITING")
	})
}

func TestTwoMountsShareTheWork(t *testing.T) {
	inBubble(t, with("mdt.*.hsm.max_requests", "4"), func(w *world) {
		a, b := w.tool(1), w.toolOn(w.NewClient())
		for n := range 4 {
			w.archiveReq(w.file(fmt.Sprint("f", n), "x"))
			synctest.Wait()
		}
		for range 2 {
			a.do(a.mustNext(1)[0])
			b.do(b.mustNext(1)[0])
		}
		w.ok(w.request(Root, UserArchive, 9, w.file("nine", "x")))
		b.do(b.mustNext(1)[0]) // ANY
		a.mustIdle()
	})
}

func TestMessageSizes(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		w.ok(w.BulkCreate(RootFID, "f", 0, 90, 1, Root))
		w.set("mdt.*.hsm_control=disabled")
		for n := range 90 {
			a, err := w.Lookup(RootFID, fmt.Sprint("f", n))
			w.ok(err)
			w.archiveReq(a.FID)
		}
		c := w.tool(1)
		w.set("mdt.*.hsm_control=enabled")
		items := c.mustNext(3) // max_requests
		w.set("mdt.*.hsm.max_requests=1000")
		c.mustNext(70) // 5120 bytes
		c.mustNext(17)
		c.do(items[0])
	})
}

func TestEvictionAndReconnection(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		w.EvictClient(w.uuid)
		w.archiveReq(w.file("f", "x"))
		c.mustIdle()
		w.ReconnectClient(w.uuid)
		c.do(c.mustNext(1)[0])
		w.ForgetClient(w.uuid)
		_, err := c.Recv(w.t.Context())
		w.is(err, ErrUnregistered)
	})
}

func TestGraceDelay(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		w.tool(1).archived("f", "x")
		w.sleep("55s")
		w.wantStatuses("ARCHIVE SUCCEED")
		w.sleep("20s")
		w.wantStatuses("")
	})
}

func TestRemoveOnLastUnlink(t *testing.T) {
	inBubble(t, with("mdt.*.hsm.remove_archive_on_last_unlink", "1"), func(w *world) {
		c := w.tool(1)
		f := c.archived("f", "x")
		w.file("plain", "x")
		_, err := w.Link(f, RootFID, "g", Root)
		w.ok(err)
		w.ok(w.Unlink(RootFID, "plain", Root))
		w.ok(w.Unlink(RootFID, "f", Root))
		w.wantStatuses("ARCHIVE SUCCEED")
		w.ok(w.Unlink(RootFID, "g", Root))
		w.wantStatuses("ARCHIVE SUCCEED, REMOVE WAITING")
		if got := w.param("mdt.*.hsm.actions"); !strings.Contains(got, "dfid=[0x0:0x0:0x0]") {
			t.Errorf("actions: %s", got)
		}
		w.sleep("75s")
		it := c.mustNext(1)[0]
		if it.FID != f || !it.DFID.IsZero() || it.Action != ActionRemove {
			t.Errorf("item %+v", it)
		}
		w.ok(c.end(it, 0, 0))
		w.wantStatuses("REMOVE SUCCEED")
	})
}

func TestPurgeOfRunningRequests(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := w.file("f", "x")
		w.archiveReq(f)
		it := c.mustNext(1)[0]
		dv := c.start(it)
		w.set("mdt.*.hsm_control=purge")
		if cancel := c.mustNext(1)[0]; cancel.Action != ActionCancel || cancel.Cookie != it.Cookie {
			t.Errorf("after the purge: %+v", cancel)
		}
		w.wantStatuses("ARCHIVE CANCELED")
		w.ok(w.Progress(Root, Progress{FID: f, Cookie: it.Cookie})) // 0 until the end
		w.ok(c.end(it, dv, 0))
		w.wantState(f, Exists|Archived, 1)
	})
}

func TestWaitIdle(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		w.ok(w.WaitIdle(w.t.Context()))
		c := w.tool(1)
		w.archiveReq(w.file("f", "x"))
		it := c.mustNext(1)[0]
		done := make(chan error)
		go func() { done <- w.WaitIdle(w.t.Context()) }()
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("idle while an archive runs")
		default:
		}
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
		defer cancel()
		w.is(w.WaitIdle(ctx), context.DeadlineExceeded)
		c.do(it)
		w.ok(<-done)
	})
}

func TestUnlinkBeforeDispatch(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		f, g := w.file("f", "x"), w.file("g", "x")
		w.archiveReq(f, g)
		w.ok(w.Unlink(RootFID, "f", Root))
		c := w.tool(1)
		c.do(c.mustNext(1)[0])
		w.wantStatuses("ARCHIVE FAILED, ARCHIVE SUCCEED")
	})
}

// Stopping the coordinator forgets what runs; starting it again sends restores
// once more and resets policy and masks.
func TestShutdownAndEnabled(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		rel := c.released("rel", "x")
		big := w.file("big", "x")
		w.archiveReq(big)
		it := c.mustNext(1)[0]
		dv := c.start(it)
		r := w.reader(rel)
		re := c.mustNext(1)[0]
		w.set("mdt.*.hsm.policy=+NBR")
		w.set("mdt.*.hsm.user_request_mask=ARCHIVE")
		w.set("mdt.*.hsm_control=shutdown")
		w.is(c.end(it, dv, 0), syscall.EAGAIN)
		w.wantBlocked(r)
		w.set("mdt.*.hsm_control=enabled")
		w.is(c.end(it, dv, 0), syscall.ENOENT)
		if got := w.param("mdt.*.hsm.policy") + w.param("mdt.*.hsm.user_request_mask"); got != "NonBlockingRestore [NoRetryAction]RESTORE" {
			t.Errorf("policy and mask: %s", got)
		}
		w.wantStatuses("ARCHIVE SUCCEED, ARCHIVE STARTED, RESTORE WAITING")
		fresh := w.tool(1)
		again := fresh.mustNext(1)[0]
		if again.Cookie != re.Cookie {
			t.Errorf("sent again: %+v", again)
		}
		fresh.restore(again, "x")
		w.wantDone(nil, r)
	})
}

// A reader of a restore that was cancelled must not wait for a copytool that the
// coordinator has forgotten.
func TestRestartWithACancelledRestore(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := c.released("f", "x")
		r := w.reader(f)
		c.mustNext(1)
		w.ok(w.request(Root, UserCancel, 0, f))
		c.mustNext(1)
		w.RestartCoordinator()
		w.wantBlocked(r)
		c.restore(c.mustNext(1)[0], "x") // the reader asked again
		w.wantDone(nil, r)
	})
}

func TestInitialTunablesAreSetAfterTheStart(t *testing.T) {
	inBubble(t, with("mdt.*.hsm.policy", "+NBR", "mdt.*.hsm.max_requests", "7"), func(w *world) {
		want := "[NonBlockingRestore] [NoRetryAction]7"
		if got := w.param("mdt.*.hsm.policy") + w.param("mdt.*.hsm.max_requests"); got != want {
			t.Errorf("tunables: %s", got)
		}
		w.RestartCoordinator()
		if got := w.param("mdt.*.hsm.policy") + w.param("mdt.*.hsm.max_requests"); got != want {
			t.Errorf("after a restart: %s", got)
		}
	})
}
