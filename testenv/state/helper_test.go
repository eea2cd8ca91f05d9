package state

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// alice owns files and bob is in nobody's group.
var (
	alice = Cred{UID: 1001, GID: 1001}
	bob   = Cred{UID: 1002, GID: 1002}
)

// enabled are the tunables of most tests: Lustre's defaults, coordinator on.
var enabled = map[string]string{"mdt.*.hsm_control": "enabled"}

func with(more ...string) map[string]string {
	m := map[string]string{"mdt.*.hsm_control": "enabled"}
	for n := 0; n < len(more); n += 2 {
		m[more[n]] = more[n+1]
	}
	return m
}

// world is a file system with one mount, under test.
type world struct {
	*FS
	t    testing.TB
	back string
	uuid string
}

// inBubble runs a test on a file system whose clock is synctest's.
func inBubble(t *testing.T, params map[string]string, f func(w *world)) {
	t.Helper()
	back := t.TempDir()
	synctest.Test(t, func(t *testing.T) { f(openWorld(t, back, params)) })
}

func openWorld(t testing.TB, back string, params map[string]string) *world {
	t.Helper()
	fs, err := Open(Options{Back: back, Params: params})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{FS: fs, t: t, back: back, uuid: fs.NewClient()}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return w
}

// reopen is a restart of the daemon after a clean stop.
func (w *world) reopen() {
	w.t.Helper()
	w.ok(w.Close())
	w.open()
}

// crash is a restart of the daemon after kill -9: no snapshot is written.
func (w *world) crash() {
	w.t.Helper()
	w.kill()
	w.open()
}

func (w *world) kill() {
	w.begin()
	w.closed = true
	w.FS.end()
	close(w.stop)
	<-w.stopped
	w.ok(w.journal.file.Close())
	w.ok(w.lock.Close())
}

func (w *world) open() {
	w.t.Helper()
	fs, err := Open(Options{Back: w.back})
	w.ok(err)
	w.FS = fs
	w.uuid = fs.NewClient()
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) is(err, want error) {
	w.t.Helper()
	if !errors.Is(err, want) {
		w.t.Fatalf("got error %v, want %v", err, want)
	}
}

// file makes a file in the root and writes content to it.
func (w *world) file(name, content string, owner ...Cred) FID {
	w.t.Helper()
	cred := Root
	if len(owner) > 0 {
		cred = owner[0]
	}
	h, a, err := w.Create(RootFID, name, 0o644, cred, os.O_WRONLY|os.O_CREATE)
	w.ok(err)
	w.writeHandle(h, content)
	h.Release()
	return a.FID
}

func (w *world) writeHandle(h *Handle, content string) {
	w.t.Helper()
	if content == "" {
		return
	}
	f, _, err := h.OpenObject()
	w.ok(err)
	defer f.Close()
	_, err = f.WriteAt([]byte(content), 0)
	w.ok(err)
	h.Wrote()
}

// write opens, writes and closes.
func (w *world) write(fid FID, content string) {
	w.t.Helper()
	h, err := w.Open(fid, os.O_WRONLY, Root)
	w.ok(err)
	w.writeHandle(h, content)
	h.Release()
}

func (w *world) read(fid FID) string {
	w.t.Helper()
	h, err := w.Open(fid, os.O_RDONLY, Root)
	w.ok(err)
	defer h.Release()
	f, _, err := h.OpenObject()
	w.ok(err)
	defer f.Close()
	b, err := os.ReadFile(f.Name())
	w.ok(err)
	return string(b)
}

func (w *world) wantState(fid FID, flags Flags, archive uint32) {
	w.t.Helper()
	s, err := w.HSMStateGet(fid)
	w.ok(err)
	if s.Flags != flags || s.ArchiveID != archive {
		w.t.Fatalf("state is %#x archive %d, want %#x archive %d", s.Flags, s.ArchiveID, flags, archive)
	}
}

func (w *world) request(cred Cred, a UserAction, archive uint32, fids ...FID) error {
	r := Request{Action: a, ArchiveID: archive}
	for _, f := range fids {
		r.Items = append(r.Items, RequestItem{f, WholeFile})
	}
	return w.Request(cred, r)
}

func (w *world) archiveReq(fids ...FID) {
	w.t.Helper()
	w.ok(w.request(Root, UserArchive, 0, fids...))
}

