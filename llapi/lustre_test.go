package llapi_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lhsm-azblob/llapi"
	"lhsm-azblob/testenv"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// world is a Lustre with a copytool of ours on it.
type world struct {
	*testing.T
	lustre *testenv.Lustre
	ct     *llapi.Copytool
}

func newWorld(t *testing.T, archiveIDs ...uint32) *world {
	t.Helper()
	w := &world{T: t, lustre: testenv.StartLustre(t, testenv.Options{})}
	w.ct = w.register(w.lustre.Mount(), archiveIDs...)
	return w
}

// register registers a copytool that is closed with the test.
func (w *world) register(mount string, archiveIDs ...uint32) *llapi.Copytool {
	w.Helper()
	ct, err := llapi.Register(mount, archiveIDs...)
	w.ok(err)
	w.Cleanup(func() {
		if err := ct.Close(); err != nil && !errors.Is(err, llapi.ErrClosed) {
			w.Errorf("Close: %v", err)
		}
	})
	return ct
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// is fails the test unless err is want.
func (w *world) is(what string, err, want error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Errorf("%s: %v, want %v", what, err, want)
	}
}

// file makes a file and returns its path and FID.
func (w *world) file(name, content string) (string, llapi.FID) {
	w.Helper()
	path := w.lustre.Path(name)
	w.ok(os.WriteFile(path, []byte(content), 0o644))
	fid, err := llapi.PathToFID(path)
	w.ok(err)
	return path, fid
}

func (w *world) request(action llapi.UserAction, fids ...llapi.FID) {
	w.Helper()
	w.ok(llapi.SendRequest(w.lustre.Mount(), llapi.Request{Action: action, Items: fids}))
}

// recv receives one list that has one item.
func (w *world) recv(ct *llapi.Copytool) llapi.ActionItem {
	w.Helper()
	list := w.recvList(ct)
	if len(list.Items) != 1 {
		w.Fatalf("received %+v, want one item", list)
	}
	return list.Items[0]
}

func (w *world) recvList(ct *llapi.Copytool) llapi.ActionList {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	list, err := ct.Recv(ctx)
	w.ok(err)
	return list
}

// begin receives an action and begins it.
func (w *world) begin(want llapi.Action) (llapi.ActionItem, *llapi.CopyAction) {
	w.Helper()
	item := w.recv(w.ct)
	if item.Action != want {
		w.Fatalf("received %v, want %v", item.Action, want)
	}
	return item, w.start(item)
}

func (w *world) start(item llapi.ActionItem) *llapi.CopyAction {
	w.Helper()
	mdt := -1
	if item.Action == llapi.ActionRestore {
		var err error
		mdt, err = w.ct.MDTIndex(item.FID)
		w.ok(err)
	}
	a, err := w.ct.Begin(item, mdt, 0)
	w.ok(err)
	return a
}

// archive archives a file and leaves it so.
func (w *world) archive(fid llapi.FID) {
	w.Helper()
	w.request(llapi.UserArchive, fid)
	_, a := w.begin(llapi.ActionArchive)
	w.ok(a.End(llapi.WholeFile, 0, 0))
}

// restore writes content into the file of a restore and ends it.
func (w *world) restore(a *llapi.CopyAction, content string) {
	w.Helper()
	f, err := a.File()
	w.ok(err)
	_, err = f.WriteString(content)
	w.ok(err)
	w.ok(f.Close())
	w.ok(a.End(llapi.Extent{Length: uint64(len(content))}, 0, 0))
}

func (w *world) wantState(path string, flags llapi.StateFlags, id uint32) {
	w.Helper()
	s, err := llapi.GetState(path)
	w.ok(err)
	if want := (llapi.State{Flags: flags, ArchiveID: id}); s != want {
		w.Errorf("state of %s: %#x id %d, want %#x id %d", filepath.Base(path), s.Flags, s.ArchiveID, flags, id)
	}
}

const archived = llapi.HSExists | llapi.HSArchived

