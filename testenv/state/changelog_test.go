package state

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// decoded is a changelog record as a reader sees it.
type decoded struct {
	kind   changeType
	flags  uint16
	extra  uint64
	index  uint64
	time   uint64
	target FID
	parent FID
	source FID
	name   string
	nid    byte
	uid    uint64
	xattr  string
	mode   uint32
}

// decodeChange splits a record off b by the rules of the real one: by flags.
func decodeChange(b []byte) (r decoded, rest []byte) {
	fid := func(b []byte) FID { return FID{le.Uint64(b), le.Uint32(b[8:]), le.Uint32(b[12:])} }
	namelen := int(le.Uint16(b))
	flags := le.Uint16(b[2:])
	r = decoded{
		kind: changeType(le.Uint32(b[4:])), flags: flags & 0xfff, index: le.Uint64(b[8:]), time: le.Uint64(b[24:]),
		target: fid(b[32:]), parent: fid(b[48:]),
	}
	at := 64
	if flags&0x2000 != 0 {
		r.source = fid(b[at:])
		at += 32
	}
	if flags&0x8000 != 0 {
		r.extra = le.Uint64(b[at:])
		r.uid = le.Uint64(b[at+8:])
		r.nid = b[at+24+1]
		at += 8 + 16 + 24
		if r.extra&4 != 0 {
			r.mode = le.Uint32(b[at:])
			at += 4
		}
		if r.extra&8 != 0 {
			r.xattr, _, _ = strings.Cut(string(b[at:at+256]), "\x00")
			at += 256
		}
	}
	r.name = string(b[at : at+namelen])
	return r, b[at+namelen:]
}

func (w *world) changesFrom(start uint64) (all []decoded) {
	for b, _ := w.ChangelogRead(start, 1<<20); len(b) > 0; {
		var r decoded
		r, b = decodeChange(b)
		all = append(all, r)
	}
	return all
}

// short gives records as "HSM 0x280".
func short(all []decoded) string {
	var words []string
	for _, r := range all {
		words = append(words, fmt.Sprintf("%s %#x", changeNames[r.kind], r.flags))
	}
	return strings.Join(words, ", ")
}

// recorder reads what was added since it was last asked.
func (w *world) recorder() func() string {
	next := uint64(1)
	return func() string {
		all := w.changesFrom(next)
		next += uint64(len(all))
		return short(all)
	}
}

// Facts/real-lustre.md section 8.
func TestChangelogOfHSM(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		w.set("mdd.*.changelog_mask=ALL")
		_, err := w.ChangelogRegister("", "")
		w.ok(err)
		seen := w.recorder()
		want := func(what, want string) {
			t.Helper()
			synctest.Wait()
			if got := seen(); got != want {
				t.Errorf("%s:\n got %s\nwant %s", what, got, want)
			}
		}
		c := w.tool(1)
		h, a, err := w.Create(RootFID, "f", 0o644, Root, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
		w.ok(err)
		w.writeHandle(h, "content")
		h.Release()
		f := a.FID
		want("create+write+close", "CREAT 0x0, OPEN 0x24a, CLOSE 0x242")

		w.archiveReq(f)
		c.do(c.mustNext(1)[0])
		want("archive", "HSM 0x280, HSM 0x280, HSM 0x0")
		w.write(f, "changed")
		want("write to archived", "OPEN 0x2, HSM 0x680, CLOSE 0x2")
		w.write(f, "again")
		want("write to dirty", "OPEN 0x2, CLOSE 0x2")
		w.archiveReq(f)
		c.do(c.mustNext(1)[0])
		want("archive again", "HSM 0x280, HSM 0x0")
		size := uint64(3)
		_, err = w.SetAttr(f, Root, SetAttr{Size: &size})
		w.ok(err)
		want("truncate", "TRUNC 0xe, HSM 0x680")
		w.archiveReq(f)
		c.do(c.mustNext(1)[0])
		seen()

		w.ok(w.Release(f, Root))
		want("release", "OPEN 0x2, TRUNC 0xf, OPEN 0x8, LYOUT 0x0, CLOSE 0x2")
		w.ok(w.request(Root, UserRestore, 0, f))
		c.restore(c.mustNext(1)[0], "changed")
		want("restore", "OPEN 0xcb, HSM 0x0, HSM 0x180, HSM 0x80")
		mode, uid := uint32(0o600), uint32(1)
		_, err = w.SetAttr(f, Root, SetAttr{Mode: &mode})
		w.ok(err)
		_, err = w.SetAttr(f, Root, SetAttr{UID: &uid})
		w.ok(err)
		w.ok(w.SetXattr(f, Root, "user.k", nil, 0))
		want("chmod, chown, setfattr", "SATTR 0x14, SATTR 0x24, XATTR 0x0")
		w.ok(w.HSMStateSet(f, Root, HSMSet{Set: uint64(NoArchive)}))
		w.ok(w.HSMStateSet(f, Root, HSMSet{Clear: uint64(NoArchive)}))
		want("hsm_set, hsm_clear", "HSM 0x280, HSM 0x280")
		w.ok(w.request(Root, UserRemove, 0, f))
		c.do(c.mustNext(1)[0])
		want("remove", "HSM 0x280, HSM 0x200")

		w.archiveReq(f)
		it := c.mustNext(1)[0]
		w.ok(c.end(it, c.start(it), syscall.ENOTDIR))
		want("failed archive", "HSM 0x280, HSM 0x14")
		w.ok(w.Unlink(RootFID, "f", Root))
		want("rm with a copy", "UNLNK 0x3")
		w.file("g", "")
		seen()
		w.ok(w.Unlink(RootFID, "g", Root))
		want("rm without", "UNLNK 0x1")
	})
}

