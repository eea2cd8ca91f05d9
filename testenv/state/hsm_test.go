package state

import (
	"encoding/binary"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// The states of facts/real-lustre.md section 1, one after the other.
func TestLifeOfAFile(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := w.file("f1", "first")
		w.wantState(f, 0, 0)

		w.archiveReq(f)
		it := c.mustNext(1)[0]
		w.wantState(f, Exists, 1) // set when the archive starts
		c.do(it)
		w.wantState(f, Exists|Archived, 1)

		w.write(f, "again")
		w.wantState(f, Exists|Dirty|Archived, 1)
		w.archiveReq(f)
		c.do(c.mustNext(1)[0])
		w.wantState(f, Exists|Archived, 1)

		w.ok(w.request(alice, UserRestore, 0, f)) // not needed, nothing recorded
		w.ok(w.request(Root, UserRelease, 0, f))
		w.wantState(f, Exists|Archived|Released, 1)
		a, err := w.GetAttr(f)
		w.ok(err)
		if a.Size != 5 || a.Blocks != 1 {
			t.Errorf("released: size %d, %d blocks", a.Size, a.Blocks)
		}
		if dv, _ := w.DataVersion(f); dv != 0 {
			t.Errorf("released: data version %d", dv)
		}

		w.ok(w.request(alice, UserRestore, 0, f))
		c.restore(c.mustNext(1)[0], "again")
		w.wantState(f, Exists|Archived, 1)
		if got := w.read(f); got != "again" {
			t.Errorf("restored %q", got)
		}
		w.ok(w.request(Root, UserRelease, 0, f)) // restored, so it may be released again
		w.is(w.request(Root, UserRemove, 0, f), syscall.EPERM)
		w.ok(w.request(Root, UserRestore, 0, f))
		c.restore(c.mustNext(1)[0], "again")

		w.ok(w.request(Root, UserRemove, 0, f))
		c.do(c.mustNext(1)[0])
		w.wantState(f, 0, 1) // flags gone, archive id kept
	})
}

func TestRemoveOfADirtyFileLeavesDirty(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := c.archived("f", "x")
		w.write(f, "y")
		w.ok(w.request(Root, UserRemove, 0, f))
		c.do(c.mustNext(1)[0])
		w.wantState(f, Dirty, 1)
	})
}

func TestFailedArchiveLeavesExists(t *testing.T) {
	for name, errno := range map[string]syscall.Errno{"failed": syscall.ENOTDIR, "cancelled": syscall.ECANCELED} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, enabled, func(w *world) {
				c := w.tool(1)
				f := w.file("f", "x")
				w.archiveReq(f)
				it := c.mustNext(1)[0]
				w.ok(c.end(it, c.start(it), errno))
				w.wantState(f, Exists, 1)
			})
		})
	}
}

func TestStateSet(t *testing.T) {
	id := func(n uint32) *uint32 { return &n }
	admin := Cred{Admin: true} // CAP_SYS_ADMIN without CAP_FOWNER
	for name, c := range map[string]struct {
		from Flags
		cred Cred
		set  HSMSet
		want Flags
		err  error
	}{
		"user, noarchive":                 {0, alice, HSMSet{Set: uint64(NoArchive)}, NoArchive, nil},
		"user, norelease of archived":     {Exists | Archived, alice, HSMSet{Set: uint64(NoRelease)}, Exists | Archived | NoRelease, nil},
		"user, of another's":              {Exists | Archived, bob, HSMSet{Set: uint64(NoRelease)}, Exists | Archived, syscall.EPERM},
		"admin, of another's":             {Exists | Archived, admin, HSMSet{Set: uint64(Dirty)}, Exists | Archived, syscall.EPERM},
		"admin, nonsense of another's":    {0, admin, HSMSet{Set: uint64(Dirty)}, 0, syscall.EINVAL},
		"user, dirty of archived":         {Exists | Archived, alice, HSMSet{Set: uint64(Dirty)}, Exists | Archived | Dirty, nil},
		"user, dirty of new":              {0, alice, HSMSet{Set: uint64(Dirty)}, 0, syscall.EINVAL},
		"user, exists":                    {0, alice, HSMSet{Set: uint64(Exists)}, 0, syscall.EPERM},
		"user, clear archived":            {Exists | Archived, alice, HSMSet{Clear: uint64(Archived)}, Exists | Archived, syscall.EPERM},
		"unknown bit":                     {0, Root, HSMSet{Set: 0x200}, 0, syscall.EINVAL},
		"root, lost":                      {Exists | Archived | Dirty, Root, HSMSet{Set: uint64(Lost)}, Exists | Archived | Dirty | Lost, nil},
		"lost, not archived":              {Exists, Root, HSMSet{Set: uint64(Lost)}, Exists, syscall.EINVAL},
		"released and dirty":              {Exists | Archived | Dirty, Root, HSMSet{Set: uint64(Released)}, Exists | Archived | Dirty, syscall.EINVAL},
		"released, not archived":          {Exists, Root, HSMSet{Set: uint64(Released)}, Exists, syscall.EINVAL},
		"id without exists saves nothing": {0, Root, HSMSet{Set: uint64(NoArchive), ArchiveID: id(4)}, 0, nil},
		"id with exists":                  {0, Root, HSMSet{Set: uint64(Exists), ArchiveID: id(4)}, Exists, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := openWorld(t, t.TempDir(), nil)
			f := w.file("f", "x", alice)
			w.ok(w.HSMStateSet(f, Root, HSMSet{Set: uint64(c.from)}))
			w.is(w.HSMStateSet(f, c.cred, c.set), c.err)
			archive := uint32(0)
			if c.set.ArchiveID != nil && c.want&Exists != 0 {
				archive = *c.set.ArchiveID
			}
			w.wantState(f, c.want, archive)
		})
	}
}

