package fusefs_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/lioc"
)

func TestWhereIoctlsWork(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	write(t, l.Path("f"), "")
	buf := make([]byte, 1024)
	for _, tt := range []struct {
		path string
		cmd  uint32
	}{
		{"", lioc.HSMStateGet},
		{"", lioc.HSMAction},
		{"", lioc.DataVersion},
		{"f", lioc.HSMRequest},
		{"f", lioc.HSMCTStart},
		{"f", lioc.HSMCopyStart},
		{"f", 0x5401},
		{"", 0x5401},
		{".lustre/changelog", lioc.HSMStateGet},
	} {
		if _, err := ioctl(open(t, l.Path(tt.path)), tt.cmd, buf); !errors.Is(err, syscall.ENOTTY) {
			t.Errorf("ioctl %#x on %q: %v, want ENOTTY", tt.cmd, tt.path, err)
		}
	}
}

func TestFIDs(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	must(t, os.MkdirAll(l.Path("d/e"), 0o755))
	write(t, l.Path("d/e/f"), "by FID")
	fid := fidOf(t, l.Path("d/e/f"))
	if fid.Seq < 0x200000400 || fid.OID == 0 {
		t.Errorf("FID %v", fid)
	}
	if root := fidOf(t, l.Mount()); root != (lioc.FID{Seq: 0x200000007, OID: 1}) {
		t.Errorf("FID of the root %v", root)
	}
	wantContent(t, l.Path(".lustre/fid", fid.Bare()), "by FID")
	wantContent(t, l.Path(".lustre/fid", fid.String()), "by FID")
	for _, name := range []string{"lustre.fid", "trusted.fid"} {
		b := make([]byte, 16)
		if n, err := unix.Getxattr(l.Path("d/e/f"), name, b); err != nil || n != 16 {
			t.Errorf("xattr %s: %d, %v", name, n, err)
		} else if got, _ := lioc.Decode[lioc.FID](b); got != fid {
			t.Errorf("xattr %s: %v, want %v", name, got, fid)
		}
	}
	// A directory by FID is the same directory and stays where it is.
	dir := l.Path(".lustre/fid", fidOf(t, l.Path("d")).Bare())
	wantContent(t, filepath.Join(dir, "e/f"), "by FID")
	write(t, filepath.Join(dir, "g"), "made there")
	wantContent(t, l.Path("d/g"), "made there")
	wantContent(t, l.Path("d/e/f"), "by FID")
	must(t, os.Rename(l.Path("d"), l.Path("d2")))
	wantContent(t, filepath.Join(dir, "g"), "made there")
	if _, err := os.Stat(l.Path(".lustre/fid/0x200000401:0xffff:0x0")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("FID of no file: %v", err)
	}
}

// fid2path is one FID2PATH call.
func fid2path(t *testing.T, mount string, fid lioc.FID, link, size int) (path string, next int, err error) {
	t.Helper()
	b := append(lioc.Encode(lioc.FID2PathArg{FID: fid, LinkNo: uint32(link), PathLen: uint32(size)}), make([]byte, size)...)
	if _, err := ioctl(open(t, mount), lioc.FID2Path, b); err != nil {
		return "", 0, err
	}
	out, err := lioc.Decode[lioc.FID2PathArg](b)
	must(t, err)
	path, _, _ = strings.Cut(string(b[lioc.Size[lioc.FID2PathArg]():]), "\x00")
	return path, int(out.LinkNo), nil
}

func TestFID2Path(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	must(t, os.Mkdir(l.Path("d"), 0o755))
	write(t, l.Path("d/f"), "")
	must(t, os.Link(l.Path("d/f"), l.Path("g")))
	fid := fidOf(t, l.Path("g"))
	found := map[string]bool{}
	for link, next := 0, 0; ; link = next {
		var path string
		var err error
		path, next, err = fid2path(t, l.Mount(), fid, link, 4096)
		must(t, err)
		found[path] = true
		if next == link {
			break
		}
	}
	if len(found) != 2 || !found["d/f"] || !found["g"] {
		t.Errorf("paths %v, want d/f and g", found)
	}
	if path, _, err := fid2path(t, l.Mount(), fidOf(t, l.Mount()), 0, 4096); err != nil || path != "/" {
		t.Errorf("path of the root %q, %v", path, err)
	}
	if _, _, err := fid2path(t, l.Mount(), fid, 0, 1); !errors.Is(err, syscall.EOVERFLOW) {
		t.Errorf("path into one byte: %v", err)
	}
	must(t, os.Remove(l.Path("g")))
	must(t, os.Remove(l.Path("d/f")))
	if _, _, err := fid2path(t, l.Mount(), fid, 0, 4096); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("path of a removed file: %v", err)
	}
}