func TestArchive(t *testing.T) {
	w := newWorld(t)
	path, fid := w.file("f", "content")
	w.ok(llapi.SendRequest(path, llapi.Request{
		Action: llapi.UserArchive, ArchiveID: 7, Items: []llapi.FID{fid}, Data: []byte("odd"),
	}))
	list := w.recvList(w.ct)
	if list.FSName != "lustre" || list.ArchiveID != 7 || len(list.Items) != 1 {
		t.Fatalf("received %+v", list)
	}
	item := list.Items[0]
	if item.Action != llapi.ActionArchive || item.FID != fid || item.DFID != fid || item.Extent != llapi.WholeFile ||
		item.Cookie == 0 || string(item.Data) != "odd" {
		t.Errorf("received %+v", item)
	}
	a := w.start(item)
	if got, err := a.DataFID(); err != nil || got != fid {
		t.Errorf("DataFID = %v, %v, want the file's", got, err)
	}
	f, err := a.File()
	w.ok(err)
	defer f.Close()
	buf := make([]byte, 20)
	if n, _ := f.ReadAt(buf, 0); string(buf[:n]) != "content" {
		t.Errorf("read %q", buf[:n])
	}
	w.ok(a.Progress(llapi.Extent{Length: 3}, 7))
	w.wantState(path, llapi.HSExists, 7)
	w.ok(a.End(llapi.Extent{Length: 7}, 0, 0))
	w.wantState(path, archived, 7)
	w.is("second End", a.End(llapi.Extent{}, 0, 0), llapi.ErrClosed)
	w.is("Progress after End", a.Progress(llapi.Extent{}, 0), llapi.ErrClosed)
	_, err = a.File()
	w.is("File after End", err, llapi.ErrClosed)
	_, err = a.DataFID()
	w.is("DataFID after End", err, llapi.ErrClosed)

	w.ok(unix.Setxattr(path, "user.x", nil, 0)) // so that the client asks again
	attr, err := llapi.ReadHSMAttr(path)
	w.ok(err)
	dv, err := llapi.DataVersion(int(f.Fd()), llapi.ReadFlush)
	w.ok(err)
	if want := (llapi.HSMAttr{Flags: archived, ArchiveID: 7, DataVersion: dv}); attr != want {
		t.Errorf("trusted.hsm = %+v, want %+v", attr, want)
	}
}

// The extents reported are added up, each byte once.
func TestProgress(t *testing.T) {
	w := newWorld(t)
	path, fid := w.file("f", "0123456789")
	idle, err := llapi.GetCurrentAction(path)
	w.ok(err)
	if idle.Action != llapi.UserNone || idle.State == 0 {
		t.Errorf("without a request: %+v", idle)
	}
	w.request(llapi.UserArchive, fid)
	item, a := w.begin(llapi.ActionArchive)
	moved := func(want uint64) {
		t.Helper()
		got, err := llapi.GetCurrentAction(path)
		w.ok(err)
		if got != (llapi.CurrentAction{State: llapi.ProgressRunning, Action: llapi.UserArchive, Location: llapi.Extent{Length: want}}) {
			t.Errorf("%+v, want %d bytes moved", got, want)
		}
	}
	moved(0)
	for _, step := range []struct {
		e    llapi.Extent
		want uint64
	}{
		{llapi.Extent{Offset: 0, Length: 0}, 0},
		{llapi.Extent{Offset: 0, Length: 4}, 4},
		{llapi.Extent{Offset: 0, Length: 4}, 4},
		{llapi.Extent{Offset: 2, Length: 4}, 6},
		{llapi.Extent{Offset: 8, Length: 2}, 8},
		{llapi.Extent{Offset: 0, Length: 10}, 10},
	} {
		w.ok(a.Progress(step.e, 10))
		moved(step.want)
	}
	w.ok(w.ct.ReportProgress(item, llapi.Extent{Offset: 10, Length: 5}))
	moved(15)
	w.is("an extent that wraps", a.Progress(llapi.Extent{Offset: 1<<64 - 1, Length: 10}, 10), syscall.EINVAL)
	w.ok(a.Progress(llapi.WholeFile, 10))
	w.ok(a.End(llapi.WholeFile, 0, 0))
	w.is("progress of what has ended", w.ct.ReportProgress(item, llapi.Extent{}), syscall.ENOENT)
}

