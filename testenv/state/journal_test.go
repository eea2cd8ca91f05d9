package state

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// picture describes everything of a file system that must survive a restart.
func (w *world) picture() string {
	w.begin()
	defer w.FS.end()
	var b strings.Builder
	for _, ino := range slices.Sorted(maps.Keys(w.inodes)) {
		i := w.inodes[ino]
		if i.is.volatile || i.nlink == 0 {
			continue
		}
		var links []string
		for _, l := range i.links() {
			links = append(links, l.parent.fid().Bare()+"/"+l.name)
		}
		slices.Sort(links)
		fmt.Fprintf(&b, "%s %o %d:%d nlink=%d size=%d blocks=%d times=%d,%d,%d obj=%d dv=%d hsm=%#x,%d,%d,%v hollow=%v %q",
			i.fid(), i.mode, i.uid, i.gid, i.nlink, i.size, i.blocks, i.atime, i.mtime, i.ctime, i.obj, i.dv, i.flags, i.archive, i.archDV, i.is.hsm, i.is.hollow, links)
		if x := i.extra; x != nil {
			fmt.Fprintf(&b, " x=%v lov=%x target=%q rdev=%d", x.xattrs, x.lov, x.target, x.rdev)
		}
		b.WriteString("\n")
	}
	for e := w.cdt.log.Front(); e != nil; e = e.Next() {
		r := *e.Value.(*record)
		fmt.Fprintln(&b, r.index, r.action, r.fid, r.dfid, r.extent, r.cookie, r.data, r.archive, r.flags, r.status, r.created, r.changed)
	}
	fmt.Fprintln(&b, w.changes.last, w.changes.records)
	for _, u := range w.changes.users {
		fmt.Fprintln(&b, *u)
	}
	for n := range w.params.table {
		if p := &w.params.table[n]; p.set != nil {
			fmt.Fprintln(&b, p.name, p.get(w.FS))
		}
	}
	return b.String()
}

// populate makes some of everything, with nothing running at the end.
func (w *world) populate() {
	w.t.Helper()
	_, err := w.ChangelogRegister("", "")
	w.ok(err)
	_, err = w.ChangelogRegister("HSM", "rob")
	w.ok(err)
	c := w.tool(1)
	c.archived("archived", "one")
	rel := c.released("released", "two")
	w.write(c.archived("dirty", "three"), "3")
	w.ok(w.SetXattr(rel, Root, "trusted.x", []byte("value"), 0))
	d, err := w.Mkdir(RootFID, "d", 0o2750, alice)
	w.ok(err)
	_, err = w.Link(rel, d.FID, "hard", Root)
	w.ok(err)
	_, err = w.Symlink(d.FID, "sym", "../target", bob)
	w.ok(err)
	_, err = w.Mknod(d.FID, "dev", syscall.S_IFCHR, 0x501, Root)
	w.ok(err)
	then := time.Unix(1e9, 7)
	_, err = w.SetAttr(rel, Root, SetAttr{Mtime: &then})
	w.ok(err)
	w.ok(w.Rename(RootFID, "archived", d.FID, "renamed", 0, Root))
	w.file("gone", "x")
	w.ok(w.Unlink(RootFID, "gone", Root))
	w.ok(w.request(Root, UserArchive, 7, w.file("waiting", "x")))
	w.ok(w.ChangelogClear("cl1", 5))
	w.ok(w.ChangelogClear("rob", 3))
	w.set("mdt.*.hsm.max_requests=9")
	w.set("mdt.*.hsm.policy=+NBR")
	synctest.Wait()
}

func TestStateSurvives(t *testing.T) {
	for name, restart := range map[string]func(w *world){
		"a clean stop":         (*world).reopen,
		"kill -9":              (*world).crash,
		"one after the other":  func(w *world) { w.reopen(); w.crash(); w.reopen() },
		"kill -9 of a restart": func(w *world) { w.crash(); w.crash() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, enabled, func(w *world) {
				w.populate()
				before := w.picture()
				restart(w)
				if after := w.picture(); after != before {
					t.Errorf("before:\n%s\nafter:\n%s", before, after)
				}
				a, err := w.Lookup(RootFID, "dirty")
				w.ok(err)
				if got := w.read(a.FID); got != "3hree" {
					t.Errorf("content %q", got)
				}
				if next := w.file("new", ""); next.OID < oidBatch {
					t.Errorf("FID %v may have been used before", next)
				}
			})
		})
	}
}

func TestRunningRequestsAfterARestart(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		rel := c.released("rel", "x")
		big := w.file("big", "x")
		w.archiveReq(big)
		it := c.mustNext(1)[0]
		c.start(it)
		w.ok(w.request(Root, UserRestore, 0, rel))
		re := c.mustNext(1)[0]
		w.crash()
		w.wantStatuses("ARCHIVE SUCCEED, ARCHIVE STARTED, RESTORE WAITING")
		if got := w.param("mdt.*.hsm.agents"); got != "" {
			t.Errorf("agents %s", got)
		}
		w.is(w.Progress(Root, Progress{FID: big, Cookie: it.Cookie}), syscall.ENOENT)
		r := w.reader(rel) // joins
		c = w.tool(1)
		again := c.mustNext(1)[0]
		if again.Cookie != re.Cookie {
			t.Errorf("cookie %#x, was %#x", again.Cookie, re.Cookie)
		}
		c.restore(again, "x")
		w.wantDone(nil, r)
		w.archiveReq(w.file("n", "x"))
		if it := c.mustNext(1)[0]; it.Cookie <= re.Cookie {
			t.Errorf("cookie %#x given out again", it.Cookie)
		}
	})
}