func TestChangelogOfCancels(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := c.released("f", "x")
		_, err := w.ChangelogRegister("HSM", "")
		w.ok(err)
		seen := w.recorder()
		w.ok(w.request(Root, UserRestore, 0, f))
		it := c.mustNext(1)[0]
		w.ok(w.request(Root, UserCancel, 0, f))
		c.mustNext(1)
		w.ok(c.end(it, 0, syscall.ECANCELED))
		if got := seen(); got != "HSM 0xfd" {
			t.Errorf("cancelled restore: %s", got)
		}
		w.ok(w.request(Root, UserRestore, 0, f))
		c.restore(c.mustNext(1)[0], "x")
		w.write(f, "dirty")
		seen()
		w.ok(w.request(Root, UserRemove, 0, f))
		it = c.mustNext(1)[0]
		w.sleep("61m")
		if got := seen(); got != "HSM 0x67d" {
			t.Errorf("remove that timed out: %s", got)
		}
		w.is(c.end(it, 0, 0), syscall.ENOENT)
	})
}

func TestChangelogOfNames(t *testing.T) {
	w := openWorld(t, t.TempDir(), nil)
	w.set("mdd.*.changelog_mask=ALL")
	_, err := w.ChangelogRegister("", "")
	w.ok(err)
	d, err := w.Mkdir(RootFID, "d", 0o755, alice)
	w.ok(err)
	_, err = w.Symlink(d.FID, "s", "t", alice)
	w.ok(err)
	a, err := w.Mknod(d.FID, "m", syscall.S_IFREG, 0, alice)
	w.ok(err)
	_, err = w.Mknod(d.FID, "p", syscall.S_IFIFO, 0, alice)
	w.ok(err)
	_, err = w.Link(a.FID, RootFID, "hard", alice)
	w.ok(err)
	w.ok(w.Rename(d.FID, "m", RootFID, "moved", 0, alice))
	w.ok(w.Rename(RootFID, "moved", d.FID, "p", 0, alice))
	w.ok(w.Unlink(d.FID, "s", alice))
	then := time.Unix(5, 0)
	_, err = w.SetAttr(a.FID, alice, SetAttr{Mtime: &then})
	w.ok(err)
	_, err = w.SetAttr(a.FID, alice, SetAttr{Atime: &then})
	w.ok(err)
	w.ok(w.RemoveXattr(w.withXattr(a.FID), Root, "user.x"))
	w.ok(w.Rename(d.FID, "p", RootFID, "q", 0, alice))
	w.ok(w.Rmdir(RootFID, "d", alice))
	all := w.changesFrom(0)
	want := "MKDIR 0x0, SLINK 0x0, CREAT 0x0, MKNOD 0x0, HLINK 0x0, RENME 0x0, RENME 0x1, UNLNK 0x1, MTIME 0x6, ATIME 0x5, XATTR 0x0, XATTR 0x0, RENME 0x0, RMDIR 0x1"
	if got := short(all); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	for n, r := range all {
		if r.index != uint64(n+1) || r.nid != localNetwork {
			t.Errorf("record %d has index %d, nid %d", n, r.index, r.nid)
		}
	}
	mkdir, rename, over, xattr := all[0], all[5], all[6], all[10]
	if mkdir.target != d.FID || mkdir.parent != RootFID || mkdir.name != "d" || mkdir.uid != 1001 || mkdir.extra != 0x13 {
		t.Errorf("MKDIR %+v", mkdir)
	}
	if rename.name != "moved\x00m" || rename.source != a.FID || !rename.target.IsZero() || rename.parent != RootFID {
		t.Errorf("RENME %+v", rename)
	}
	if over.name != "p\x00moved" || over.target.IsZero() {
		t.Errorf("RENME over %+v", over)
	}
	if xattr.xattr != "user.x" || xattr.extra != 0x1b {
		t.Errorf("XATTR %+v", xattr)
	}
}

func (w *world) withXattr(f FID) FID {
	w.ok(w.SetXattr(f, Root, "user.x", []byte("1"), 0))
	return f
}

func TestRenameOverAnArchivedFile(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		victim := w.tool(1).archived("h1", "x")
		w.file("h2", "y")
		_, err := w.ChangelogRegister("RENME", "")
		w.ok(err)
		w.ok(w.Rename(RootFID, "h2", RootFID, "h1", 0, Root))
		all := w.changesFrom(0)
		if short(all) != "RENME 0x3" || all[0].target != victim {
			t.Errorf("%s of %v", short(all), all[0].target)
		}
	})
}