func TestRestore(t *testing.T) {
	w := newWorld(t)
	path, fid := w.file("f", "content")
	w.ok(os.Chown(path, 1000, 100))
	past := time.Unix(1_000_000_000, 0)
	w.ok(os.Chtimes(path, past, past))
	w.archive(fid)
	w.request(llapi.UserRelease, fid)
	w.wantState(path, archived|llapi.HSReleased, 1)

	w.request(llapi.UserRestore, fid)
	item := w.recv(w.ct)
	item.DFID = llapi.FID{Seq: 1, OID: 2, Ver: 3} // as after a restart of the metadata server
	a, err := w.ct.Begin(item, 0, 0)
	w.ok(err)
	if got, err := a.DataFID(); err != nil || got == fid || got.IsZero() {
		t.Errorf("DataFID = %v, %v, want a volatile file's", got, err)
	}
	w.ok(w.ct.ReportProgress(item, llapi.Extent{Length: 3}))
	w.restore(a, "content")
	w.wantState(path, archived, 1)
	got, err := os.ReadFile(path)
	w.ok(err)
	info, err := os.Stat(path)
	w.ok(err)
	st := info.Sys().(*syscall.Stat_t)
	if string(got) != "content" || !info.ModTime().Equal(past) || st.Uid != 1000 || st.Gid != 100 {
		t.Errorf("restored %q, time %v, owner %d:%d", got, info.ModTime(), st.Uid, st.Gid)
	}
}

// A reader of a released file waits for the copytool, and is told of failure.
func TestImplicitRestore(t *testing.T) {
	w := newWorld(t)
	path, fid := w.file("f", "content")
	w.archive(fid)
	w.request(llapi.UserRelease, fid)
	type outcome struct {
		data []byte
		err  error
	}
	read := make(chan outcome, 1)
	reader := func() {
		data, err := os.ReadFile(path)
		read <- outcome{data, err}
	}
	go reader() // ends when the restore does
	list := w.recvList(w.ct)
	if list.Flags != llapi.FlagBlocking || len(list.Items) != 1 {
		t.Errorf("received %+v, want one blocking restore", list)
	}
	w.ok(w.ct.Fail(list.Items[0], 0, syscall.EIO))
	if got := <-read; !errors.Is(got.err, syscall.ENODATA) {
		t.Errorf("read after a failure: %q, %v, want ENODATA", got.data, got.err)
	}
	go reader()
	_, a := w.begin(llapi.ActionRestore)
	w.restore(a, "content")
	if got := <-read; got.err != nil || string(got.data) != "content" {
		t.Errorf("read %q, %v", got.data, got.err)
	}
}

func TestRemove(t *testing.T) {
	w := newWorld(t)
	path, fid := w.file("f", "content")
	w.archive(fid)
	w.request(llapi.UserRemove, fid)
	_, a := w.begin(llapi.ActionRemove)
	_, err := a.File()
	w.is("File of a removal", err, syscall.EINVAL)
	_, err = a.DataFID()
	w.is("DataFID of a removal", err, syscall.EINVAL)
	w.ok(a.End(llapi.WholeFile, 0, 0))
	w.wantState(path, 0, 1)

	// After the unlink there is nothing to open, and begin does not mind.
	w.archive(fid)
	w.ok(os.Remove(path))
	w.request(llapi.UserRemove, fid)
	_, a = w.begin(llapi.ActionRemove)
	w.ok(a.End(llapi.WholeFile, 0, 0))
}

