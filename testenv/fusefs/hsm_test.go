package fusefs_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/lioc"
)

const (
	archived = lioc.HSExists | lioc.HSArchived
	released = archived | lioc.HSReleased
)

func TestLifeOfAFile(t *testing.T) {
	modes(t, func(t *testing.T, l *testenv.Lustre) {
		c := register(t, l.Mount(), 1)
		path := l.Path("f")
		content := strings.Repeat("some content\n", 100_000)
		write(t, path, content)
		wantState(t, path, 0)
		fid := fidOf(t, path)

		must(t, request(t, l.Mount(), lioc.UserArchive, fid))
		must(t, c.archive(c.next()))
		wantState(t, path, archived)

		must(t, request(t, l.Mount(), lioc.UserRelease, fid))
		wantState(t, path, released)
		st, err := os.Stat(path)
		must(t, err)
		if st.Size() != int64(len(content)) || st.Sys().(*syscall.Stat_t).Blocks != 1 {
			t.Errorf("released: size %d, %d blocks, want %d and 1", st.Size(), st.Sys().(*syscall.Stat_t).Blocks, len(content))
		}

		stop := c.serve()
		wantContent(t, path, content) // restores
		wantState(t, path, archived)
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		must(t, err)
		_, err = f.WriteString("more")
		must(t, err)
		must(t, f.Close())
		wantState(t, path, archived|lioc.HSDirty)
		if err := request(t, l.Mount(), lioc.UserRelease, fid); !errors.Is(err, syscall.EPERM) {
			t.Errorf("release of a dirty file: %v, want EPERM", err)
		}
		must(t, request(t, l.Mount(), lioc.UserArchive, fid))
		l.WaitIdle()
		wantState(t, path, archived)
		must(t, request(t, l.Mount(), lioc.UserRelease, fid))
		must(t, os.Truncate(path, 5)) // restores too
		wantContent(t, path, content[:5])
		wantState(t, path, archived|lioc.HSDirty)
		stop()
	})
}

func TestWriteDuringArchive(t *testing.T) {
	modes(t, func(t *testing.T, l *testenv.Lustre) {
		c := register(t, l.Mount())
		path := l.Path("f")
		write(t, path, "before")
		must(t, request(t, l.Mount(), lioc.UserArchive, fidOf(t, path)))
		cp := c.begin(c.next())
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		must(t, err)
		_, err = f.WriteAt([]byte("after!"), 0)
		must(t, err)
		must(t, f.Close())
		if err := c.end(cp, 0); !errors.Is(err, syscall.EBUSY) {
			t.Errorf("end of an archive whose file changed: %v, want EBUSY", err)
		}
		wantState(t, path, lioc.HSExists|lioc.HSDirty)
	})
}

// Whoever has the file open when it is released reads on: from the copy that
// comes back, or from the data that were there.
func TestReleaseWhileOpen(t *testing.T) {
	modes(t, func(t *testing.T, l *testenv.Lustre) {
		c := register(t, l.Mount())
		path := l.Path("f")
		write(t, path, "content")
		early, err := os.Open(path)
		must(t, err)
		defer early.Close()
		must(t, request(t, l.Mount(), lioc.UserArchive, fidOf(t, path)))
		must(t, c.archive(c.next()))
		late, err := os.OpenFile(path, os.O_RDWR, 0)
		must(t, err)
		defer late.Close()
		must(t, request(t, l.Mount(), lioc.UserRelease, fidOf(t, path)))
		defer c.serve()()
		for _, f := range []*os.File{early, late} {
			b := make([]byte, 7)
			if _, err := f.ReadAt(b, 0); err != nil || string(b) != "content" {
				t.Errorf("%q, %v", b, err)
			}
		}
		_, err = late.WriteAt([]byte("C"), 0)
		must(t, err)
		must(t, late.Close())
		wantContent(t, path, "Content")
		wantState(t, path, archived|lioc.HSDirty)
	})
}

