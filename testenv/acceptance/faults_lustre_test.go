package acceptance

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/gate"
)

// A lustreFault is one call to Lustre that fails.
type lustreFault struct {
	op    string
	what  []string
	code  string // empty: the copytool gets over it
	errno syscall.Errno
}

func (f lustreFault) name() string { return f.op + "-" + strings.Join(f.what, "-") }

func TestLustreFaultsInArchive(t *testing.T) {
	e, c := startSpare(t)
	for _, f := range []lustreFault{
		{"read", []string{"errno=EIO", "count=1"}, "LustreError", syscall.EIO},
		{"read", []string{"errno=EIO", "count=1", "skip=2"}, "LustreError", syscall.EIO},
		{"read", []string{"errno=EINTR", "count=1"}, "", 0},
		{"begin", []string{"errno=EIO", "count=1"}, "LustreError", syscall.EIO},
		{"begin", []string{"errno=EAGAIN", "count=1"}, "LustreError", syscall.EAGAIN},
		{"fid2path", []string{"errno=EIO", "count=1"}, "LustreError", syscall.EIO},
		{"data_version", []string{"errno=EIO", "count=1"}, "LustreError", syscall.EIO},
		{"data_version", []string{"errno=ENXIO", "count=1", "skip=1"}, "LustreError", syscall.ENXIO}, // before the commit
		{"end", []string{"errno=EIO", "count=1"}, "", 0},                                             // is said again
	} {
		e.during(t, c, f.name(), func() {
			for kind, content := range faultFiles {
				if kind == "small" && strings.Contains(f.name(), "read-errno=EIO-count=1-skip") {
					continue // is read in one piece
				}
				rel := f.name() + "-" + kind
				e.write(rel, content)
				e.lustre.Fault(f.op, f.what...)
				e.hsm("archive", rel)
				e.lustre.ClearFaults()
				if f.code != "" {
					e.wantState(rel, stateExists)
					e.wantFailure(c, "ARCHIVE", rel, f.code, f.errno)
					e.hsm("archive", rel)
				}
				e.wantState(rel, stateArchived)
				e.wantBlob(rel, content)
				e.wantNoError(rel)
			}
			e.wantSettled(c)
		})
	}
}

func TestLustreFaultsInRestore(t *testing.T) {
	e, c := startSpare(t)
	for _, f := range []lustreFault{
		{"write", []string{"errno=ENOSPC"}, "NoSpace", syscall.ENOSPC},
		{"write", []string{"errno=ENOSPC", "count=1"}, "", 0}, // another file is on other targets
		{"write", []string{"errno=EDQUOT", "count=1"}, "QuotaExceeded", syscall.EDQUOT},
		{"write", []string{"errno=EIO", "count=1", "skip=1"}, "LustreError", syscall.EIO},
		{"write", []string{"errno=EINTR", "count=1"}, "", 0},
		{"fsync", []string{"errno=ENOSPC"}, "NoSpace", syscall.ENOSPC}, // where Lustre tells what writing back has met
		{"create", []string{"errno=ENOSPC", "count=1"}, "NoSpace", syscall.ENOSPC},
		{"begin", []string{"errno=EIO", "count=1"}, "LustreError", syscall.EIO},
		{"fid2path", []string{"errno=EIO", "count=1"}, "", 0}, // only the log wants the path
		{"end", []string{"errno=EIO", "count=1"}, "", 0},      // is said again
	} {
		e.during(t, c, f.name(), func() {
			for kind, content := range faultFiles {
				if kind == "small" && strings.Contains(f.name(), "skip") {
					continue // is written in one piece
				}
				e.restoreWith(c, f, f.name()+"-"+kind, content)
			}
			e.wantSettled(c)
		})
	}
}

// TestLustreFaultInTheFirstRestore: where a sequence of FIDs lies is asked for once, and
// the question that failed does not count.
func TestLustreFaultInTheFirstRestore(t *testing.T) {
	e, c := startSpare(t)
	f := lustreFault{"mdt_index", []string{"errno=EIO", "count=1"}, "LustreError", syscall.EIO}
	e.restoreWith(c, f, f.name(), []byte("content"))
	e.wantSettled(c)
}

// restoreWith has a fault meet the restore of a new file, and another restore after it.
func (e *env) restoreWith(c *copytool, f lustreFault, rel string, content []byte) {
	e.t.Helper()
	p := e.released(rel, content)
	e.lustre.Fault(f.op, f.what...)
	err := readSame(p, content)
	e.lustre.WaitIdle()
	e.lustre.ClearFaults()
	e.wantRead(c, rel, err, f.code, f.errno)
	e.wantContent(rel, content)
	e.wantNoError(rel)
}