func TestGetParent(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	must(t, os.Mkdir(l.Path("d"), 0o755))
	write(t, l.Path("d/name"), "")
	parent := func(link uint32) (lioc.FID, string, error) {
		b := append(lioc.Encode(lioc.GetParentArg{LinkNo: link, NameSize: 256}), make([]byte, 256)...)
		_, err := ioctl(open(t, l.Path("d/name")), lioc.GetParent, b)
		out, derr := lioc.Decode[lioc.GetParentArg](b)
		must(t, derr)
		name, _, _ := strings.Cut(string(b[lioc.Size[lioc.GetParentArg]():]), "\x00")
		return out.FID, name, err
	}
	if fid, name, err := parent(0); err != nil || name != "name" || fid != fidOf(t, l.Path("d")) {
		t.Errorf("parent %v %q, %v", fid, name, err)
	}
	if _, _, err := parent(1); !errors.Is(err, syscall.ENODATA) {
		t.Errorf("parent beyond the last link: %v", err)
	}
}

func TestFileInfo(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	write(t, l.Path("f"), "12345")
	b := make([]byte, 320)
	copy(b, "f")
	_, err := ioctl(open(t, l.Mount()), lioc.GetFileInfo, b)
	must(t, err)
	info, err := lioc.Decode[lioc.FileInfo](b)
	must(t, err)
	if info.FID != fidOf(t, l.Path("f")) || info.Stat.Size != 5 || info.Stat.Mode != syscall.S_IFREG|0o644 || info.LmmSize == 0 {
		t.Errorf("file info %+v", info)
	}
	if magic := binary.NativeEndian.Uint32(b[lioc.Size[lioc.FileInfo]():]); magic != lioc.LovMagicV1 {
		t.Errorf("layout magic %#x", magic)
	}
	copy(b, "f\x00")
	_, err = ioctl(open(t, l.Mount()), lioc.GetFileStripe, b)
	must(t, err)
	if magic := binary.NativeEndian.Uint32(b); magic != lioc.LovMagicV1 {
		t.Errorf("layout magic %#x of GETFILESTRIPE", magic)
	}
}

func TestMDTIndex(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	write(t, l.Path("f"), "")
	if n, err := ioctl(open(t, l.Mount()), lioc.FID2MDTIdx, lioc.Encode(fidOf(t, l.Path("f")))); n != 0 || err != nil {
		t.Errorf("MDT index %d, %v", n, err)
	}
}

func TestRequestSize(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	write(t, l.Path("f"), "")
	fid := fidOf(t, l.Path("f"))
	send := func(action uint32, size int) error {
		r := lioc.Request{Action: action, Items: []lioc.UserItem{{FID: fid, Extent: lioc.Extent{Length: ^uint64(0)}}}, Data: make([]byte, size-24-32)}
		_, err := ioctl(open(t, l.Mount()), lioc.HSMRequest, r.Encode())
		return err
	}
	for _, action := range []uint32{lioc.UserArchive, lioc.UserRelease, lioc.UserRestore} {
		if err := send(action, lioc.MaxRequestSize); !errors.Is(err, syscall.E2BIG) {
			t.Errorf("action %d, %d bytes: %v, want E2BIG", action, lioc.MaxRequestSize, err)
		}
	}
	must(t, send(lioc.UserArchive, lioc.MaxRequestSize-1))
	// What the header says counts, not what is there.
	head := lioc.Encode(lioc.RequestHeader{Action: lioc.UserArchive, Items: ^uint32(0), DataLen: ^uint32(0)})
	if _, err := ioctl(open(t, l.Mount()), lioc.HSMRequest, head); !errors.Is(err, syscall.E2BIG) {
		t.Errorf("four thousand million items: %v, want E2BIG", err)
	}
}

func TestStateSetAndDataVersion(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	write(t, l.Path("f"), "")
	v1 := call(t, l.Path("f"), lioc.DataVersion, lioc.DataVersionArg{}).Version
	set := lioc.StateSet{Valid: lioc.SetMask | lioc.SetArchiveID, SetMask: lioc.HSExists | lioc.HSArchived, ArchiveID: 3}
	call(t, l.Path("f"), lioc.HSMStateSet, set)
	got := call(t, l.Path("f"), lioc.HSMStateGet, lioc.UserState{})
	if got.States != archived || got.ArchiveID != 3 || got.InProgressAction != 0 {
		t.Errorf("state %+v", got)
	}
	if v := call(t, l.Path("f"), lioc.DataVersion, lioc.DataVersionArg{}).Version; v != v1 {
		t.Errorf("data version %d became %d by setting flags", v1, v)
	}
	write(t, l.Path("f"), "changed")
	if v := call(t, l.Path("f"), lioc.DataVersion, lioc.DataVersionArg{}).Version; v == v1 {
		t.Error("data version is the same after a write")
	}
	b := make([]byte, 24)
	attr := func() lioc.HSMAttr {
		n, err := unix.Lgetxattr(l.Path("f"), "trusted.hsm", b)
		must(t, err)
		a, err := lioc.Decode[lioc.HSMAttr](b[:n])
		must(t, err)
		return a
	}
	must(t, unix.Setxattr(l.Path("f"), "user.x", nil, 0))
	if a := attr(); a.Flags != archived|lioc.HSDirty || a.ArchiveID != 3 {
		t.Errorf("trusted.hsm %+v", a)
	}
	call(t, l.Path("f"), lioc.HSMStateSet, lioc.StateSet{Valid: lioc.ClearMask, ClearMask: lioc.HSDirty})
	before := attr()
	write(t, l.Path("f"), "changed again")
	if got := call(t, l.Path("f"), lioc.HSMStateGet, lioc.UserState{}); got.States != archived|lioc.HSDirty {
		t.Errorf("state after a write %+v", got)
	}
	if a := attr(); a != before || a.Flags != archived {
		t.Errorf("trusted.hsm %+v, and a client has what it was, %+v", a, before)
	}
	write(t, l.Path("g"), "")
	if _, err := unix.Lgetxattr(l.Path("g"), "trusted.hsm", b); !errors.Is(err, syscall.ENODATA) {
		t.Errorf("trusted.hsm of a file that HSM never touched: %v", err)
	}
}

