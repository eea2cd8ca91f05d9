package llapi_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"lhsm-azblob/llapi"
	"lhsm-azblob/testenv"
)

// quiet is a world without a copytool.
func quiet(t *testing.T, params map[string]string) *world {
	t.Helper()
	return &world{T: t, lustre: testenv.StartLustre(t, testenv.Options{Params: params})}
}

func TestPaths(t *testing.T) {
	w := newWorld(t)
	mount := w.lustre.Mount()
	w.ok(os.Mkdir(w.lustre.Path("d"), 0o755))
	path, fid := w.file("f", "x")
	w.ok(os.Link(path, w.lustre.Path("d", "g\n%")))
	w.ok(os.Symlink("f", w.lustre.Path("sym")))

	f, err := os.Open(path)
	w.ok(err)
	defer f.Close()
	if got, err := llapi.FDToFID(int(f.Fd())); err != nil || got != fid {
		t.Errorf("FDToFID = %v, %v, want %v", got, err, fid)
	}
	if got, err := llapi.PathToFID(w.lustre.Path("sym")); err != nil || got == fid {
		t.Errorf("PathToFID of a link = %v, %v, want its own", got, err)
	}
	want := []string{"d/g\n%", "f"}
	for name, get := range map[string]func() ([]string, error){
		"package":  func() ([]string, error) { return llapi.FIDToPaths(mount, fid) },
		"copytool": func() ([]string, error) { return w.ct.FIDToPaths(fid) },
	} {
		got, err := get()
		if slices.Sort(got); err != nil || !slices.Equal(got, want) {
			t.Errorf("FIDToPaths of the %s = %q, %v, want %q", name, got, err, want)
		}
	}
	root, err := llapi.PathToFID(mount)
	w.ok(err)
	if got, next, err := llapi.FIDToPath(mount, root, 0); err != nil || got != "" || next != 0 {
		t.Errorf("FIDToPath of the root = %q, %d, %v", got, next, err)
	}
	_, err = llapi.FIDToPaths(mount, llapi.FID{Seq: 0x200000401, OID: 0xffff})
	w.is("FIDToPaths of no file", err, fs.ErrNotExist)

	if got, err := os.ReadFile(llapi.FIDPath(mount, fid)); err != nil || string(got) != "x" {
		t.Errorf("by FID: %q, %v", got, err)
	}
	if got, err := llapi.MDTIndex(int(f.Fd()), fid); err != nil || got != 0 {
		t.Errorf("MDTIndex = %d, %v", got, err)
	}
	parent, name, err := llapi.PathToParent(w.lustre.Path("d"), 0)
	if err != nil || parent != root || name != "d" {
		t.Errorf("PathToParent = %v %q, %v", parent, name, err)
	}
	_, _, err = llapi.PathToParent(w.lustre.Path("d"), 1)
	w.is("PathToParent of another link", err, syscall.ENODATA)
}

// A path may be longer than any one call to the kernel takes.
func TestLongPath(t *testing.T) {
	w := quiet(t, nil)
	name := strings.Repeat("n", 250)
	t.Chdir(w.lustre.Mount())
	for range 20 {
		w.ok(os.Mkdir(name, 0o755))
		w.ok(os.Chdir(name))
	}
	w.ok(os.WriteFile("f", nil, 0o644))
	fid, err := llapi.PathToFID("f")
	w.ok(err)
	want := strings.Repeat(name+"/", 20) + "f"
	if got, err := llapi.FIDToPaths(w.lustre.Mount(), fid); err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("FIDToPaths = %d paths, %v", len(got), err)
	}
}

func TestMounts(t *testing.T) {
	w := &world{T: t, lustre: testenv.StartLustre(t, testenv.Options{Mounts: 2, FSName: "llapifs"})}
	mounts := w.lustre.Mounts()
	all, err := llapi.Mounts()
	w.ok(err)
	for _, m := range mounts {
		if !slices.Contains(all, llapi.Mount{Root: m, FSName: "llapifs"}) {
			t.Errorf("Mounts = %v, without %s", all, m)
		}
		for _, path := range []string{m, filepath.Join(m, "no", "such", "file")} {
			root, fsname, err := llapi.MountRoot(path)
			if err != nil || root != m || fsname != "llapifs" {
				t.Errorf("MountRoot(%s) = %s, %s, %v", path, root, fsname, err)
			}
		}
	}
	if root, err := llapi.RootOf("llapifs"); err != nil || !slices.Contains(mounts, root) {
		t.Errorf("RootOf = %s, %v", root, err)
	}
	_, err = llapi.RootOf("nofs")
	w.is("RootOf no file system", err, syscall.ENODEV)
	for _, path := range []string{"/tmp", mounts[0] + "x"} {
		_, _, err = llapi.MountRoot(path)
		w.is("MountRoot of "+path, err, syscall.ENODEV)
	}
}