// wantRead holds what became of the first read of a released file, met by a fault,
// against the code that its restore is to fail with; without one it is to succeed.
func (e *env) wantRead(c *copytool, rel string, err error, code string, errno syscall.Errno) {
	e.t.Helper()
	switch {
	case code == "" && err != nil:
		e.t.Errorf("read %q: %v", rel, err)
	case code != "" && err == nil:
		e.t.Errorf("the read of %q succeeded", rel)
	case code != "":
		e.wantState(rel, stateReleased)
		e.wantFailure(c, "RESTORE", rel, code, errno)
	}
}

// TestP20RefusedProgressStopsTheTransfer has a transfer wait in the gate until its progress has
// been answered.
func TestP20RefusedProgressStopsTheTransfer(t *testing.T) {
	e, c := startSpare(t, "--progress-interval", "100ms")
	for _, f := range []lustreFault{
		{"progress", []string{"errno=ECANCELED", "count=1"}, "Canceled", syscall.ECANCELED},
		{"progress", []string{"errno=ENOENT", "count=1"}, "Forgotten", syscall.ENOENT},
		{"progress", []string{"errno=EAGAIN", "count=1"}, "", 0},
	} {
		e.during(t, c, f.name(), func() {
			content := faultFiles["blocks"]
			archive, restore := f.name()+"-archive", f.name()+"-restore"
			p := e.released(restore, content)
			e.write(archive, content)
			read := make(chan error, 1)
			for op, begin := range map[string]func(){
				"ARCHIVE": func() { e.lfs("hsm_archive", e.path(archive)) },
				"RESTORE": func() { go func() { read <- readSame(p, content) }() },
			} {
				rel := map[string]string{"ARCHIVE": archive, "RESTORE": restore}[op]
				h := e.gate.Hold(func(r *http.Request) bool { return pathIs(r.URL.Path, rel) })
				begin()
				<-h.Caught
				e.lustre.Fault(f.op, f.what...)
				fid := strings.TrimSpace(e.lfs("path2fid", e.path(rel)))
				if f.code == "" {
					c.waitLog("report progress", fid)
					h.Release()
					c.waitLog("action done", "op="+op, fid)
				} else {
					c.waitLog("msg=\"action ", "op="+op, fid, "code="+f.code) // failed, or canceled
					h.Release()
				}
				if f.code == "Forgotten" { // so nothing more is said of it; but here it is known
					e.giveUp()
				}
				e.lustre.WaitIdle()
			}
			if err := <-read; (err == nil) != (f.code == "") {
				t.Errorf("the reader: %v", err)
			}
			if f.code != "" {
				e.wantNoBlob(archive)
				e.hsm("archive", archive)
				e.wantContent(restore, content)
			}
			e.wantBlob(archive, content)
			e.wantState(restore, stateArchived)
			e.wantSettled(c)
		})
	}
}

// TestIdentityNotWritten: the blob is there, and the next archive recognises it.
func TestIdentityNotWritten(t *testing.T) {
	e, c := startSpare(t)
	content := faultFiles["blocks"]
	e.write("f", content)
	e.lustre.Fault("setxattr", "errno=ENOSPC", "count=1")
	e.hsm("archive", "f")
	e.wantState("f", stateExists)
	e.wantFailure(c, "ARCHIVE", "f", "NoSpace", syscall.ENOSPC)
	e.hsm("archive", "f")
	e.wantState("f", stateArchived)
	e.lfs("hsm_release", e.path("f"))
	e.wantContent("f", content)
}

// TestPipeFaults: what happens to a message costs its actions at most, and the
// copytool goes on.
func TestPipeFaults(t *testing.T) {
	e, c := startSpare(t)
	lines := map[string]int{}
	for op, says := range map[string]string{
		"pipe-split":    "a list of actions was lost",
		"pipe-garbage":  "a list of actions was lost",
		"pipe-close":    "registered again",
		"pipe-shutdown": "registered again",
	} {
		e.during(t, c, op, func() {
			e.write(op, []byte("content"))
			e.lustre.Fault(op, "count=1")
			e.lfs("hsm_archive", e.path(op))
			c.waitLogTimes(1+lines[says], says)
			lines[says]++
			e.giveUp() // what was lost
			e.archived(op+"-next", []byte("content"))
			e.hsm("archive", op)
			e.wantState(op, stateArchived)
		})
	}
}

