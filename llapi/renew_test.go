package llapi_test

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lhsm-azblob/llapi"
)

func (w *world) agents() string { return w.lustre.GetParam("mdt.*.hsm.agents") }

// A renewal brings a forgotten copytool back onto the list, and one that is on it
// does not notice.
func TestRenew(t *testing.T) {
	w := newWorld(t, 1, 3)
	_, fid := w.file("f", "content")
	w.request(llapi.UserArchive, fid)
	_, a := w.begin(llapi.ActionArchive)
	_, waiting := w.file("g", "content")
	w.request(llapi.UserArchive, waiting)
	w.ok(w.ct.WaitReadable(t.Context()))
	w.ok(w.ct.Renew())
	w.ok(w.ct.Fail(w.recv(w.ct), 0, syscall.EIO)) // what lay in the pipe
	w.ok(a.End(llapi.WholeFile, 0, 0))

	w.lustre.SetParam("mdt.*.hsm_control", "shutdown")
	w.is("Renew while the coordinator is stopped", w.ct.Renew(), syscall.ENXIO)
	w.lustre.SetParam("mdt.*.hsm_control", "enabled")
	if agents := w.agents(); strings.Contains(agents, "uuid=") {
		t.Fatalf("the coordinator has not forgotten the agent: %s", agents)
	}
	w.ok(w.ct.Renew())
	if agents := w.agents(); !strings.Contains(agents, "archive_id=1,3 requests=[current:0 ") {
		t.Errorf("after a renewal the agents are %s", agents)
	}
	for range 3 { // the first message finds that nobody reads what renewals brought
		w.request(llapi.UserArchive, waiting)
		w.ok(w.ct.Fail(w.recv(w.ct), 0, syscall.EIO))
	}
	w.ok(w.ct.Unregister())
	if agents := w.agents(); strings.Contains(agents, "uuid=") {
		t.Errorf("after Unregister the agents are %s", agents)
	}
	w.is("Renew after Unregister", w.ct.Renew(), llapi.ErrClosed)
}

// An abandoned action is not ended, and does not keep Close from ending.
func TestAbandon(t *testing.T) {
	w := newWorld(t)
	path, fid := w.file("f", "content")
	w.request(llapi.UserArchive, fid)
	item, a := w.begin(llapi.ActionArchive)
	a.Abandon()
	a.Abandon()
	w.is("End", a.End(llapi.WholeFile, 0, 0), llapi.ErrClosed)
	w.wantState(path, llapi.HSExists, 1)
	w.ok(w.ct.ReportProgress(item, llapi.Extent{}))
	w.ok(w.ct.Close())
}

// A restore that is abandoned begins anew, and nothing of the first nameless file stays.
func TestAbandonRestore(t *testing.T) {
	w := newWorld(t)
	path, fid := w.file("f", "content")
	w.archive(fid)
	w.request(llapi.UserRelease, fid)
	w.request(llapi.UserRestore, fid)
	before := openFiles(t)
	item, a := w.begin(llapi.ActionRestore)
	data, err := a.File()
	w.ok(err)
	w.ok(data.Close())
	a.Abandon()
	if after := openFiles(t); after != before {
		t.Errorf("%d files are open, before it were %d", after, before)
	}
	w.restore(w.start(item), "content")
	w.wantState(path, archived, 1)
	if got, err := os.ReadFile(path); err != nil || string(got) != "content" {
		t.Errorf("restored %q, %v", got, err)
	}
}

// TestAbandonWithFewDescriptors: one is enough to find that of the nameless file.
func TestAbandonWithFewDescriptors(t *testing.T) {
	w := newWorld(t)
	_, fid := w.file("f", "content")
	w.archive(fid)
	w.request(llapi.UserRelease, fid)
	w.request(llapi.UserRestore, fid)
	before := openFiles(t)
	item, a := w.begin(llapi.ActionRestore)
	free := useDescriptors(t)
	a.Abandon()
	free()
	if after := openFiles(t); after != before {
		t.Errorf("%d files are open, before it were %d", after, before)
	}
	w.restore(w.start(item), "content")
}

// useDescriptors takes all that the process may have but one.
func useDescriptors(t *testing.T) (free func()) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	few := limit
	few.Cur = 100
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	var used []int
	for {
		fd, err := unix.Open("/dev/null", unix.O_CLOEXEC, 0)
		if err != nil {
			break
		}
		used = append(used, fd)
	}
	if len(used) == 0 {
		t.Fatal("no descriptor is free")
	}
	_ = unix.Close(used[0])
	return func() {
		for _, fd := range used[1:] {
			_ = unix.Close(fd)
		}
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	}
}
