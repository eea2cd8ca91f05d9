package state

import (
	"testing"
	"testing/synctest"
)

// TestUnregisterBeforeAllIsWritten: what never was in the pipe is the next copytool's,
// be it that its write fails or that it was not begun.
func TestUnregisterBeforeAllIsWritten(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		w.archiveReq(w.file("f", "x"))
		l, ok := c.next()
		if !ok {
			t.Fatal("nothing sent")
		}
		w.archiveReq(w.file("g", "x"))
		synctest.Wait() // until it is queued
		w.wantStatuses("ARCHIVE STARTED, ARCHIVE STARTED")
		c.Unregister()
		w.wantStatuses("ARCHIVE STARTED, ARCHIVE WAITING")
		_, err := c.Recv(t.Context())
		w.is(err, ErrUnregistered)
		c.SendFailed(l)
		w.wantStatuses("ARCHIVE WAITING, ARCHIVE WAITING")
		c = w.tool(1)
		for _, it := range c.mustNext(2) {
			c.do(it)
		}
	})
}