// TestRegistrationLostUnderLoad: actions that run go on, whatever becomes of
// the registration that brought them.
func TestRegistrationLostUnderLoad(t *testing.T) {
	e, c := startSpare(t, "--transfers", "16")
	content := faultFiles["blocks"]
	p := e.released("restore", content)
	e.write("archive", content)
	h := e.gate.Hold(func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/archive") || isGetOf("restore")(r) })
	e.lfs("hsm_archive", e.path("archive"))
	read := make(chan error, 1)
	go func() { read <- readSame(p, content) }()
	<-h.Caught
	c.waitLog("received", "op=ARCHIVE")
	c.waitLog("received", "op=RESTORE")
	e.lustre.Fault("register", "errno=EAGAIN", "count=1")
	if r := e.lustre.Command("shutdown-message"); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	c.waitLog("registered again")
	c.wantChildrenWithout(e.lustre.Mount())
	h.Release()
	if err := <-read; err != nil {
		t.Error(err)
	}
	e.lustre.WaitIdle()
	e.wantState("archive", stateArchived)
	e.wantBlob("archive", content)
	e.archived("next", content)
}

// TestRestoreSentAgain: a coordinator that starts sends what was running under
// the same cookie, and the one transfer serves it. It says nothing of itself before: to a
// coordinator that knows of it again only what it is about to send, it would be over.
func TestRestoreSentAgain(t *testing.T) {
	e, c := startSpare(t, "--progress-interval", "10m")
	content := faultFiles["small"]
	p := e.released("f", content)
	h := e.gate.Hold(isGetOf("f"))
	read := make(chan error, 1)
	go func() { read <- readSame(p, content) }()
	<-h.Caught
	if r := e.lustre.Command("restart-coordinator"); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	c.waitLogTimes(2, "received", "op=RESTORE")
	h.Release()
	if err := <-read; err != nil {
		t.Error(err)
	}
	e.lustre.WaitIdle()
	e.wantState("f", stateArchived)
	if n := e.gate.Count(func(r gate.Request) bool { return r.Method == http.MethodGet && pathIs(r.Path, "f") }); n != 1 {
		t.Errorf("the blob was fetched %d times, want once", n)
	}
	e.archived("next", content)
}

// TestSeventyItems: the longest lists that one message holds, 70 items, wait
// for the copytool. A call of lfs takes 50 files.
func TestSeventyItems(t *testing.T) {
	e := newEnv(t, testenv.Options{Params: map[string]string{"mdt.*.hsm.max_requests": "200"}})
	var files []string
	content := func(i int) []byte { return randomBytes(100+i, byte(i)) }
	for i := range 150 {
		files = append(files, e.write(fmt.Sprintf("f%d", i), content(i)))
	}
	each := func(verb string) {
		for chunk := range slices.Chunk(files, 50) {
			e.lfs(append([]string{verb}, chunk...)...)
		}
	}
	each("hsm_archive")
	c := e.startCopytool(e.lustre.Mount())
	e.lustre.WaitIdle()
	each("hsm_release")
	each("hsm_restore")
	e.lustre.WaitIdle()
	for i := range files {
		rel := fmt.Sprintf("f%d", i)
		e.wantContent(rel, content(i))
		e.wantState(rel, stateArchived)
	}
	c.waitLogTimes(len(files), "action done", "op=ARCHIVE")
	c.waitLogTimes(len(files), "action done", "op=RESTORE")
}

// TestOpaqueData: what comes with a request has any length and any sense.
func TestOpaqueData(t *testing.T) {
	e, _ := start(t)
	for _, data := range []string{
		"x", "seven77", "eightee8", "nine99999", "{", `{"file_id": 7}`, `{"file_id": "elsewhere"}`, "[]", "\xff\xfe\n\t", strings.Repeat("long", 250),
	} {
		rel := fmt.Sprintf("f%d", len(data))
		p := e.write(rel, []byte(data))
		e.lfs("hsm_archive", "--data", data, p)
		e.lustre.WaitIdle()
		e.wantState(rel, stateArchived)
		e.wantBlob(rel, []byte(data))
		e.lfs("hsm_release", p)
		e.lfs("hsm_restore", "--data", data, p)
		e.lustre.WaitIdle()
		e.wantContent(rel, []byte(data))
		e.lfs("hsm_remove", "--data", data, p)
		e.lustre.WaitIdle()
		e.wantNoBlob(rel)
	}
}

// TestFileChangesUnderArchive does things to a file whose bytes are on their way.
func TestFileChangesUnderArchive(t *testing.T) {
	e, c := startSpare(t, "--transfers", "16")
	content := faultFiles["blocks"]
	for name, change := range map[string]struct {
		code string
		do   func(p string) error
	}{
		"unlinked":  {"FileVanished", os.Remove},
		"replaced":  {"FileVanished", func(p string) error { return os.Rename(e.write("other", content), p) }},
		"truncated": {"FileChanged", func(p string) error { return os.Truncate(p, 10) }},
		"emptied":   {"FileChanged", func(p string) error { return os.Truncate(p, 0) }},
		"renamed":   {"", func(p string) error { return os.Rename(p, p+"-new") }},
		"touched":   {"", func(p string) error { return os.Chmod(p, 0o600) }},
	} {
		e.during(t, c, name, func() {
			p := e.write(name, content)
			fid := strings.TrimSpace(e.lfs("path2fid", p))
			h := e.gate.Hold(isBlockOf(name))
			e.lfs("hsm_archive", p)
			<-h.Caught
			if err := change.do(p); err != nil {
				t.Fatal(err)
			}
			h.Release()
			e.lustre.WaitIdle()
			if change.code == "" {
				c.waitLog("action done", "op=ARCHIVE", fid)
				e.wantBlob(name, content)
			} else {
				c.waitLog("action failed", "op=ARCHIVE", fid, "code="+change.code)
				e.wantNoBlob(name)
			}
			e.wantSettled(c)
		})
	}
}

// TestFileChangesUnderRestore: who waits for the data gets all of it, or an error.
func TestFileChangesUnderRestore(t *testing.T) {
	e, c := startSpare(t)
	content := faultFiles["small"]
	for name, change := range map[string]func(p string) error{
		"unlinked": os.Remove,
		"replaced": func(p string) error { return os.Rename(e.write("other", content), p) },
		"renamed":  func(p string) error { return os.Rename(p, p+"-new") },
		"touched":  func(p string) error { return os.Chmod(p, 0o600) },
	} {
		e.during(t, c, name, func() {
			p := e.released(name, content)
			fid := strings.TrimSpace(e.lfs("path2fid", p))
			f, err := os.Open(p)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			h := e.gate.Hold(isGetOf(name))
			read := make(chan error, 1)
			go func() {
				got := make([]byte, len(content))
				n, err := f.ReadAt(got, 0)
				if err == nil && string(got[:n]) != string(content) {
					err = fmt.Errorf("%d wrong bytes", n)
					t.Error(err)
				}
				read <- err
			}()
			<-h.Caught
			if err := change(p); err != nil {
				t.Fatal(err)
			}
			h.Release()
			err = <-read
			e.lustre.WaitIdle()
			line := c.waitLog("msg=\"action ", "op=RESTORE", fid)
			gone, done := name == "unlinked" || name == "replaced", strings.Contains(line, "code=OK ")
			if done != (err == nil) || !done && (!gone || !strings.Contains(line, "code=FileVanished ")) {
				e.t.Errorf("the reader: %v, and the restore: %s", err, line)
			}
			e.wantSettled(c)
			e.archived(name+"-next", content)
		})
	}
}

// TestReleaseRefused: Lustre keeps the only copy, and nothing of ours minds.
func TestReleaseRefused(t *testing.T) {
	e, _ := start(t)
	refused := func(p string) {
		t.Helper()
		if r := e.lustre.Lfs("hsm_release", p); r.Code == 0 {
			t.Errorf("the release of %s was not refused", p)
		}
	}
	p := e.write("f", faultFiles["blocks"])
	refused(p)
	h := e.gate.Hold(isPutOf("f"))
	e.lfs("hsm_archive", p)
	<-h.Caught
	refused(p)
	h.Release()
	e.lustre.WaitIdle()
	e.append("f", []byte("more"))
	refused(p)
	e.hsm("archive", "f")
	e.lfs("hsm_set", "--norelease", p)
	refused(p)
	e.lfs("hsm_clear", "--norelease", p)
	e.lfs("hsm_release", p)
	e.wantContent("f", append(faultFiles["blocks"][:len(faultFiles["blocks"]):len(faultFiles["blocks"])], "more"...))
}