func TestFileChangedDuringArchive(t *testing.T) {
	w := newWorld(t)
	path, fid := w.file("f", "content")
	w.request(llapi.UserArchive, fid)
	_, a := w.begin(llapi.ActionArchive)
	w.ok(os.WriteFile(path, []byte("other"), 0o644))
	w.is("End", a.End(llapi.WholeFile, 0, 0), syscall.EBUSY)
	w.is("End after it", a.End(llapi.WholeFile, 0, 0), llapi.ErrClosed)
	w.wantState(path, llapi.HSExists|llapi.HSDirty, 1)
}

func TestCancelRunning(t *testing.T) {
	w := newWorld(t)
	path, fid := w.file("f", "content")
	w.request(llapi.UserArchive, fid)
	item, a := w.begin(llapi.ActionArchive)
	w.request(llapi.UserCancel, fid)
	cancel := w.recv(w.ct)
	if cancel.Action != llapi.ActionCancel || cancel.Cookie != item.Cookie || cancel.FID != fid {
		t.Fatalf("received %+v, want a CANCEL of cookie %#x", cancel, item.Cookie)
	}
	w.is("Progress", a.Progress(llapi.Extent{Length: 1}, 7), syscall.ECANCELED)
	w.is("ReportProgress", w.ct.ReportProgress(item, llapi.Extent{Length: 1}), syscall.ECANCELED)
	w.ok(a.End(llapi.Extent{}, 0, syscall.ECANCELED))
	w.wantState(path, llapi.HSExists, 1)
}

func TestFail(t *testing.T) {
	w := newWorld(t)
	w.lustre.SetParam("mdt.*.hsm.grace_delay", "600") // both records are looked at in the end
	path, fid := w.file("f", "content")
	w.request(llapi.UserArchive, fid)
	item := w.recv(w.ct)
	w.ok(os.Remove(path))
	_, err := w.ct.Begin(item, -1, 0)
	w.is("Begin of a file that is gone", err, syscall.ENOENT)
	w.ok(w.ct.Fail(item, 0, syscall.ENOENT))
	if err := w.ct.Fail(item, 0, syscall.ENOENT); err != nil {
		t.Errorf("Fail of what has failed: %v, want nil", err)
	}

	// A failure without a number is one all the same.
	path, fid = w.file("g", "content")
	w.request(llapi.UserArchive, fid)
	w.ok(w.ct.Fail(w.recv(w.ct), 0, 0))
	w.wantState(path, llapi.HSExists, 1)
	if actions := w.lustre.GetParam("mdt.*.hsm.actions"); strings.Count(actions, "status=FAILED") != 2 {
		t.Errorf("hsm.actions:\n%s\nwant two FAILED", actions)
	}
}

// What failed for a passing reason is sent again, if the coordinator may do that.
func TestFailForNow(t *testing.T) {
	w := newWorld(t)
	w.lustre.SetParam("mdt.*.hsm.policy", "-NRA")
	path, fid := w.file("f", "content")
	w.request(llapi.UserArchive, fid)
	item := w.recv(w.ct)
	w.ok(w.ct.Fail(item, llapi.EndRetry, syscall.EAGAIN))
	again := w.recv(w.ct)
	if again.Cookie != item.Cookie {
		t.Errorf("cookie %#x came after %#x", again.Cookie, item.Cookie)
	}
	w.ok(w.ct.Fail(again, 0, syscall.EIO))
	w.wantState(path, llapi.HSExists, 1)
}

// A restore whose copytool died is finished by the next one, unless progress
// was reported on the volatile file.
func TestTakeOver(t *testing.T) {
	for name, bound := range map[string]bool{"ReportProgress": false, "Progress": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			path, fid := w.file("f", "content")
			w.archive(fid)
			w.request(llapi.UserRelease, fid)
			w.request(llapi.UserRestore, fid)
			item, lost := w.begin(llapi.ActionRestore)
			if bound {
				w.ok(lost.Progress(llapi.Extent{Length: 3}, 7))
			} else {
				w.ok(w.ct.ReportProgress(item, llapi.Extent{Length: 3}))
			}
			second := w.start(item)
			f, err := second.File()
			w.ok(err)
			_, err = f.WriteString("content")
			w.ok(err)
			w.ok(f.Close())
			err = second.End(llapi.WholeFile, 0, 0)
			if bound {
				w.is("End by another", err, syscall.EINVAL)
				w.ok(lost.End(llapi.Extent{}, 0, syscall.EIO))
				return
			}
			w.ok(err)
			if got, err := os.ReadFile(path); err != nil || string(got) != "content" {
				t.Errorf("read %q, %v", got, err)
			}
			w.is("End by the first", lost.End(llapi.Extent{}, 0, syscall.EIO), syscall.ENOENT)
		})
	}
}