func TestStateOfADirectory(t *testing.T) {
	w := openWorld(t, t.TempDir(), nil)
	_, err := w.HSMStateGet(RootFID)
	w.is(err, syscall.ENOTTY)
	_, err = w.CurrentAction(RootFID)
	w.is(err, syscall.ENOTTY)
	_, err = w.HSMStateGet(FID{firstSeq, 0xffff, 0})
	w.is(err, syscall.ENOENT)
}

func TestRelease(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world, f FID)
		cred   Cred
		err    error
		want   Flags
	}{
		"archived":         {nil, Root, nil, Exists | Archived | Released},
		"by the owner":     {nil, alice, nil, Exists | Archived | Released},
		"without write":    {nil, bob, syscall.EACCES, Exists | Archived},
		"dirty":            {func(w *world, f FID) { w.write(f, "y") }, Root, syscall.EPERM, Exists | Archived | Dirty},
		"dirty, by others": {func(w *world, f FID) { w.write(f, "y") }, bob, syscall.EPERM, Exists | Archived | Dirty},
		"norelease": {
			func(w *world, f FID) { w.ok(w.HSMStateSet(f, Root, HSMSet{Set: uint64(NoRelease)})) },
			Root, syscall.EPERM, Exists | Archived | NoRelease,
		},
		"lost": {
			func(w *world, f FID) { w.ok(w.HSMStateSet(f, Root, HSMSet{Set: uint64(Lost)})) },
			Root, syscall.EPERM, Exists | Archived | Lost,
		},
		"twice": {func(w *world, f FID) { w.ok(w.Release(f, Root)) }, Root, nil, Exists | Archived | Released},
		"twice, without write": {
			func(w *world, f FID) { w.ok(w.Release(f, Root)) },
			bob, syscall.EACCES, Exists | Archived | Released,
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, enabled, func(w *world) {
				f := w.tool(1).archived("f", "x", alice)
				if c.change != nil {
					c.change(w, f)
				}
				w.is(w.request(c.cred, UserRelease, 0, f), c.err)
				w.wantState(f, c.want, 1)
			})
		})
	}
}

func TestReleaseNeverArchived(t *testing.T) {
	w := openWorld(t, t.TempDir(), nil)
	f := w.file("f", "x")
	w.is(w.request(Root, UserRelease, 0, f), syscall.EPERM)
	w.is(w.request(Root, UserRelease, 0, RootFID), syscall.EINVAL)
}

// Between write and close the state still says "archived", but release knows.
func TestReleaseBeforeClose(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		f := w.tool(1).archived("f", "x")
		h, err := w.Open(f, os.O_WRONLY, Root)
		w.ok(err)
		defer h.Release()
		w.writeHandle(h, "changed")
		w.wantState(f, Exists|Archived, 1)
		w.is(w.request(Root, UserRelease, 0, f), syscall.EPERM)
		w.wantState(f, Exists|Archived|Dirty, 1)
	})
}

func TestReleaseWhileOthersHoldTheFile(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := c.archived("o", "content")
		h, err := w.Open(f, os.O_RDWR, Root)
		w.ok(err)
		before := h.Layout()
		w.ok(w.request(Root, UserRelease, 0, f))
		if h.Layout() == before {
			t.Error("the handle is not told")
		}
		_, _, err = h.OpenObject()
		w.is(err, ErrReleased)
		w.ok(w.request(Root, UserRestore, 0, f))
		c.restore(c.mustNext(1)[0], "content")
		h.Flush()
		w.wantState(f, Exists|Archived, 1) // restored, and nobody wrote
		w.writeHandle(h, "CONTENT")
		h.Release()
		w.wantState(f, Exists|Archived|Dirty, 1)
	})
}