func TestReleaseUnderAPassthroughWriter(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	c := register(t, l.Mount())
	write(t, l.Path("f"), "content")
	w, err := os.OpenFile(l.Path("f"), os.O_WRONLY, 0)
	must(t, err)
	fid := fidOf(t, l.Path("f"))
	must(t, request(t, l.Mount(), lioc.UserArchive, fid))
	must(t, c.archive(c.next()))
	if err := request(t, l.Mount(), lioc.UserRelease, fid); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("release under a writer: %v, want EBUSY", err)
	}
	must(t, w.Close())
	must(t, request(t, l.Mount(), lioc.UserRelease, fid))
}

// reader is a process that reads a file, and says so before.
func reader(t *testing.T, what, path string) (*testenv.Process, *bytes.Buffer) {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	t.Cleanup(func() { r.Close() })
	defer w.Close()
	cmd := helper(what, path)
	stderr := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = w, stderr
	p := testenv.Run(t, cmd)
	if line, err := bufio.NewReader(r).ReadString('\n'); err != nil {
		t.Fatalf("reader said %q, %v; %s", line, err, stderr)
	}
	return p, stderr
}

func TestManyBlockedReaders(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{Params: map[string]string{"mdt.*.hsm.max_requests": "1000"}})
	c := register(t, l.Mount())
	const n, killed = 200, 20
	var paths []string
	for i := range n {
		paths = append(paths, c.released(l, fmt.Sprint("f", i), fmt.Sprint("content ", i)))
	}
	var readers []*testenv.Process
	var said []*bytes.Buffer
	for _, p := range paths {
		cat := exec.Command("cat", p)
		stderr := &bytes.Buffer{}
		cat.Stderr = stderr
		readers, said = append(readers, testenv.Run(t, cat)), append(said, stderr)
	}
	var items []lioc.ActionItem
	for len(items) < n { // now every reader waits
		items = append(items, c.recv().Items...)
	}
	write(t, l.Path("alive"), "others can work")
	wantContent(t, l.Path("alive"), "others can work")
	for i, r := range readers[:killed] {
		sig := []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM}[i%2]
		r.Signal(sig)
		if code := r.Wait(); code != 128+int(sig) {
			t.Errorf("reader killed by %v ended with %d", sig, code)
		}
	}
	for i, it := range items {
		if i%10 == 9 { // a failed restore wakes as well
			must(t, c.end(copyArg(it), syscall.EIO))
			continue
		}
		must(t, c.restore(it))
	}
	failed := 0
	for i, r := range readers[killed:] {
		if r.Wait() == 0 {
			continue
		}
		failed++
		if !strings.Contains(said[killed+i].String(), "No data available") {
			t.Errorf("reader %d: %s", killed+i, said[killed+i])
		}
	}
	// 20 restores failed; some of those were of readers that had been killed.
	if failed > n/10 || failed < n/10-killed {
		t.Errorf("%d readers failed", failed)
	}
}

func TestSignals(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	c := register(t, l.Mount())
	path := c.released(l, "f", "content")
	r, stderr := reader(t, "read", path)
	it := c.next()
	for range 3 {
		r.Signal(syscall.SIGUSR1) // it has a handler
	}
	must(t, c.restore(it))
	if code := r.Wait(); code != 0 {
		t.Errorf("a reader that handled a signal ended with %d: %s", code, stderr)
	}
}

func TestFailedRestore(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	c := register(t, l.Mount())
	path := c.released(l, "f", "content")
	r, stderr := reader(t, "read", path)
	must(t, c.end(copyArg(c.next()), syscall.EIO))
	if r.Wait() == 0 || !strings.Contains(stderr.String(), "no data available") {
		t.Errorf("reader of a file that cannot be restored: %s", stderr)
	}
	wantState(t, path, released)
}

func TestMappedReleasedFile(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	c := register(t, l.Mount())
	path := c.released(l, "f", "content")
	stop := c.serve()
	var out bytes.Buffer
	cmd := helper("mmap", path)
	cmd.Stdout, cmd.Stderr = &out, &out
	if testenv.Run(t, cmd).Wait() != 0 || out.String() != "\"conte\"\n" {
		t.Errorf("mapping a released file gives %s", out.String())
	}
	stop()
	wantState(t, path, archived)
}

