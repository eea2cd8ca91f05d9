package copytool

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
)

// A life prepares what a process leaves behind that dies with actions in hand.
type life struct {
	*rig
	dir string
}

// newLife has an agent that has done its work, and is gone.
func newLife(t *testing.T, work func(r *rig)) *life {
	t.Helper()
	r := prepareRig(t)
	r.serve()
	work(r)
	r.drain()
	if err := <-r.done; err != nil {
		t.Fatal(err)
	}
	return &life{r, t.TempDir()}
}

// dies writes actions into the journal as received.
func (l *life) dies(items ...llapi.ActionItem) []*task {
	l.t.Helper()
	list := llapi.ActionList{FSName: l.fsname, ArchiveID: 1}
	var tasks []*task
	for _, it := range items {
		tasks = append(tasks, newTask(it, &list, time.Now()))
	}
	openJournal(l.t, l.dir).received(tasks)
	return tasks
}

// begins again, with an agent that finds the journal.
func (l *life) begins() {
	l.t.Helper()
	o := l.agent.o
	o.Metrics, o.Journal = nil, openJournal(l.t, l.dir)
	agent, err := New(o, l.fakeLustre, l.newSession)
	if err != nil {
		l.t.Fatal(err)
	}
	l.agent = agent
	l.serve()
}

// wantJournal drains the agent and looks at what is left open.
func (l *life) wantJournal(open ...int) {
	l.t.Helper()
	l.drain()
	if err := <-l.done; err != nil {
		l.t.Error(err)
	}
	if got := entries(openJournal(l.t, l.dir)); !slices.Equal(got, open) {
		l.t.Errorf("open in the journal are files %v, want %v; the log:\n%s", got, open, l.log)
	}
}

func (l *life) wantEnd(it llapi.ActionItem, errno syscall.Errno) {
	l.t.Helper()
	if got := l.wait(it); got != errno {
		l.t.Errorf("%s ended with %v, want %v; the log:\n%s", it.Action, got, errno, l.log)
	}
}

func TestAdoption(t *testing.T) {
	var fids [3]llapi.FID
	l := newLife(t, func(r *rig) {
		for i, name := range []string{"new", "released", "removed"} {
			fids[i] = r.write(name, "content of "+name)
		}
		r.archive(fids[1])
		r.release(fids[1])
		r.archive(fids[2])
	})
	archive, restore, remove := l.item(llapi.ActionArchive, fids[0]), l.item(llapi.ActionRestore, fids[1]), l.item(llapi.ActionRemove, fids[2])
	l.dies(archive, restore, remove)
	l.begins()
	for _, it := range []llapi.ActionItem{archive, restore, remove} {
		l.wantEnd(it, 0)
	}
	l.wantBlob("new", "content of new")
	l.wantContent(fids[1], "content of released")
	l.wantNoBlob("removed")
	l.wantJournal()
}

// TestAdoptedActionIsOver: another mover, or the coordinator's timeout, was
// faster. Then nothing is done, least of all to a copy that was made since.
func TestAdoptedActionIsOver(t *testing.T) {
	for _, action := range []llapi.Action{llapi.ActionArchive, llapi.ActionRestore, llapi.ActionRemove} {
		t.Run(action.String(), func(t *testing.T) {
			var fid llapi.FID
			l := newLife(t, func(r *rig) {
				fid = r.write("f", "content")
				r.archive(fid)
			})
			l.store.log()
			it := llapi.ActionItem{Action: action, FID: fid, Cookie: 9} // any report of its end fails the test
			l.answer[key{9, fid}] = &llapi.Error{Func: "progress", Errno: syscall.ENOENT}
			l.dies(it)
			l.begins()
			l.wantJournal()
			l.wantBlob("f", "content")
			if log := l.store.log(); len(log) != 0 {
				t.Errorf("requests to the container: %q", log)
			}
			if strings.Contains(l.log.String(), "level=WARN") {
				t.Errorf("it was not dropped quietly:\n%s", l.log)
			}
		})
	}
}

// TestCancelOfAnAdoptedAction comes while it runs, and while the dead process had it.
func TestCancelOfAnAdoptedAction(t *testing.T) {
	var fid, early llapi.FID
	l := newLife(t, func(r *rig) { fid, early = r.write("f", "content"), r.write("g", "content") })
	it, before := l.item(llapi.ActionArchive, fid), l.item(llapi.ActionArchive, early)
	l.answer[key{before.Cookie, early}] = &llapi.Error{Func: "progress", Errno: syscall.ECANCELED}
	l.dies(it, before)
	caught, _ := l.hold("put")
	l.begins()
	<-caught
	cancel := it
	cancel.Action = llapi.ActionCancel
	l.send(cancel)
	l.wantEnd(it, syscall.ECANCELED)
	l.wantEnd(before, syscall.ECANCELED)
	l.wantNoBlob("f")
	l.wantJournal()
}

// TestAdoptedActionIsSentAgain: a metadata server that restarts sends running
// restores again.
func TestAdoptedActionIsSentAgain(t *testing.T) {
	var fid llapi.FID
	l := newLife(t, func(r *rig) {
		fid = r.write("f", "content")
		r.archive(fid)
		r.release(fid)
	})
	it := l.item(llapi.ActionRestore, fid)
	l.dies(it)
	caught, release := l.hold("get")
	l.begins()
	<-caught
	l.send(it)
	next := l.item(llapi.ActionArchive, l.write("g", "content")) // by whose end the list was read
	l.send(next)
	l.wantEnd(next, 0)
	release()
	l.wantEnd(it, 0) // once, or the test fails
	l.wantContent(fid, "content")
	l.wantJournal()
}