// A writer that died with the daemon: what he wrote makes the file dirty.
func TestUnclosedWriterAfterACrash(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f, g := c.archived("f", "x"), c.archived("g", "x")
		h, err := w.Open(f, os.O_WRONLY, Root)
		w.ok(err)
		w.writeHandle(h, "not closed")
		_, err = w.Open(g, os.O_WRONLY, Root)
		w.ok(err)
		w.crash()
		w.wantState(f, Exists|Archived|Dirty, 1)
		w.wantState(g, Exists|Archived, 1)
		if a, _ := w.GetAttr(f); a.Size != 10 {
			t.Errorf("size %d", a.Size)
		}
		before := w.picture()
		w.crash()
		if after := w.picture(); after != before {
			t.Errorf("before:\n%s\nafter:\n%s", before, after)
		}
	})
}

func countObjects(t *testing.T, back string) (n int) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(back, "objects"), func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestUnreferencedObjectsAreRemoved(t *testing.T) {
	w := openWorld(t, t.TempDir(), nil)
	w.file("kept", "x")
	h, _, err := w.Create(RootFID, volatileHeader, 0o600, Root, os.O_RDWR)
	w.ok(err)
	w.writeHandle(h, "x")
	w.file("orphan", "x")
	o, err := w.Lookup(RootFID, "orphan")
	w.ok(err)
	_, err = w.Open(o.FID, os.O_RDONLY, Root)
	w.ok(err)
	w.ok(w.Unlink(RootFID, "orphan", Root))
	w.ok(os.WriteFile(filepath.Join(w.back, "objects", "stray"), nil, 0o600))
	if n := countObjects(t, w.back); n != 4 {
		t.Fatalf("%d objects before", n)
	}
	w.crash()
	if n := countObjects(t, w.back); n != 1 {
		t.Errorf("%d objects after", n)
	}
	_, err = w.GetAttr(o.FID)
	w.is(err, syscall.ENOENT)
}

func TestOnlyOneProcess(t *testing.T) {
	w := openWorld(t, t.TempDir(), nil)
	if _, err := Open(Options{Back: w.back}); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("second open: %v", err)
	}
	if _, err := Open(Options{Back: t.TempDir(), FSName: "ninechars"}); err == nil {
		t.Error("a name of nine characters")
	}
}

// The journal cut off anywhere gives a state that once was, with all that was
// acknowledged before the cut.
func TestTornJournal(t *testing.T) {
	back := t.TempDir()
	var pictures []string
	var sizes []int64
	w := openWorld(t, back, nil)
	for n := range 40 {
		f := w.file(fmt.Sprint("f", n), "")
		switch n % 4 {
		case 1:
			w.ok(w.Unlink(RootFID, fmt.Sprint("f", n-1), Root))
		case 2:
			w.ok(w.Rename(RootFID, fmt.Sprint("f", n), RootFID, fmt.Sprint("g", n), 0, Root))
		case 3:
			w.ok(w.SetXattr(f, Root, "user.n", []byte{byte(n)}, 0))
		}
		pictures = append(pictures, w.picture())
		sizes = append(sizes, w.journal.size)
	}
	w.kill()
	journal, err := os.ReadFile(filepath.Join(back, "meta", "journal"))
	w.ok(err)
	r := rand.New(rand.NewPCG(3, 4))
	for range 60 {
		cut := r.IntN(len(journal) + 1)
		dir := t.TempDir()
		w.ok(os.MkdirAll(filepath.Join(dir, "meta"), 0o700))
		torn := slices.Clone(journal[:cut])
		if cut > 0 && r.IntN(2) == 0 {
			torn = append(torn, 0xff, 0, 0, 0, 1, 2) // what a crash may leave behind
		}
		w.ok(os.WriteFile(filepath.Join(dir, "meta", "journal"), torn, 0o600))
		again := openWorld(t, dir, nil)
		last := -1
		for n, size := range sizes {
			if size <= int64(cut) {
				last = n
			}
		}
		// The cut may lie inside the next step, which has several mutations.
		if last >= 0 && sizes[last] == int64(cut) && again.picture() != pictures[last] {
			t.Fatalf("cut at %d, after step %d:\n%s\nwant:\n%s", cut, last, again.picture(), pictures[last])
		}
		if last >= 0 {
			if _, err := again.Lookup(RootFID, "f3"); last >= 3 && err != nil {
				t.Fatalf("cut at %d: f3 is lost: %v", cut, err)
			}
		}
		again.file("after", "") // and it goes on
	}
	w.open() // for the clean-up
}