func TestImport(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	write(t, l.Path("f"), "")
	if st, err := os.Stat(l.Path("f")); err != nil || st.Size() != 0 { // and now the kernel knows it
		t.Fatal(st, err)
	}
	call(t, l.Path("f"), lioc.HSMImport, lioc.UserImport{Size: 12345, Mtime: 1000, UID: 5, GID: 6, Mode: 0o640, ArchiveID: 2})
	wantState(t, l.Path("f"), released)
	st, err := os.Stat(l.Path("f"))
	must(t, err)
	if st.Size() != 12345 || st.ModTime().Unix() != 1000 || st.Mode() != 0o640 || st.Sys().(*syscall.Stat_t).Uid != 5 {
		t.Errorf("imported: %v %d %v", st.Mode(), st.Size(), st.ModTime())
	}
}

func TestSwapLayouts(t *testing.T) {
	modes(t, func(t *testing.T, l *testenv.Lustre) {
		write(t, l.Path("a"), "data of a")
		write(t, l.Path("b"), "b's")
		a, err := os.OpenFile(l.Path("a"), os.O_RDWR, 0)
		must(t, err)
		b, err := os.OpenFile(l.Path("b"), os.O_RDWR, 0)
		must(t, err)
		_, err = ioctl(a, lioc.SwapLayouts, lioc.Encode(lioc.SwapLayoutsArg{FD: uint32(b.Fd())}))
		must(t, err)
		must(t, a.Close())
		must(t, b.Close())
		wantContent(t, l.Path("a"), "b's")
		wantContent(t, l.Path("b"), "data of a")
	})
}

// A copytool sets the layout of the file it restores into after it opened it.
func TestDelayedCreate(t *testing.T) {
	const delayCreate = 0x2100 // O_LOV_DELAY_CREATE
	modes(t, func(t *testing.T, l *testenv.Lustre) {
		write(t, l.Path("model"), "")
		lov := make([]byte, 56)
		n, err := unix.Getxattr(l.Path("model"), "lustre.lov", lov)
		must(t, err)
		f, err := os.OpenFile(l.Path("f"), os.O_RDWR|os.O_CREATE|os.O_EXCL|delayCreate, 0o600)
		must(t, err)
		defer f.Close()
		binary.NativeEndian.PutUint32(lov[24:], 4<<20) // stripe size
		must(t, unix.Fsetxattr(int(f.Fd()), "lustre.lov", lov[:n], unix.XATTR_CREATE))
		_, err = f.WriteString("data")
		must(t, err)
		got := make([]byte, 56)
		if _, err := unix.Getxattr(l.Path("f"), "lustre.lov", got); err != nil || binary.NativeEndian.Uint32(got[24:]) != 4<<20 {
			t.Errorf("layout that was set: % x, %v", got, err)
		}
		if err := unix.Fsetxattr(int(f.Fd()), "lustre.lov", lov[:n], unix.XATTR_CREATE); !errors.Is(err, syscall.EEXIST) {
			t.Errorf("second layout: %v, want EEXIST", err)
		}
		wantContent(t, l.Path("f"), "data")
	})
}

func TestBadPointers(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	root := open(t, l.Mount())
	for _, cmd := range []uint32{lioc.HSMCopyStart, lioc.HSMCopyEnd, lioc.HSMProgress, lioc.HSMRequest, lioc.FID2Path, lioc.Path2FID} {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, root.Fd(), uintptr(cmd), 16); errno != syscall.EFAULT {
			t.Errorf("ioctl %#x with a bad pointer: %v, want EFAULT", cmd, errno)
		}
	}
	arg := lioc.Encode(lioc.KernelComm{WriteFD: 9999})
	if _, err := ioctl(root, lioc.HSMCTStart, arg); !errors.Is(err, syscall.EBADF) {
		t.Errorf("registering with a descriptor that is not open: %v", err)
	}
}