// TestAdoptedArchiveWasCommitted: nothing is sent twice.
func TestAdoptedArchiveWasCommitted(t *testing.T) {
	for name, forget := range map[string]func(l *life, fid llapi.FID){
		"before the identity": func(l *life, fid llapi.FID) { delete(l.files[fid].xattrs, IdentityXattr) },
		"before the end":      func(*life, llapi.FID) {},
	} {
		t.Run(name, func(t *testing.T) {
			var fid llapi.FID
			l := newLife(t, func(r *rig) {
				fid = r.write("f", "content")
				r.archive(fid)
			})
			forget(l, fid)
			l.store.log()
			it := l.item(llapi.ActionArchive, fid)
			l.dies(it)
			l.begins()
			l.wantEnd(it, 0)
			l.wantJournal()
			if log := l.store.log(); slices.Contains(log, "put f") {
				t.Errorf("the content was sent again: %q", log)
			}
			if id := l.identity(fid); id.Blob.Name != "f" {
				t.Errorf("identity %+v", id)
			}
		})
	}
}

// TestStagedBlocksAreHandedOver, if the file is what it was.
func TestStagedBlocksAreHandedOver(t *testing.T) {
	for name, want := range map[string]int{"unchanged": 1, "changed": 0} {
		t.Run(name, func(t *testing.T) {
			var fid llapi.FID
			l := newLife(t, func(r *rig) { fid = r.write("f", "content") })
			it := l.item(llapi.ActionArchive, fid)
			x := l.dies(it)[0]
			block := blobstore.StagedBlock{Upload: "feed", BlockSize: 4, Number: 0, CRC64: 5}
			openJournal(t, l.dir).staged(x, l.files[fid].version, block)
			if want == 0 {
				l.change(fid, "other")
			}
			l.begins()
			l.wantEnd(it, 0)
			if got := l.store.resumed; len(got) != want || want == 1 && got[0] != block {
				t.Errorf("the upload was resumed from %+v, want %d blocks", got, want)
			}
			l.wantJournal()
		})
	}
}

// TestBoundRestoreIsFailed: its reader gets an error at once, not in an hour.
func TestBoundRestoreIsFailed(t *testing.T) {
	var fid llapi.FID
	l := newLife(t, func(r *rig) {
		fid = r.write("f", "content")
		r.archive(fid)
		r.release(fid)
	})
	it := l.item(llapi.ActionRestore, fid)
	l.endError[key{it.Cookie, fid}] = &llapi.Error{Func: "end", Errno: syscall.EINVAL}
	l.dies(it)
	l.begins()
	l.wantEnd(it, syscall.EIO)
	l.wantJournal()
	l.wantCode(fid, NotReported)
}

// TestReportThatGotLost: the coordinator may still count on the action, so the
// next process looks after it. That this one stops does not make a failure of it.
func TestReportThatGotLost(t *testing.T) {
	var fid llapi.FID
	l := newLife(t, func(r *rig) { fid = r.write("f", "content") })
	it := l.item(llapi.ActionArchive, fid)
	l.dies() // of nothing
	l.refuseEnds(it, syscall.ESHUTDOWN)
	l.agent.o.DrainTimeout = time.Millisecond
	l.begins()
	l.send(it)
	l.log.wait(t, "does not take the end")
	l.wantJournal(int(fid.OID))
	if n := len(l.ended[key{it.Cookie, fid}]); n != 0 {
		t.Error("the process that stopped has ended it")
	}
	l.takeEnds(it) // not before: it tries again as long as it lives

	l.begins()
	l.wantEnd(it, 0)
	l.wantJournal()
}

// TestAdoptionWithoutAnswer: nothing is done for an action before somebody says
// that it is wanted.
func TestAdoptionWithoutAnswer(t *testing.T) {
	var fid llapi.FID
	l := newLife(t, func(r *rig) {
		fid = r.write("f", "content")
		r.archive(fid)
	})
	it := l.item(llapi.ActionRemove, fid)
	l.answer[key{it.Cookie, fid}] = &llapi.Error{Func: "progress", Errno: syscall.EIO}
	l.dies(it)
	l.begins()
	l.log.wait(t, "ask whether the action is still wanted")
	l.wantBlob("f", "content")
	l.mu.Lock()
	delete(l.answer, key{it.Cookie, fid})
	l.mu.Unlock()
	l.wantEnd(it, 0)
	l.wantNoBlob("f")
	l.wantJournal()
}

func TestAdoptedActionOfAnotherArchive(t *testing.T) {
	var fid llapi.FID
	l := newLife(t, func(r *rig) { fid = r.write("f", "content") })
	it := l.item(llapi.ActionArchive, fid)
	x := newTask(it, &llapi.ActionList{ArchiveID: 9}, time.Now())
	openJournal(t, l.dir).received([]*task{x})
	l.begins()
	l.wantEnd(it, syscall.ENXIO)
	l.wantJournal()
}

// TestJournalIsEmptyAfterWork of every kind, good and bad.
func TestJournalIsEmptyAfterWork(t *testing.T) {
	dir := t.TempDir()
	r := prepareRig(t, func(o *Options) { o.Journal = openJournal(t, dir) })
	l := &life{r, dir}
	l.serve()
	fid := l.write("f", "content")
	l.archive(fid)
	l.want(llapi.ActionRestore, l.write("never archived", "x"), syscall.ENOENT)
	l.want(llapi.Action(42), fid, syscall.EOPNOTSUPP)
	caught, release := l.hold("delete")
	it := l.item(llapi.ActionRemove, fid)
	l.send(it)
	<-caught
	l.send(it) // again
	if got := entries(l.agent.o.Journal); !slices.Contains(got, int(fid.OID)) {
		t.Errorf("while it runs, open are %v", got)
	}
	release()
	l.wantEnd(it, 0)
	l.wantJournal()
}