func TestRestoreKeepsAttributes(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	c := register(t, l.Mount())
	path := c.released(l, "f", "content")
	when := time.Unix(1_500_000_000, 0)
	must(t, os.Chmod(path, 0o640))
	must(t, os.Chown(path, 12, 34))
	must(t, os.Chtimes(path, when, when))
	must(t, unix.Setxattr(path, "trusted.ours", []byte("kept"), 0))
	wantState(t, path, released)
	stop := c.serve()
	wantContent(t, path, "content")
	stop()
	st, err := os.Stat(path)
	must(t, err)
	sys := st.Sys().(*syscall.Stat_t)
	if st.Mode() != 0o640 || sys.Uid != 12 || sys.Gid != 34 || !st.ModTime().Equal(when) {
		t.Errorf("after the restore: %v %d:%d %v", st.Mode(), sys.Uid, sys.Gid, st.ModTime())
	}
	b := make([]byte, 4)
	if _, err := unix.Getxattr(path, "trusted.ours", b); err != nil || string(b) != "kept" {
		t.Errorf("xattr after the restore: %q, %v", b, err)
	}
}

func TestRestoreOnTheOtherMount(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{Mounts: 2})
	c := register(t, l.Mounts()[1])
	c.released(l, "f", "content")
	defer c.serve()()
	wantContent(t, l.Path("f"), "content")
}

func TestRestartKeepsEverything(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	c := register(t, l.Mount())
	c.released(l, "f", "content")
	write(t, l.Path("g"), "other")
	must(t, unix.Setxattr(l.Path("g"), "user.x", []byte("y"), 0))
	fid := fidOf(t, l.Path("g"))
	for name, again := range map[string]func(){
		"restart": l.Restart,
		"kill":    func() { l.Kill(); l.Restart() },
	} {
		again()
		if _, err := c.message(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: the copytool sees %v, want EOF", name, err)
		}
		wantState(t, l.Path("f"), released)
		wantContent(t, l.Path("g"), "other")
		if got := fidOf(t, l.Path("g")); got != fid {
			t.Errorf("%s: FID %v, was %v", name, got, fid)
		}
		store := c.store
		c = register(t, l.Mount())
		c.store = store
	}
	defer c.serve()()
	wantContent(t, l.Path("f"), "content")
}

func TestAgents(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{Mounts: 2})
	if got := l.GetParam("mdt.*.hsm.agents"); strings.Contains(got, "uuid") {
		t.Errorf("agents before the first: %s", got)
	}
	a := register(t, l.Mounts()[0], 1, 2)
	b := register(t, l.Mounts()[1])
	got := l.GetParam("mdt.*.hsm.agents")
	if !strings.Contains(got, "archive_id=1,2 ") || !strings.Contains(got, "archive_id=ANY ") {
		t.Errorf("agents: %s", got)
	}
	uuid := make([]byte, 64)
	n, err := unix.Getxattr(l.Mounts()[1], "user.standin.uuid", uuid)
	if err != nil || !strings.Contains(got, "uuid="+string(uuid[:n])+" archive_id=ANY") {
		t.Errorf("uuid of the second mount %q, %v; agents: %s", uuid[:n], err, got)
	}
	// One that dies stays listed until a message cannot be delivered.
	b.pipe.Close()
	b.root.Close()
	if got := l.GetParam("mdt.*.hsm.agents"); !strings.Contains(got, "archive_id=ANY ") {
		t.Errorf("the dead agent is gone: %s", got)
	}
	write(t, l.Path("f"), "")
	arg := lioc.Request{Action: lioc.UserArchive, ArchiveID: 9, Items: []lioc.UserItem{{FID: fidOf(t, l.Path("f"))}}}.Encode()
	_, err = ioctl(open(t, l.Mount()), lioc.HSMRequest, arg)
	must(t, err)
	for strings.Contains(l.GetParam("mdt.*.hsm.agents"), "ANY") {
	}
	waitFor(t, l, "mdt.*.hsm.actions", "status=WAITING")
	a.unregister()
	if got := l.GetParam("mdt.*.hsm.agents"); strings.Contains(got, "uuid") {
		t.Errorf("agents after the last: %s", got)
	}
	if _, err := a.message(); !errors.Is(err, io.EOF) {
		t.Errorf("pipe after unregistering: %v", err)
	}
}

