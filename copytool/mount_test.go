package copytool_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"lhsm-azblob/copytool"
	"lhsm-azblob/llapi"
	"lhsm-azblob/testenv"
)

// openMount starts a Lustre and opens its mount, registered, with one file.
func openMount(t *testing.T) (l *testenv.Lustre, m *copytool.Mount, s copytool.Session, path string, fid llapi.FID) {
	t.Helper()
	l = testenv.StartLustre(t, testenv.Options{})
	m, err := copytool.OpenMount(l.Mount())
	if err != nil {
		t.Fatal(err)
	}
	if s, err = m.Register([]uint32{1}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	path = filepath.Join(l.Mount(), "dir", "f")
	if err := os.Mkdir(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("content"), 0o640); err != nil {
		t.Fatal(err)
	}
	if fid, err = llapi.PathToFID(path); err != nil {
		t.Fatal(err)
	}
	return l, m, s, path, fid
}

var noFID = llapi.FID{Seq: 0x200000401, OID: 0xfffff}

func TestMountNamespace(t *testing.T) {
	l, m, _, path, fid := openMount(t)
	if err := os.Link(path, filepath.Join(l.Mount(), "link")); err != nil {
		t.Fatal(err)
	}
	paths, err := m.Paths(fid)
	slices.Sort(paths)
	if err != nil || !slices.Equal(paths, []string{"dir/f", "link"}) {
		t.Errorf("Paths: %q, %v", paths, err)
	}
	if attr, err := m.Stat(fid); err != nil || attr.Size != 7 || attr.Mode&0o7777 != 0o640 || attr.Links != 2 {
		t.Errorf("Stat: %+v, %v", attr, err)
	}
	if attr, err := m.StatDir("dir"); err != nil || attr.Mode&0o7777 != 0o750 {
		t.Errorf("StatDir: %+v, %v", attr, err)
	}
	if i, err := m.MDTIndex(fid); err != nil || i != 0 {
		t.Errorf("MDTIndex: %d, %v", i, err)
	}
	if _, err := m.Paths(noFID); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Paths of nothing: %v", err)
	}
	if _, err := m.Stat(noFID); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stat of nothing: %v", err)
	}
}

