package state

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestFID(t *testing.T) {
	f := FID{0x200000401, 0x17, 0}
	if got := f.String(); got != "[0x200000401:0x17:0x0]" {
		t.Errorf("String is %s", got)
	}
	if got := (FID{}).String(); got != "[0:0x0:0x0]" {
		t.Errorf("zero FID prints %s", got)
	}
	if got := RootFID.Ino(); got != 144115188193296385 {
		t.Errorf("root has inode number %d", got)
	}
	if FIDFromIno(f.Ino()) != f {
		t.Errorf("inode number %#x does not lead back", f.Ino())
	}
	for _, text := range []string{"[0x200000401:0x17:0x0]", "0x200000401:0x17:0x0"} {
		if got, err := ParseFID(text); err != nil || got != f {
			t.Errorf("ParseFID(%q) = %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "[0x1:0x2", "0x1:0x2", "x:y:z", "0x1:0x100000000:0", "0x1:0x2:0x3:0x4"} {
		if _, err := ParseFID(text); err == nil {
			t.Errorf("ParseFID(%q) succeeds", text)
		}
	}
}

func names(w *world, dir FID, cookie uint64) (all []string, last uint64) {
	w.ok(w.ReadDir(dir, cookie, func(d Dirent) bool {
		all, last = append(all, d.Name), d.Cookie
		return true
	}))
	return all, last
}

func TestNamespace(t *testing.T) {
	w := openWorld(t, t.TempDir(), nil)
	d, err := w.Mkdir(RootFID, "d", 0o755, Root)
	w.ok(err)
	f := w.file("f", "hello")
	if a, _ := w.GetAttr(f); a.Size != 5 || a.Nlink != 1 || a.Mode != syscall.S_IFREG|0o644 {
		t.Errorf("attributes %+v", a)
	}
	_, err = w.Link(f, d.FID, "g", Root)
	w.ok(err)
	_, err = w.Symlink(d.FID, "s", "../f", Root)
	w.ok(err)
	_, err = w.Mknod(d.FID, "p", syscall.S_IFIFO|0o600, 0, Root)
	w.ok(err)
	if got, _ := names(w, d.FID, 0); !slices.Equal(got, []string{".", "..", "g", "s", "p"}) {
		t.Errorf("directory holds %q", got)
	}
	s, err := w.Lookup(d.FID, "s")
	w.ok(err)
	if target, _ := w.Readlink(s.FID); target != "../f" || s.Size != 4 {
		t.Errorf("link to %q, size %d", target, s.Size)
	}
	var paths []string
	for n := 0; ; {
		p, next, err := w.Path(f, n)
		w.ok(err)
		paths = append(paths, p)
		if next == n {
			break
		}
		n = next
	}
	if p, next, err := w.Path(f, 7); p != "f" || next != 7 || err != nil {
		t.Errorf("beyond the last name: %q, %d, %v", p, next, err)
	}
	if !slices.Equal(paths, []string{"f", "d/g"}) {
		t.Errorf("paths %q", paths)
	}
	if p, _, _ := w.Path(RootFID, 0); p != "/" {
		t.Errorf("root is %q", p)
	}
	if parent, name, err := w.Parent(f, 1); err != nil || parent != d.FID || name != "g" {
		t.Errorf("second parent: %v %q %v", parent, name, err)
	}
	_, _, err = w.Parent(f, 2)
	w.is(err, syscall.ENODATA)
	w.is(w.Rmdir(RootFID, "d", Root), syscall.ENOTEMPTY)
	w.ok(w.Unlink(RootFID, "f", Root))
	w.ok(w.Rename(d.FID, "g", RootFID, "h", 0, Root))
	if p, _, _ := w.Path(f, 0); p != "h" {
		t.Errorf("after the rename: %q", p)
	}
	w.ok(w.Unlink(RootFID, "h", Root))
	_, err = w.GetAttr(f)
	w.is(err, syscall.ENOENT)
	_, _, err = w.Path(f, 0)
	w.is(err, syscall.ENOENT)
}

func TestNamespaceErrors(t *testing.T) {
	w := openWorld(t, t.TempDir(), nil)
	f := w.file("f", "")
	d, err := w.Mkdir(RootFID, "d", 0o755, Root)
	w.ok(err)
	sub, err := w.Mkdir(d.FID, "sub", 0o755, Root)
	w.ok(err)
	long := strings.Repeat("n", 256)
	for name, c := range map[string]struct{ got, want error }{
		"create over":           {func() error { _, _, err := w.Create(RootFID, "f", 0, Root, 0); return err }(), syscall.EEXIST},
		"mkdir .lustre":         {func() error { _, err := w.Mkdir(RootFID, ".lustre", 0, Root); return err }(), syscall.EEXIST},
		"mkdir in .lustre":      {func() error { _, err := w.Mkdir(DotLustreFID, "x", 0, Root); return err }(), syscall.EPERM},
		"long name":             {func() error { _, err := w.Mkdir(RootFID, long, 0, Root); return err }(), syscall.ENAMETOOLONG},
		"lookup in file":        {func() error { _, err := w.Lookup(f, "x"); return err }(), syscall.ENOTDIR},
		"lookup nothing":        {func() error { _, err := w.Lookup(RootFID, "x"); return err }(), syscall.ENOENT},
		"link a directory":      {func() error { _, err := w.Link(d.FID, RootFID, "x", Root); return err }(), syscall.EPERM},
		"unlink directory":      {w.Unlink(RootFID, "d", Root), syscall.EISDIR},
		"rmdir file":            {w.Rmdir(RootFID, "f", Root), syscall.ENOTDIR},
		"rename into itself":    {w.Rename(RootFID, "d", sub.FID, "x", 0, Root), syscall.EINVAL},
		"rename over directory": {w.Rename(RootFID, "f", RootFID, "d", 0, Root), syscall.EISDIR},
		"rename over full":      {w.Rename(d.FID, "sub", RootFID, "d", 0, Root), syscall.ENOTEMPTY},
		"rename exchange":       {w.Rename(RootFID, "f", RootFID, "d", unix.RENAME_EXCHANGE, Root), syscall.EINVAL},
		"rename noreplace":      {w.Rename(RootFID, "f", d.FID, "sub", unix.RENAME_NOREPLACE, Root), syscall.EISDIR},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
}

func TestDotLustre(t *testing.T) {
	w := openWorld(t, t.TempDir(), nil)
	f := w.file("f", "x")
	dot, err := w.Lookup(RootFID, ".lustre")
	w.ok(err)
	fid, err := w.Lookup(dot.FID, "fid")
	w.ok(err)
	if fid.FID != FIDDirFID || fid.Mode&0o777 != 0o100 {
		t.Errorf(".lustre/fid is %+v", fid)
	}
	for _, name := range []string{f.String(), f.Bare()} {
		if a, err := w.Lookup(fid.FID, name); err != nil || a.FID != f {
			t.Errorf("lookup of %s: %v, %v", name, a.FID, err)
		}
	}
	_, err = w.Lookup(fid.FID, "0x200000401:0xffff:0x0")
	w.is(err, syscall.ENOENT)
	if all, _ := names(w, RootFID, 0); slices.Contains(all, ".lustre") {
		t.Error(".lustre shows in a listing")
	}
	w.is(w.Access(FIDDirFID, alice, unix.X_OK), syscall.EACCES)
	w.ok(w.Access(FIDDirFID, Root, unix.X_OK))
}

func TestReadDirWhileNamesChange(t *testing.T) {
	w := openWorld(t, t.TempDir(), nil)
	for n := range 100 {
		w.file(fmt.Sprint("f", n), "")
	}
	var cookie uint64
	seen := 0
	w.ok(w.ReadDir(RootFID, 0, func(d Dirent) bool {
		seen, cookie = seen+1, d.Cookie
		return seen < 52 // ".", ".." and fifty files
	}))
	for n := range 90 {
		w.ok(w.Unlink(RootFID, fmt.Sprint("f", n), Root))
	}
	w.file("new", "")
	rest, _ := names(w, RootFID, cookie)
	want := []string{"f90", "f91", "f92", "f93", "f94", "f95", "f96", "f97", "f98", "f99", "new"}
	if !slices.Equal(rest, want) {
		t.Errorf("the rest is %q, want %q", rest, want)
	}
}

func TestUnlinkedFileLivesWhileOpen(t *testing.T) {
	w := openWorld(t, t.TempDir(), nil)
	f := w.file("f", "data")
	h, err := w.Open(f, os.O_RDONLY, Root)
	w.ok(err)
	w.ok(w.Unlink(RootFID, "f", Root))
	if a, err := w.GetAttr(f); err != nil || a.Nlink != 0 {
		t.Fatalf("open orphan: %+v, %v", a, err)
	}
	if got := w.OpenCount(f); got != 1 {
		t.Errorf("%d handles", got)
	}
	object := w.objects.path(f.Ino())
	h.Release()
	h.Release() // a second time is harmless
	_, err = w.GetAttr(f)
	w.is(err, syscall.ENOENT)
	_, err = os.Stat(object)
	w.is(err, os.ErrNotExist)
}

func TestVolatileFile(t *testing.T) {
	w := openWorld(t, t.TempDir(), nil)
	h, a, err := w.Create(RootFID, volatileHeader+"::55667788", 0o600, alice, os.O_RDWR|os.O_CREATE)
	w.ok(err)
	if a.Nlink != 0 || a.UID != alice.UID {
		t.Errorf("volatile file: %+v", a)
	}
	if all, _ := names(w, RootFID, 0); len(all) != 2 {
		t.Errorf("it has a name: %q", all)
	}
	w.ok(w.Unlink(RootFID, volatileHeader+"::55667788", Root))
	w.writeHandle(h, "x")
	h.Release()
	_, err = w.GetAttr(a.FID)
	w.is(err, syscall.ENOENT)
}

func TestSetAttrTimesSurviveUntilTheNextWrite(t *testing.T) {
	w := openWorld(t, t.TempDir(), nil)
	f := w.file("f", "data")
	then := time.Unix(1e9, 5)
	_, err := w.SetAttr(f, Root, SetAttr{Mtime: &then, Atime: &then})
	w.ok(err)
	if a, _ := w.GetAttr(f); !a.Mtime.Equal(then) || !a.Atime.Equal(then) {
		t.Fatalf("times %v, %v", a.Mtime, a.Atime)
	}
	h, err := w.Open(f, os.O_RDWR, Root)
	w.ok(err)
	defer h.Release()
	if a, _ := w.GetAttr(f); !a.Mtime.Equal(then) {
		t.Errorf("opening for writing changed mtime to %v", a.Mtime)
	}
	w.writeHandle(h, "more data")
	if a, _ := w.GetAttr(f); a.Mtime.Equal(then) || a.Size != 9 {
		t.Errorf("after the write: mtime %v, size %d", a.Mtime, a.Size)
	}
	mode, uid, size := uint32(0o600), uint32(7), uint64(3)
	a, err := w.SetAttr(f, Root, SetAttr{Mode: &mode, UID: &uid, Size: &size})
	w.ok(err)
	if a.Mode != syscall.S_IFREG|0o600 || a.UID != 7 || a.Size != 3 {
		t.Errorf("attributes %+v", a)
	}
}

func TestBulkCreate(t *testing.T) {
	w := openWorld(t, t.TempDir(), nil)
	w.ok(w.BulkCreate(RootFID, "bulk", 0, 2500, 1<<20, Root))
	all, _ := names(w, RootFID, 0)
	if len(all) != 2502 {
		t.Fatalf("%d names", len(all))
	}
	a, err := w.Lookup(RootFID, "bulk2499")
	w.ok(err)
	before, err := w.DataVersion(a.FID)
	w.ok(err)
	if got := w.read(a.FID); len(got) != 1<<20 || strings.Trim(got, "\x00") != "" {
		t.Errorf("content of %d bytes", len(got))
	}
	if after, _ := w.DataVersion(a.FID); after != before || before == 0 {
		t.Errorf("reading changed the data version from %d to %d", before, after)
	}
	w.is(w.BulkCreate(RootFID, "bulk", 2499, 1, 0, Root), syscall.EEXIST)
}

func TestDirectoryReusesNoCookie(t *testing.T) {
	d := newDirectory()
	for round := range 10 {
		for n := range 40 {
			d.add(strconv.Itoa(n), &inode{ino: uint64(n)})
		}
		for n := range 40 {
			d.remove(strconv.Itoa(n))
		}
		d.remove("never there")
		if d.next != uint64(firstEntry+40*(round+1)) || d.len() != 0 || len(d.list) > 40 {
			t.Fatalf("round %d: next %d, %d names, %d slots", round, d.next, d.len(), len(d.list))
		}
	}
}