func TestRegisterRefused(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{Params: map[string]string{"mdt.*.hsm_control": "shutdown"}})
	if _, err := tryRegister(t, l.Mount()); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("registering with the coordinator stopped: %v, want ENXIO", err)
	}
}

// A copytool that does not read must hold up nobody.
func TestFullPipe(t *testing.T) {
	const n = 2000
	l := testenv.StartLustre(t, testenv.Options{Params: map[string]string{"mdt.*.hsm.max_requests": fmt.Sprint(n)}})
	c := register(t, l.Mount())
	if r := l.Command("bulk-create", "/", "f", "0", fmt.Sprint(n), "0"); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	entries, err := os.ReadDir(l.Mount())
	must(t, err)
	var fids []lioc.FID
	for _, e := range entries {
		fids = append(fids, fidOf(t, l.Path(e.Name())))
	}
	for len(fids) > 0 {
		k := min(50, len(fids))
		must(t, request(t, l.Mount(), lioc.UserArchive, fids[:k]...))
		fids = fids[k:]
	}
	write(t, l.Path("alive"), "still")
	wantContent(t, l.Path("alive"), "still")
	for got := 0; got < n; {
		l := c.recv()
		if len(l.Items) > 70 {
			t.Fatalf("a list of %d items", len(l.Items))
		}
		for _, it := range l.Items {
			must(t, c.archive(it))
		}
		got += len(l.Items)
	}
	l.WaitIdle()
	wantState(t, filepath.Join(l.Mount(), entries[0].Name()), archived)
}

func TestEviction(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	c := register(t, l.Mount())
	write(t, l.Path("f"), "content")
	must(t, request(t, l.Mount(), lioc.UserArchive, fidOf(t, l.Path("f"))))
	cp := c.begin(c.next())
	if r := l.Command("evict", l.Mount()); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	if got := l.GetParam("mdt.*.hsm.agents"); strings.Contains(got, "uuid") {
		t.Errorf("agents after the eviction: %s", got)
	}
	if r := l.Command("reconnect", l.Mount()); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	if got := l.GetParam("mdt.*.hsm.agents"); !strings.Contains(got, "uuid") {
		t.Errorf("agents after the client came back: %s", got)
	}
	must(t, c.end(cp, 0)) // the action survived it
	wantState(t, l.Path("f"), archived)
}

func TestCoordinatorRestart(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	c := register(t, l.Mount())
	write(t, l.Path("f"), "content")
	must(t, request(t, l.Mount(), lioc.UserArchive, fidOf(t, l.Path("f"))))
	cp := c.begin(c.next())
	if r := l.Command("restart-coordinator"); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	if err := c.end(cp, 0); err == nil {
		t.Error("the end of an action that the coordinator forgot was accepted")
	}
	wantContent(t, l.Path("f"), "content")
}

// A file without a layout takes a size, and no data before it has one.
func TestWriteWithoutALayout(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{NoPassthrough: true})
	const delayCreate = 0o20400 // O_LOV_DELAY_CREATE
	f, err := os.OpenFile(l.Path("f"), os.O_CREATE|os.O_EXCL|os.O_RDWR|delayCreate, 0o600)
	must(t, err)
	defer f.Close()
	must(t, f.Truncate(7))
	if _, err := f.WriteAt([]byte("content"), 0); !errors.Is(err, syscall.EBADF) {
		t.Errorf("a write without a layout: %v, want EBADF", err)
	}
	layout := make([]byte, 32)
	binary.LittleEndian.PutUint32(layout, 0x0BD10BD0)
	binary.LittleEndian.PutUint32(layout[4:], 1)
	must(t, unix.Fsetxattr(int(f.Fd()), "lustre.lov", layout, unix.XATTR_CREATE))
	_, err = f.WriteAt([]byte("content"), 0)
	must(t, err)
	wantContent(t, l.Path("f"), "content")
}