// TestStatDirFollowsNoLinks: what is on the way to a directory may have been put
// there by anybody.
func TestStatDirFollowsNoLinks(t *testing.T) {
	l, m, _, _, _ := openMount(t)
	outside := t.TempDir()
	if err := os.MkdirAll(filepath.Join(outside, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"out": outside, "in": "dir", "up": ".."} {
		if err := os.Symlink(target, filepath.Join(l.Mount(), name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(l.Mount(), "dir", "sub"), 0o710); err != nil {
		t.Fatal(err)
	}
	if attr, err := m.StatDir("dir/sub"); err != nil || attr.Mode&0o7777 != 0o710 {
		t.Errorf("a directory below another: %+v, %v", attr, err)
	}
	for _, path := range []string{"out", "out/sub", "in", "in/sub", "up", "dir/f", "dir/none", ""} {
		if attr, err := m.StatDir(path); err == nil {
			t.Errorf("StatDir(%q): %+v", path, attr)
		}
	}
}

// TestMountXattrs goes both ways to a file: by FID and by descriptor.
func TestMountXattrs(t *testing.T) {
	_, m, _, path, fid := openMount(t)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, r := range []copytool.Ref{{FID: fid}, {FID: fid, File: f}} {
		long := strings.Repeat("x", 20_000)
		for _, value := range []string{"value", long} {
			if err := m.Set(r, copytool.IdentityXattr, []byte(value), copytool.SetAny); err != nil {
				t.Fatal(err)
			}
			if got, err := m.Get(r, copytool.IdentityXattr); err != nil || string(got) != value {
				t.Errorf("Get: %d bytes, %v, want %d", len(got), err, len(value))
			}
		}
		if err := m.Set(r, copytool.IdentityXattr, []byte("x"), copytool.SetCreate); !errors.Is(err, syscall.EEXIST) {
			t.Errorf("SetCreate of what exists: %v", err)
		}
		if names, err := m.List(r); err != nil || !slices.Contains(names, copytool.IdentityXattr) {
			t.Errorf("List: %q, %v", names, err)
		}
		for range 2 {
			if err := m.Set(r, copytool.IdentityXattr, nil, copytool.SetAny); err != nil {
				t.Errorf("remove: %v", err)
			}
		}
		if _, err := m.Get(r, copytool.IdentityXattr); !errors.Is(err, syscall.ENODATA) {
			t.Errorf("Get of what was removed: %v", err)
		}
	}
	for _, err := range []error{
		m.Set(copytool.Ref{FID: noFID}, copytool.IdentityXattr, []byte("x"), copytool.SetAny),
		m.Set(copytool.Ref{FID: noFID}, copytool.IdentityXattr, nil, copytool.SetAny),
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Set on nothing: %v", err)
		}
	}
	if _, err := m.List(copytool.Ref{FID: noFID}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("List of nothing: %v", err)
	}
}

func TestMountDataVersion(t *testing.T) {
	_, m, _, path, _ := openMount(t)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	before, err := m.DataVersion(f)
	if err != nil {
		t.Fatal(err)
	}
	if same, err := m.DataVersion(f); err != nil || same != before {
		t.Errorf("DataVersion: %d, then %d, %v", before, same, err)
	}
	if _, err := f.WriteAt([]byte("C"), 0); err != nil {
		t.Fatal(err)
	}
	if after, err := m.DataVersion(f); err != nil || after == before {
		t.Errorf("DataVersion after a write: %d, %v; was the same", after, err)
	}
}

func TestSessionReceivesAndEnds(t *testing.T) {
	l, _, s, path, fid := openMount(t)
	if r := l.Lfs("hsm_archive", path); r.Code != 0 {
		t.Fatal(r)
	}
	list, err := s.Recv(t.Context())
	if err != nil || len(list.Items) != 1 || list.Items[0].FID != fid {
		t.Fatalf("Recv: %+v, %v", list, err)
	}
	a, err := s.Begin(list.Items[0], -1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ReportProgress(list.Items[0], llapi.Extent{Length: 3}); err != nil {
		t.Errorf("ReportProgress: %v", err)
	}
	if err := a.End(llapi.Extent{Length: 7}, 0, 0); err != nil {
		t.Errorf("End: %v", err)
	}
	gone := list.Items[0]
	gone.FID, gone.DFID = noFID, noFID
	if a, err := s.Begin(gone, -1, 0); a != nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Begin on nothing: %v, %v; want a nil Action and ENOENT", a, err)
	}
	if err := s.Unregister(); err != nil {
		t.Errorf("Unregister: %v", err)
	}
	if _, err := s.Recv(context.Background()); !errors.Is(err, llapi.ErrClosed) {
		t.Errorf("Recv after Unregister: %v", err)
	}
}

func TestOpenMountRefuses(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	inside := filepath.Join(l.Mount(), "dir")
	if err := os.Mkdir(inside, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		t.TempDir():    "is not a Lustre mount",
		"/no/such/dir": "mount point /no/such/dir: no such file",
		inside:         "and not its root; give " + l.Mount(),
	} {
		if _, err := copytool.OpenMount(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("OpenMount(%s): %v, want %q", path, err, want)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(l.Mount(), link); err != nil {
		t.Fatal(err)
	}
	if m, err := copytool.OpenMount(link + "/"); err != nil || m.Root != l.Mount() {
		t.Errorf("OpenMount of a link: %+v, %v", m, err)
	}
}

func TestRegisterWithoutACoordinator(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	l.SetParam("mdt.*.hsm_control", "shutdown")
	m, err := copytool.OpenMount(l.Mount())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Register(nil); err == nil || !strings.Contains(err.Error(), "hsm_control=enabled") {
		t.Errorf("Register: %v, want the remedy", err)
	}
}
