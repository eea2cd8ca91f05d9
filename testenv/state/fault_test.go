package state

import (
	"io"
	"log/slog"
	"syscall"
	"testing"
	"time"
)

func newTestLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

func TestFaults(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := w.file("f", "x")
		w.archiveReq(f)
		it := c.mustNext(1)[0]
		p := Progress{FID: f, Cookie: it.Cookie}
		w.is(w.AddFault(Fault{Op: "progress"}), syscall.EINVAL) // would do nothing
		w.ok(w.AddFault(Fault{Op: "progress", Skip: 1, Count: 2, Errno: syscall.EAGAIN}))
		for n, want := range []error{nil, syscall.EAGAIN, syscall.EAGAIN, nil} {
			if err := w.Progress(Root, p); err != want { //nolint:errorlint // a bare errno
				t.Errorf("call %d: %v, want %v", n, err, want)
			}
		}
		w.ok(w.AddFault(Fault{Op: "begin", Errno: syscall.EIO}))
		for range 3 {
			_, err := w.CopyStart(Root, Copy{Item: it})
			w.is(err, syscall.EIO)
		}
		if got := w.Faults(); len(got) != 1 || got[0].Op != "begin" {
			t.Errorf("faults %+v", got)
		}
		w.ClearFaults("begin")
		w.ok(w.AddFault(Fault{Op: "request", Count: 1, Delay: time.Minute}))
		start := time.Now()
		w.ok(w.request(Root, UserCancel, 0, f))
		if d := time.Since(start); d != time.Minute {
			t.Errorf("delayed for %v", d)
		}
		w.ok(w.AddFault(Fault{Op: "end", Errno: syscall.EIO}))
		w.ClearFaults("")
		w.is(c.end(it, 0, syscall.ECANCELED), nil)
	})
}

// Every operation that is said to look for faults does.
func TestFaultOps(t *testing.T) {
	w := openWorld(t, t.TempDir(), enabled)
	f := w.file("f", "x")
	calls := map[string]func() error{
		"action":           func() error { _, err := w.CurrentAction(f); return err },
		"begin":            func() error { _, err := w.CopyStart(Root, Copy{}); return err },
		"changelog_clear":  func() error { return w.ChangelogClear("", 0) },
		"create":           func() error { _, _, err := w.Create(RootFID, "x", 0, Root, 0); return err },
		"data_version":     func() error { _, err := w.DataVersion(f); return err },
		"end":              func() error { _, err := w.CopyEnd(t.Context(), Root, Copy{}); return err },
		"import":           func() error { return w.Import(f, Root, Import{}) },
		"link":             func() error { _, err := w.Link(f, RootFID, "l", Root); return err },
		"lookup":           func() error { _, err := w.Lookup(RootFID, "f"); return err },
		"mkdir":            func() error { _, err := w.Mkdir(RootFID, "d", 0, Root); return err },
		"mknod":            func() error { _, err := w.Mknod(RootFID, "d", 0, 0, Root); return err },
		"open":             func() error { _, err := w.Open(f, 0, Root); return err },
		"progress":         func() error { return w.Progress(Root, Progress{}) },
		"register":         func() error { _, err := w.RegisterAgent(w.uuid, Root, nil); return err },
		"release":          func() error { return w.Release(f, Root) },
		"removexattr":      func() error { return w.RemoveXattr(f, Root, "user.x") },
		"rename":           func() error { return w.Rename(RootFID, "f", RootFID, "g", 0, Root) },
		"request":          func() error { return w.Request(Root, Request{}) },
		"rmdir":            func() error { return w.Rmdir(RootFID, "d", Root) },
		"set_data_version": func() error { return w.SetDataVersion(f, Root, 1) },
		"setattr":          func() error { _, err := w.SetAttr(f, Root, SetAttr{}); return err },
		"setxattr":         func() error { return w.SetXattr(f, Root, "user.x", nil, 0) },
		"state_get":        func() error { _, err := w.HSMStateGet(f); return err },
		"state_set":        func() error { return w.HSMStateSet(f, Root, HSMSet{}) },
		"swap_layouts":     func() error { return w.SwapLayouts(f, f, Root) },
		"symlink":          func() error { _, err := w.Symlink(RootFID, "s", "t", Root); return err },
		"unlink":           func() error { return w.Unlink(RootFID, "f", Root) },
	}
	for _, op := range FaultOps {
		call := calls[op]
		if call == nil {
			t.Errorf("no call for %s", op)
			continue
		}
		w.ok(w.AddFault(Fault{Op: op, Count: 1, Errno: syscall.EXDEV}))
		w.is(call(), syscall.EXDEV)
	}
	if left := w.Faults(); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
}