func TestSendRequest(t *testing.T) {
	w := quiet(t, nil)
	mount := w.lustre.Mount()
	var fids []llapi.FID
	for i := range 120 {
		_, fid := w.file(fmt.Sprintf("f%d", i), "x")
		fids = append(fids, fid)
	}
	r := llapi.Request{Action: llapi.UserArchive, Items: fids}
	w.is("too many at once", llapi.SendRequestOnce(mount, r), syscall.E2BIG)
	if n := w.recorded(); n != 0 {
		t.Errorf("%d requests recorded by a call that failed", n)
	}
	w.ok(llapi.SendRequest(mount, r))
	if n := w.recorded(); n != len(fids) {
		t.Errorf("%d requests recorded, want %d", n, len(fids))
	}

	// The middle one of three calls fails; the others are made.
	w.ok(llapi.SetState(w.lustre.Path("f60"), llapi.HSNoArchive, 0, 0))
	w.lustre.SetParam("mdt.*.hsm_control", "purge")
	err := llapi.SendRequest(mount, r)
	var re *llapi.RequestError
	if !errors.As(err, &re) || re.Sent != 70 || re.Failed != 50 || !errors.Is(err, syscall.EPERM) {
		t.Errorf("SendRequest = %v, want 50 of 120 items, EPERM", err)
	}

	w.lustre.SetParam("mdt.*.hsm_control", "shutdown")
	w.is("with the coordinator stopped", llapi.SendRequestOnce(mount, llapi.Request{Action: llapi.UserArchive, Items: fids[:1]}), syscall.EAGAIN)
	w.is("on no Lustre", llapi.SendRequestOnce("/tmp", r), syscall.ENODEV)
}

// recorded counts the requests that wait.
func (w *world) recorded() int {
	return strings.Count(w.lustre.GetParam("mdt.*.hsm.actions"), "status=WAITING")
}

func TestSetState(t *testing.T) {
	w := quiet(t, nil)
	path, _ := w.file("f", "x")
	w.wantState(path, 0, 0)
	w.ok(llapi.SetState(path, llapi.HSExists|llapi.HSNoRelease, 0, 5))
	w.wantState(path, llapi.HSExists|llapi.HSNoRelease, 5)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	w.ok(err)
	defer f.Close()
	w.ok(llapi.SetStateFD(int(f.Fd()), llapi.HSArchived, llapi.HSNoRelease, 0))
	if got, err := llapi.GetStateFD(int(f.Fd())); err != nil || got != (llapi.State{Flags: archived, ArchiveID: 5}) {
		t.Errorf("GetStateFD = %+v, %v", got, err)
	}
	w.is("lost without archived", llapi.SetState(path, llapi.HSLost, llapi.HSArchived, 0), syscall.EINVAL)
	_, err = llapi.GetState(os.Args[0])
	w.is("GetState of another file system", err, syscall.ENOTTY)
	_, err = llapi.GetState(w.lustre.Path("none"))
	w.is("GetState of no file", err, fs.ErrNotExist)
	if attr, err := llapi.ReadHSMAttr(w.lustre.Mount()); err != nil || attr != (llapi.HSMAttr{}) {
		t.Errorf("ReadHSMAttr of what HSM never touched = %+v, %v", attr, err)
	}
}

func TestDataVersion(t *testing.T) {
	w := quiet(t, nil)
	path, _ := w.file("f", "x")
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	w.ok(err)
	defer f.Close()
	version := func() uint64 {
		t.Helper()
		dv, err := llapi.DataVersion(int(f.Fd()), llapi.WriteFlush)
		w.ok(err)
		return dv
	}
	before := version()
	w.ok(os.Chmod(path, 0o600))
	if version() != before {
		t.Error("metadata changed the data version")
	}
	_, err = f.WriteAt([]byte("y"), 0)
	w.ok(err)
	if version() == before {
		t.Error("a write did not change the data version")
	}
	w.ok(llapi.SetState(path, archived, 0, 1))
	w.ok(llapi.SetArchivedVersion(int(f.Fd()), version()))
	if attr, err := llapi.ReadHSMAttr(path); err != nil || attr.DataVersion != version() {
		t.Errorf("archived version = %+v, %v, want %d", attr, err, version())
	}
	self, err := os.Open("/dev/null")
	w.ok(err)
	defer self.Close()
	_, err = llapi.DataVersion(int(self.Fd()), 0)
	w.is("DataVersion of another file", err, syscall.ENOTTY)
}