func TestRegisterErrors(t *testing.T) {
	w := newWorld(t)
	_, err := llapi.Register("/tmp")
	w.is("on no Lustre", err, syscall.ENOENT)
	_, err = llapi.Register(w.lustre.Path("none"))
	w.is("on nothing", err, syscall.ENOENT)
	_, err = llapi.Register(w.lustre.Mount(), 1, 1<<31)
	w.is("with a negative id", err, syscall.EINVAL)
	w.ok(os.Mkdir(w.lustre.Path("d"), 0o755))
	_, err = llapi.Register(w.lustre.Path("d"))
	w.is("below the mount point", err, syscall.ENOENT)
	if got := helper(t, "register as nobody", "LLAPI_TEST_MOUNT="+w.lustre.Mount()); !strings.Contains(got, "not permitted") &&
		!strings.Contains(got, "denied") {
		t.Errorf("as a plain user: %s", got)
	}
}

func TestRegisterRounds(t *testing.T) {
	rounds := 2000
	if testing.Short() {
		rounds = 100
	}
	w := &world{T: t, lustre: testenv.StartLustre(t, testenv.Options{})}
	before := openFiles(t)
	for range rounds {
		ct, err := llapi.Register(w.lustre.Mount(), 1, 2, 33)
		w.ok(err)
		w.ok(ct.Close())
	}
	if after := openFiles(t); after > before+4 {
		t.Errorf("%d files open before, %d after", before, after)
	}
	if agents := w.lustre.GetParam("mdt.*.hsm.agents"); strings.Contains(agents, "uuid=") {
		t.Errorf("agents left: %s", agents)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestArchiveIDs(t *testing.T) {
	w := &world{T: t, lustre: testenv.StartLustre(t, testenv.Options{Mounts: 2})}
	mounts := w.lustre.Mounts()
	one, both := w.register(mounts[0], 1), w.register(mounts[1], 2, 33)
	for id, ct := range map[uint32]*llapi.Copytool{1: one, 2: both, 33: both} {
		_, fid := w.file("f"+string(rune('0'+id)), "content")
		w.ok(llapi.SendRequest(mounts[0], llapi.Request{Action: llapi.UserArchive, ArchiveID: id, Items: []llapi.FID{fid}}))
		if item := w.recv(ct); item.FID != fid {
			t.Errorf("archive %d: received %v, want %v", id, item.FID, fid)
		} else {
			w.ok(ct.Fail(item, 0, syscall.EIO))
		}
	}
}

// Lists stay what they were when the next one comes into the library's buffer.
func TestRecvCopies(t *testing.T) {
	w := newWorld(t)
	var lists []llapi.ActionList
	var want []llapi.FID
	for _, name := range []string{"a", "b", "c"} {
		_, fid := w.file(name, name)
		w.ok(llapi.SendRequest(w.lustre.Mount(), llapi.Request{Action: llapi.UserArchive, Items: []llapi.FID{fid}, Data: []byte(name)}))
		lists, want = append(lists, w.recvList(w.ct)), append(want, fid)
	}
	for i, l := range lists {
		if l.Items[0].FID != want[i] || !bytes.Equal(l.Items[0].Data, []byte{byte('a' + i)}) {
			t.Errorf("list %d has become %+v", i, l)
		}
		w.ok(w.ct.Fail(l.Items[0], 0, syscall.EIO))
	}
}