func TestOpenRecord(t *testing.T) {
	w := openWorld(t, t.TempDir(), nil)
	f := w.file("f", "x")
	_, err := w.ChangelogRegister("OPEN CLOSE", "")
	w.ok(err)
	for flags, want := range map[int]string{
		os.O_RDONLY:               "OPEN 0x1, CLOSE 0x1",
		os.O_RDWR:                 "OPEN 0x3, CLOSE 0x3",
		os.O_WRONLY | os.O_APPEND: "OPEN 0x402, CLOSE 0x402",
	} {
		start := w.changes.last + 1
		h, err := w.Open(f, flags, Root)
		w.ok(err)
		h.Release()
		all := w.changesFrom(start)
		if got := short(all); got != want {
			t.Errorf("flags %#x: %s, want %s", flags, got, want)
		}
		if all[0].extra != 0x17 || all[0].mode != uint32(flags&3+1) {
			t.Errorf("flags %#x: %+v", flags, all[0])
		}
	}
}

func TestChangelogUsers(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		w.file("before", "") // nobody listens: no record
		one, err := w.ChangelogRegister("", "")
		w.ok(err)
		two, err := w.ChangelogRegister("CREAT,UNLNK,RENME,CLOSE,HSM", "rob")
		w.ok(err)
		if one != "cl1" || two != "cl2-rob" {
			t.Errorf("users %s, %s", one, two)
		}
		_, err = w.ChangelogRegister("", "rob")
		w.is(err, syscall.EEXIST)
		_, err = w.ChangelogRegister("NOTHING", "")
		w.is(err, syscall.EINVAL)
		usual := "MARK CREAT MKDIR HLINK SLINK MKNOD UNLNK RMDIR RENME RNMTO CLOSE LYOUT TRUNC SATTR XATTR HSM MTIME CTIME MIGRT FLRW RESYNC "
		if got := w.param("mdd.*.changelog_current_mask"); got != usual {
			t.Errorf("current mask %q", got)
		}
		for n := range 4 {
			w.file(fmt.Sprint("f", n), "")
		}
		w.is(w.ChangelogClear("cl9", 0), syscall.ENOENT)
		w.is(w.ChangelogClear("cl1", 99), syscall.EINVAL)
		w.ok(w.ChangelogClear("cl1", 3))
		if got := len(w.changesFrom(0)); got != 8 {
			t.Errorf("%d records: one user cleared, the other did not", got)
		}
		w.ok(w.ChangelogClear("cl2-rob", 5))
		if got := w.changesFrom(0); len(got) != 5 || got[0].index != 4 {
			t.Errorf("%d records", len(got))
		}
		w.sleep("7s")
		want := "current_index: 8\nID                            index (idle) mask\n" +
			"cl1                               3 (7)\n" +
			"cl2-rob                           5 (7) mask=MARK,CREAT,UNLNK,RENME,CLOSE,HSM"
		if got := w.param("mdd.*.changelog_users"); got != want {
			t.Errorf("users:\n%s\nwant:\n%s", got, want)
		}
		w.ok(w.ChangelogDeregister("1"))
		if got := w.param("mdd.*.changelog_current_mask"); got != "MARK CREAT UNLNK RENME CLOSE HSM " {
			t.Errorf("current mask %q", got)
		}
		w.ok(w.ChangelogClear("rob", 0))
		w.ok(w.ChangelogDeregister("cl2"))
		w.is(w.ChangelogDeregister("cl2"), syscall.ENOENT)
		if w.changesFrom(0) != nil || w.param("mdd.*.changelog_size") != "0" {
			t.Error("records left")
		}
		w.file("after", "")
		if w.changesFrom(0) != nil {
			t.Error("a record without users")
		}
	})
}

func TestChangelogReadInPieces(t *testing.T) {
	w := openWorld(t, t.TempDir(), nil)
	_, err := w.ChangelogRegister("CREAT", "")
	w.ok(err)
	for n := range 50 {
		w.file(fmt.Sprint("f", n), "")
	}
	seen := 0
	for start := uint64(1); ; {
		b, next := w.ChangelogRead(start, 500)
		if len(b) == 0 {
			break
		}
		if len(b) > 500 {
			t.Fatalf("%d bytes", len(b))
		}
		for len(b) > 0 {
			var r decoded
			r, b = decodeChange(b)
			if r.name != fmt.Sprint("f", seen) || r.index != uint64(seen+1) {
				t.Fatalf("record %+v", r)
			}
			seen++
		}
		start = next
	}
	if seen != 50 {
		t.Errorf("%d records", seen)
	}
	if b, _ := w.ChangelogRead(1, 1); len(b) == 0 {
		t.Error("a record longer than the buffer is never given")
	}
}

func TestChangelogWait(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		_, err := w.ChangelogRegister("", "")
		w.ok(err)
		done := make(chan error, 1)
		go func() { done <- w.ChangelogWait(w.t.Context(), 1) }()
		w.wantBlocked(done)
		w.file("f", "")
		w.wantDone(nil, done)
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
		defer cancel()
		w.is(w.ChangelogWait(ctx, 99), context.DeadlineExceeded)
	})
}