// statuses gives action and status of every record, oldest first.
func (w *world) statuses() string {
	w.begin()
	defer w.FS.end()
	var words []string
	for e := w.cdt.log.Front(); e != nil; e = e.Next() {
		r := e.Value.(*record)
		words = append(words, r.action.String()+" "+r.status.String())
	}
	return strings.Join(words, ", ")
}

func (w *world) wantStatuses(want string) {
	w.t.Helper()
	synctest.Wait()
	if got := w.statuses(); got != want {
		w.t.Fatalf("records: %s\n   want: %s", got, want)
	}
}

func (w *world) param(name string) string {
	w.t.Helper()
	text, err := w.GetParam(name)
	w.ok(err)
	_, value, _ := strings.Cut(strings.TrimSuffix(text, "\n"), "=")
	return strings.TrimPrefix(value, "\n")
}

func (w *world) set(assignment string) {
	w.t.Helper()
	_, err := w.SetParam(assignment, false)
	w.ok(err)
}

// tool is a copytool.
type tool struct {
	w *world
	*Agent
}

func (w *world) tool(archives ...uint32) *tool { return w.toolOn(w.uuid, archives...) }

func (w *world) toolOn(uuid string, archives ...uint32) *tool {
	w.t.Helper()
	a, err := w.RegisterAgent(uuid, Root, archives)
	w.ok(err)
	return &tool{w, a}
}

// next gives the message that has come; ok is false if there is none.
func (c *tool) next() (ActionList, bool) {
	synctest.Wait()
	ctx, cancel := context.WithCancel(c.w.t.Context())
	cancel()
	l, err := c.Recv(ctx)
	return l, err == nil
}

func (c *tool) mustNext(items int) []Item {
	c.w.t.Helper()
	l, ok := c.next()
	if !ok || len(l.Items) != items {
		c.w.t.Fatalf("message has %d items, want %d", len(l.Items), items)
	}
	return l.Items
}

func (c *tool) mustIdle() {
	c.w.t.Helper()
	if l, ok := c.next(); ok {
		c.w.t.Fatalf("unexpected message %+v", l)
	}
}

// start begins an archive or a removal and gives the data version.
func (c *tool) start(it Item) uint64 {
	c.w.t.Helper()
	if it.Action != ActionArchive {
		return 0
	}
	dv, err := c.w.CopyStart(Root, Copy{Item: it})
	c.w.ok(err)
	return dv
}

func (c *tool) end(it Item, dv uint64, errno syscall.Errno) error {
	_, err := c.w.CopyEnd(c.w.t.Context(), Root, Copy{DataVersion: dv, Errval: uint16(errno), Item: it})
	return err
}

// do carries an archive or a removal out.
func (c *tool) do(it Item) {
	c.w.t.Helper()
	c.w.ok(c.end(it, c.start(it), 0))
}

// volatile begins a restore: a nameless file with its COPY_START.
func (c *tool) volatile(it Item) (*Handle, Item) {
	c.w.t.Helper()
	h, _, err := c.w.Create(RootFID, volatileHeader+":0000:1F690DDA:fd=08", 0o600, Root, os.O_RDWR|os.O_CREATE|os.O_EXCL|OpenDelayCreate)
	c.w.ok(err)
	_, err = c.w.CopyStart(Root, Copy{Item: it})
	c.w.ok(err)
	it.DFID = h.FID()
	return h, it
}

// restore carries a restore out, as liblustreapi does.
func (c *tool) restore(it Item, content string) {
	c.w.t.Helper()
	h, it := c.volatile(it)
	defer h.Release()
	c.w.writeHandle(h, content)
	it.FID = it.DFID
	c.w.ok(c.end(it, 0, 0))
}

// archived makes a file and archives it.
func (c *tool) archived(name, content string, owner ...Cred) FID {
	c.w.t.Helper()
	f := c.w.file(name, content, owner...)
	c.w.archiveReq(f)
	c.do(c.mustNext(1)[0])
	synctest.Wait()
	c.w.wantState(f, Exists|Archived, 1)
	return f
}

func (c *tool) released(name, content string, owner ...Cred) FID {
	c.w.t.Helper()
	f := c.archived(name, content, owner...)
	c.w.ok(c.w.request(Root, UserRelease, 0, f))
	c.w.wantState(f, Exists|Archived|Released, 1)
	return f
}

// sleep lets the bubble's clock run.
func (w *world) sleep(text string) {
	w.t.Helper()
	d, err := time.ParseDuration(text)
	w.ok(err)
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}