func TestSnapshotReplacesALongJournal(t *testing.T) {
	w := openWorld(t, t.TempDir(), nil)
	w.journal.limit = 1 << 16
	w.ok(w.BulkCreate(RootFID, "f", 0, 3000, 0, Root))
	if _, err := os.Stat(filepath.Join(w.back, "meta", "snapshot")); err != nil {
		t.Fatalf("no snapshot: %v", err)
	}
	before := w.picture()
	w.crash()
	if w.picture() != before {
		t.Error("state changed")
	}
}

func TestDamagedSnapshot(t *testing.T) {
	w := openWorld(t, t.TempDir(), nil)
	w.file("f", "")
	w.ok(w.Close())
	path := filepath.Join(w.back, "meta", "snapshot")
	good, err := os.ReadFile(path)
	w.ok(err)
	bad := slices.Clone(good)
	bad[len(bad)/2] ^= 1
	w.ok(os.WriteFile(path, bad, 0o600))
	if _, err := Open(Options{Back: w.back}); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("open: %v", err)
	}
	w.ok(os.WriteFile(path, good, 0o600))
	w.open()
}

func TestOldJournalOverNewSnapshot(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		w.populate()
		w.kill()
		journal := filepath.Join(w.back, "meta", "journal")
		old, err := os.ReadFile(journal)
		w.ok(err)
		w.open()
		before := w.picture()
		w.ok(w.Close())
		w.ok(os.WriteFile(journal, old, 0o600)) // killed before it was emptied
		w.open()
		if after := w.picture(); after != before {
			t.Errorf("before:\n%s\nafter:\n%s", before, after)
		}
	})
}

func TestLostJournalIsReported(t *testing.T) {
	var log bytes.Buffer
	w := openWorld(t, t.TempDir(), nil)
	w.logger = newTestLogger(&log)
	w.begin()
	w.ok(w.journal.file.Close())
	w.FS.end()
	w.file("f", "") // goes on in memory
	if !strings.Contains(log.String(), "journal is lost") {
		t.Errorf("log: %s", log.String())
	}
	if err := w.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("close: %v", err)
	}
}

// Whatever is in a journal, reading it neither panics nor hangs, and what was
// read can be written and read again.
func FuzzJournal(f *testing.F) {
	root := newFS(Options{}).newDir(RootFID, 0o755)
	file := &inode{ino: FID{firstSeq, 1, 0}.Ino(), mode: syscall.S_IFREG, nlink: 1, extra: &inodeExtra{xattrs: map[string][]byte{"user.a": {1}}}}
	var e encoder
	encodeInode(&e, root)
	encodeInode(&e, file)
	encodeName(&e, root, "name", file)
	encodeRecord(&e, &record{index: 1, action: ActionArchive, fid: file.fid(), cookie: 2, data: []byte("x")})
	encodeCounter(&e, counterOID, 7)
	encodeUser(&e, &changelogUser{number: 1, id: "cl1"})
	f.Add(e.b)
	f.Fuzz(func(t *testing.T, payload []byte) {
		fs := newFS(Options{})
		if err := fs.apply(payload); err != nil {
			return
		}
		first := replayedWorld(t, fs)
		again := newFS(Options{})
		fs.dump(func(payload []byte) {
			if err := again.apply(payload); err != nil {
				t.Fatalf("what was dumped cannot be read: %v", err)
			}
		})
		second := replayedWorld(t, again)
		if a, b := first.picture(), second.picture(); a != b {
			t.Errorf("read:\n%s\nwritten and read again:\n%s", a, b)
		}
	})
}

func replayedWorld(t *testing.T, fs *FS) *world {
	fs.cdt.replayed()
	for ino, i := range fs.inodes {
		if i.nlink == 0 {
			delete(fs.inodes, ino)
		}
	}
	return &world{FS: fs, t: t}
}

// What the journal does not know of has not happened: the data must be there.
func TestReleaseThatWasNotRecordedLosesNothing(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		f := w.tool(1).archived("f", "precious")
		w.begin()
		w.ok(w.journal.file.Close())
		w.FS.end()
		w.ok(w.Release(f, Root))
		w.ok(w.Unlink(RootFID, "f", Root))
		w.is(w.Close(), os.ErrClosed)
		w.open()
		w.wantState(f, Exists|Archived, 1)
		if got := w.read(f); got != "precious" {
			t.Errorf("content %q", got)
		}
	})
}

// And cutting files into frames gives back what was put in, up to the damage.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("one"), []byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, payload, tail []byte) {
		b := append(appendFrame(appendFrame(nil, payload), nil), tail...)
		n := 0
		sound, err := readFrames(b, func(p []byte) error {
			if n == 0 && !bytes.Equal(p, payload) {
				t.Fatalf("first frame is %x", p)
			}
			n++
			return nil
		})
		if err != nil || n < 2 || sound < len(b)-len(tail) || sound > len(b) {
			t.Fatalf("%d frames, %d of %d bytes, %v", n, sound, len(b), err)
		}
	})
}