func TestDirty(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := c.archived("f", "content")
		clean := func(what string) {
			t.Helper()
			if s, _ := w.HSMStateGet(f); s.Flags != Exists|Archived {
				t.Errorf("%s makes it %#x", what, s.Flags)
			}
		}
		dv, err := w.DataVersion(f)
		w.ok(err)
		mode, uid, now := uint32(0o600), uint32(5), time.Unix(1, 0)
		_, err = w.SetAttr(f, Root, SetAttr{Mode: &mode, UID: &uid, Mtime: &now})
		w.ok(err)
		clean("chmod, chown, touch")
		w.ok(w.SetXattr(f, Root, "trusted.lhsm_azblob", make([]byte, 60000), 0))
		clean("setxattr")
		w.ok(w.Rename(RootFID, "f", RootFID, "g", 0, Root))
		clean("rename")
		h, err := w.Open(f, os.O_RDWR, Root)
		w.ok(err)
		h.Release()
		clean("open for writing")
		if got, _ := w.DataVersion(f); got != dv {
			t.Errorf("data version went from %d to %d", dv, got)
		}
		size := uint64(7)
		_, err = w.SetAttr(f, Root, SetAttr{Size: &size})
		w.ok(err)
		w.wantState(f, Exists|Archived|Dirty, 1) // at once
	})
}

func TestDataVersion(t *testing.T) {
	w := openWorld(t, t.TempDir(), nil)
	f := w.file("f", "")
	if dv, err := w.DataVersion(f); dv != 0 || err != nil {
		t.Errorf("empty file: %d, %v", dv, err)
	}
	seen := map[uint64]bool{}
	h, err := w.Open(f, os.O_RDWR, Root)
	w.ok(err)
	defer h.Release()
	for range 100 {
		w.writeHandle(h, "same bytes")
		dv, err := w.DataVersion(f)
		w.ok(err)
		if seen[dv] {
			t.Fatalf("data version %d twice", dv)
		}
		seen[dv] = true
	}
	w.is(w.SetDataVersion(f, alice, 1), syscall.EPERM)
	w.ok(w.SetDataVersion(f, Root, 42))
	v, err := w.GetXattr(f, Root, xattrHSM)
	w.ok(err)
	if got := binary.LittleEndian.Uint64(v[16:]); got != 42 {
		t.Errorf("archived version %d", got)
	}
}

func TestImport(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(2)
		a, err := w.Mknod(RootFID, "imported", syscall.S_IFREG|0o600, 0, Root)
		w.ok(err)
		in := Import{Size: 1234, Mtime: time.Unix(77, 0), Atime: time.Unix(78, 0), UID: 9, GID: 8, Mode: 0o640, ArchiveID: 2}
		w.is(w.Import(a.FID, alice, in), syscall.EPERM)
		w.ok(w.Import(a.FID, Root, in))
		w.wantState(a.FID, Exists|Archived|Released, 2)
		a, err = w.GetAttr(a.FID)
		w.ok(err)
		if a.Size != 1234 || a.UID != 9 || a.Mode != syscall.S_IFREG|0o640 || a.Mtime.Unix() != 77 {
			t.Errorf("imported: %+v", a)
		}
		w.ok(w.request(Root, UserRestore, 0, a.FID))
		c.restore(c.mustNext(1)[0], "data")
		w.wantState(a.FID, Exists|Archived, 2)
		a, err = w.GetAttr(a.FID)
		w.ok(err)
		if a.Size != 4 || a.Mtime.Unix() != 77 { // Lustre does not check the size
			t.Errorf("restored: size %d, mtime %v", a.Size, a.Mtime)
		}
	})
}

func TestSwapLayouts(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		f := w.tool(1).archived("f", "one")
		g := w.file("g", "second")
		w.is(w.SwapLayouts(f, g, bob), syscall.EPERM)
		w.is(w.SwapLayouts(f, f, Root), syscall.EINVAL)
		w.ok(w.SwapLayouts(f, g, Root))
		if w.read(f) != "second" || w.read(g) != "one" {
			t.Errorf("f %q, g %q", w.read(f), w.read(g))
		}
		w.wantState(f, Exists|Archived|Dirty, 1)
		w.wantState(g, 0, 0)
	})
}

func TestEmptyFile(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := c.released("empty", "")
		w.ok(w.request(Root, UserRestore, 0, f))
		c.restore(c.mustNext(1)[0], "")
		synctest.Wait()
		w.wantState(f, Exists|Archived, 1)
	})
}