func TestLayoutOfRestore(t *testing.T) {
	w := newWorld(t)
	path, fid := w.file("f", "content")
	f, err := os.Open(path)
	w.ok(err)
	layout, err := llapi.GetLayout(int(f.Fd()))
	w.ok(err)
	w.ok(f.Close())
	w.archive(fid)
	w.request(llapi.UserRelease, fid)
	w.request(llapi.UserRestore, fid)
	a, err := w.ct.Begin(w.recv(w.ct), 0, llapi.OpenDelayCreate)
	w.ok(err)
	data, err := a.File()
	w.ok(err)
	w.ok(llapi.SetLayout(int(data.Fd()), layout))
	w.is("a second layout", llapi.SetLayout(int(data.Fd()), layout), syscall.EEXIST)
	w.ok(data.Close())
	w.restore(a, "content")
	f, err = os.Open(path)
	w.ok(err)
	defer f.Close()
	got, err := llapi.GetLayout(int(f.Fd()))
	if err != nil || len(got) != len(layout) {
		t.Errorf("layout after the restore: %x, %v\nbefore %x", got, err, layout)
	}
}

func TestImport(t *testing.T) {
	w := newWorld(t)
	path := w.lustre.Path("imported")
	past := time.Unix(1_000_000_000, 0)
	fid, err := llapi.Import(path, 7, llapi.ImportStat{
		UID: 1000, GID: 100, Mode: syscall.S_IFREG | 0o640, Size: 7, ModTime: past, AccessTime: past,
	}, llapi.Striping{})
	w.ok(err)
	w.wantState(path, archived|llapi.HSReleased, 7)
	info, err := os.Stat(path)
	w.ok(err)
	st := info.Sys().(*syscall.Stat_t)
	if info.Size() != 7 || info.Mode() != 0o640 || st.Uid != 1000 || st.Gid != 100 || !info.ModTime().Equal(past) {
		t.Errorf("imported: size %d, mode %v, owner %d:%d, time %v", info.Size(), info.Mode(), st.Uid, st.Gid, info.ModTime())
	}
	w.request(llapi.UserRestore, fid)
	item, a := w.begin(llapi.ActionRestore)
	if item.FID != fid {
		t.Errorf("restore of %v, want %v", item.FID, fid)
	}
	w.restore(a, "content")
	if got, err := os.ReadFile(path); err != nil || string(got) != "content" {
		t.Errorf("read %q, %v", got, err)
	}
	_, err = llapi.Import(path, 7, llapi.ImportStat{Mode: syscall.S_IFREG | 0o600}, llapi.Striping{})
	w.is("over a file", err, fs.ErrExist)
	if _, err := os.Stat(path); err != nil {
		t.Errorf("after a failed import: %v", err)
	}
}

// notTheReal skips what the real library needs a device for.
func notTheReal(t *testing.T) {
	t.Helper()
	if os.Getenv("STANDIN_REAL_LLAPI") != "" {
		t.Skip("the real library reads /dev/changelog-*, which a stand-in has not")
	}
}

func TestChangelog(t *testing.T) {
	notTheReal(t)
	w := quiet(t, nil)
	const mdt = "lustre-MDT0000"
	t.Setenv("LUSTRE_MOUNT", w.lustre.Mount())
	if r := w.lustre.Command("changelog_register"); r.Code != 0 || !strings.Contains(r.Stdout, "'cl1'") {
		t.Fatalf("changelog_register: %+v", r)
	}
	path, fid := w.file("f", "x")
	w.awaitRecord(mdt, llapi.RecordClose) // which is made after close(2) has returned
	w.ok(os.Rename(path, w.lustre.Path("g")))
	w.ok(os.Remove(w.lustre.Path("g")))

	records := w.changelog(mdt, 0)
	var types []string
	for _, r := range records {
		types = append(types, r.Type.String())
	}
	if got, want := strings.Join(types, " "), "CREAT CLOSE RENME UNLNK"; got != want {
		t.Fatalf("records %s, want %s", got, want)
	}
	create, rename, unlink := records[0], records[2], records[3]
	if create.FID != fid || create.Name != "f" || create.Extra&llapi.ExtraOwner == 0 || time.Since(create.Time) > time.Hour {
		t.Errorf("CREAT = %+v", create)
	}
	if rename.SourceFID != fid || rename.SourceName != "f" || rename.Name != "g" || rename.SourceParent != create.Parent {
		t.Errorf("RENME = %+v", rename)
	}
	if unlink.FID != fid || unlink.Flags != llapi.UnlinkLast {
		t.Errorf("UNLNK = %+v", unlink)
	}
	if rest := w.changelog(mdt, rename.Index); len(rest) != 2 || rest[0] != rename {
		t.Errorf("from record %d: %+v", rename.Index, rest)
	}

	w.ok(llapi.ClearChangelog(mdt, "cl1", create.Index))
	if rest := w.changelog(mdt, 0); len(rest) != 3 {
		t.Errorf("after a clear: %+v", rest)
	}
	w.is("clear by nobody", llapi.ClearChangelog(mdt, "cl9", 0), fs.ErrNotExist)
	w.is("clear of the future", llapi.ClearChangelog(mdt, "cl1", 1000), syscall.EINVAL)
	w.ok(llapi.ClearChangelog(mdt, "cl1-name", 0))
	if rest := w.changelog(mdt, 0); len(rest) != 0 {
		t.Errorf("after a clear of everything: %+v", rest)
	}
	_, err := llapi.OpenChangelog("lustre-MDT0001", 0, 0)
	w.is("of another server", err, fs.ErrNotExist)
}

// awaitRecord waits for the first record of a type.
func (w *world) awaitRecord(mdt string, want llapi.RecordType) {
	w.Helper()
	cl, err := llapi.OpenChangelog(mdt, 0, llapi.ChangelogFollow)
	w.ok(err)
	for seen := llapi.RecordType(0); seen != want; {
		r, err := cl.Recv()
		w.ok(err)
		seen = r.Type
	}
	w.ok(cl.Close())
}

func (w *world) changelog(mdt string, start uint64) (records []llapi.Record) {
	w.Helper()
	cl, err := llapi.OpenChangelog(mdt, start, llapi.ChangelogExtra|llapi.ChangelogJobID|llapi.ChangelogNIDBE)
	w.ok(err)
	for {
		r, err := cl.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		w.ok(err)
		records = append(records, r)
	}
	w.ok(cl.Close())
	w.is("second Close", cl.Close(), llapi.ErrClosed)
	_, err = cl.Recv()
	w.is("Recv after Close", err, llapi.ErrClosed)
	return records
}

// A reader that follows the changelog is given what comes later, and more than
// one read of it.
func TestChangelogFollow(t *testing.T) {
	notTheReal(t)
	w := quiet(t, nil)
	t.Setenv("LUSTRE_MOUNT", w.lustre.Mount())
	w.lustre.Command("changelog_register")
	cl, err := llapi.OpenChangelog("lustre-MDT0000", 0, llapi.ChangelogFollow)
	w.ok(err)
	const files = 200
	got := make(chan string)
	go func() { // ends when it has seen every file
		defer close(got)
		for n := 0; n < files; {
			r, err := cl.Recv()
			if err != nil {
				t.Errorf("Recv: %v", err)
				return
			}
			if r.Type == llapi.RecordCreate {
				got <- r.Name
				n++
			}
		}
	}()
	for i := range files {
		name := fmt.Sprintf("f%d", i)
		w.file(name, "")
		if seen := <-got; seen != name {
			t.Fatalf("record of %q, want %q", seen, name)
		}
	}
	<-got
	w.ok(cl.Close())
}

// TestPathAt finds a file by its directory, whatever that is called by then.
func TestPathAt(t *testing.T) {
	w := quiet(t, nil)
	w.ok(os.Mkdir(w.lustre.Path("d"), 0o755))
	w.ok(os.WriteFile(w.lustre.Path("d", "f"), []byte("x"), 0o644))
	want, err := llapi.PathToFID(w.lustre.Path("d", "f"))
	w.ok(err)
	dir, err := os.Open(w.lustre.Path("d"))
	w.ok(err)
	defer dir.Close()
	w.ok(os.Rename(w.lustre.Path("d"), w.lustre.Path("e")))
	path := llapi.PathAt(int(dir.Fd()), "f")
	if got, err := llapi.PathToFID(path); err != nil || got != want {
		t.Errorf("PathToFID(%s) = %v, %v, want %v", path, got, err, want)
	}
	if got, err := llapi.ReadHSMAttr(path); err != nil || got != (llapi.HSMAttr{}) {
		t.Errorf("ReadHSMAttr(%s) = %v, %v", path, got, err)
	}
}
