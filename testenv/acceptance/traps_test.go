package acceptance

import (
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"lhsm-azblob/testenv"
)

// What surprises of Lustre's coordinator, as it was seen on Lustre 2.17, with
// our copytool on it. An operator's view of each: what lctl and lfs show.

// longGrace keeps requests on record for as long as a test looks at them.
func longGrace(o testenv.Options) testenv.Options {
	params := map[string]string{"mdt.*.hsm.grace_delay": "600"}
	for name, value := range o.Params {
		params[name] = value
	}
	o.Params = params
	return o
}

func threeSlots() testenv.Options {
	return longGrace(testenv.Options{Params: map[string]string{"mdt.*.hsm.max_requests": "3"}})
}

// fid is the file's FID with brackets.
func (e *env) fid(rel string) string {
	e.t.Helper()
	return strings.TrimSpace(e.lfs("path2fid", e.path(rel)))
}

var changing = regexp.MustCompile(`compound/cookie=0x0/0x[0-9a-f]+|uuid=[0-9a-f-]{36}|done=\d+`)

// wantParams compares what lctl get_param shows; cookies, uuids and bytes done
// differ from run to run.
func (e *env) wantParams(pattern string, want ...string) {
	e.t.Helper()
	got := changing.ReplaceAllStringFunc(e.lustre.GetParam(pattern), func(s string) string {
		return s[:strings.LastIndexAny(s, "/=")+1] + "?"
	})
	if text := strings.Join(want, "\n") + "\n"; got != text {
		e.t.Errorf("get_param %s:\n%swant:\n%s", pattern, got, text)
	}
}

var requestLine = regexp.MustCompile(`fid=(\S+) dfid=.* action=(\w+) archive#=(\S+) .* status=(\w+)`)

// wantRequests wants the coordinator's log to say so, as "FILE ACTION ARCHIVE
// STATUS".
func (e *env) wantRequests(want ...string) {
	e.t.Helper()
	names := map[string]string{}
	files, err := filepath.Glob(e.path("*"))
	if err != nil {
		e.t.Fatal(err)
	}
	for _, p := range files {
		names[e.fid(filepath.Base(p))] = filepath.Base(p)
	}
	var got []string
	for _, m := range requestLine.FindAllStringSubmatch(e.lustre.GetParam("mdt.*.hsm.actions"), -1) {
		got = append(got, strings.Join([]string{names[m[1]], m[2], m[3], m[4]}, " "))
	}
	if !slices.Equal(got, want) {
		e.t.Errorf("requests:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// wantAgents wants such agents, without their uuids.
func (e *env) wantAgents(want ...string) {
	e.t.Helper()
	const name = "mdt.lustre-MDT0000.hsm.agents="
	lines := make([]string, len(want))
	for i, w := range want {
		lines[i] = "uuid=? " + w
	}
	switch len(want) {
	case 0:
		lines = []string{name}
	case 1:
		lines[0] = name + lines[0]
	default:
		lines = append([]string{name}, lines...)
	}
	e.wantParams("mdt.*.hsm.agents", lines...)
}

// TestWhatLctlShows follows one file through the coordinator's lists.
func TestWhatLctlShows(t *testing.T) {
	e := newEnv(t, longGrace(testenv.Options{}))
	const mdt = "mdt.lustre-MDT0000.hsm."
	content := randomBytes(1000, 1)
	p := e.write("big", content)
	fid := e.fid("big")
	about := func(action, flags string) string {
		return "compound/cookie=0x0/? action=" + action + " archive#=1 flags=" + flags + " extent=0x0-0xffffffffffffffff gid=0x0 "
	}
	action := func(idx int, dfid, rest, status string) string {
		return fmt.Sprintf("lrh=[type=10680000 len=136 idx=1/%d] fid=%s dfid=%s %sdatalen=0 status=%s data=[]", idx, fid, dfid, rest, status)
	}
	active := func(rest string) string {
		return mdt + "active_requests=fid=" + fid + " dfid=" + fid + " " + rest + "data=[] canceled=0 uuid=? done=?"
	}
	counts := func(archives, restores int) {
		t.Helper()
		e.wantParams("mdt.*.hsm.*_count", fmt.Sprintf(mdt+"archive_count=%d", archives), mdt+"remove_count=0", fmt.Sprintf(mdt+"restore_count=%d", restores))
	}
	e.wantParams("mdt.*.hsm.actions", mdt+"actions=")
	e.wantParams("mdt.*.hsm.active_requests", mdt+"active_requests=")
	e.wantAgents()

	e.lfs("hsm_archive", p)
	archive := about("ARCHIVE", "0x0")
	e.wantParams("mdt.*.hsm.actions", mdt+"actions="+action(1, fid, archive, "WAITING"))
	e.wantParams("mdt.*.hsm.active_requests", mdt+"active_requests=")
	e.wantState("big", stateNew)
	h := e.gate.Hold(isPutOf("big"))
	e.startCopytool(e.lustre.Mount())
	<-h.Caught
	e.wantState("big", stateExists)
	e.wantParams("mdt.*.hsm.actions", mdt+"actions="+action(1, fid, archive, "STARTED"))
	e.wantParams("mdt.*.hsm.active_requests", active(archive))
	e.wantAgents("archive_id=1 requests=[current:1 ok:0 errors:0]")
	counts(1, 0)
	h.Release()
	e.lustre.WaitIdle()
	e.wantParams("mdt.*.hsm.actions", mdt+"actions="+action(1, fid, archive, "SUCCEED"))
	e.wantAgents("archive_id=1 requests=[current:0 ok:1 errors:0]")
	counts(0, 0)

	e.lfs("hsm_release", p)
	h = e.gate.Hold(isGetOf("big"))
	read := make(chan error, 1)
	go func() { read <- readSame(p, content) }()
	<-h.Caught
	restore := about("RESTORE", "0x4")
	e.wantParams("mdt.*.hsm.actions", mdt+"actions=", action(1, fid, archive, "SUCCEED"), action(2, fid, restore, "STARTED"))
	e.wantParams("mdt.*.hsm.active_requests", active(restore))
	e.wantState("big", stateReleased)
	counts(0, 1)
	h.Release()
	if err := <-read; err != nil {
		t.Error(err)
	}
	e.lustre.WaitIdle()
	volatile := regexp.MustCompile(`dfid=(\S+)`).FindAllStringSubmatch(e.lustre.GetParam("mdt.*.hsm.actions"), -1)[1][1]
	if volatile == fid {
		t.Error("a restore that is over has not the FID of its volatile file")
	}
	e.wantParams("mdt.*.hsm.actions", mdt+"actions=", action(1, fid, archive, "SUCCEED"), action(2, volatile, restore, "SUCCEED"))
}

// TestUnservedArchivesStopTheOthers: as many requests as there are slots, for an
// archive that nobody serves, hold up everything but restores.
func TestUnservedArchivesStopTheOthers(t *testing.T) {
	e := newEnv(t, threeSlots())
	c := e.startCopytool(e.lustre.Mount())
	content := randomBytes(1000, 1)
	e.released("r", content)
	for _, rel := range []string{"u1", "u2"} {
		e.lfs("hsm_archive", "--archive", "7", e.write(rel, content))
	}
	e.lfs("hsm_archive", e.write("f1", content))
	c.waitDone(e, "f1")
	e.lfs("hsm_archive", "--archive", "7", e.write("u3", content))
	e.lfs("hsm_archive", e.write("f2", content))
	e.wantContent("r", content) // so the queue was gone through after that
	log := []string{
		"r ARCHIVE 1 SUCCEED", "u1 ARCHIVE 7 WAITING", "u2 ARCHIVE 7 WAITING", "f1 ARCHIVE 1 SUCCEED",
		"u3 ARCHIVE 7 WAITING", "f2 ARCHIVE 1 WAITING", "r RESTORE 1 SUCCEED",
	}
	e.wantRequests(log...)

	// More slots help; a cancel only queues up behind its target.
	e.lustre.SetParam("mdt.*.hsm.max_requests", "10")
	c.waitDone(e, "f2")
	e.lfs("hsm_cancel", e.path("u1"))
	e.lfs("hsm_archive", e.write("f3", content))
	c.waitDone(e, "f3")
	e.wantAction(e.path("u1"), "ARCHIVE waiting (from 0 to EOF)")
	log[5] = "f2 ARCHIVE 1 SUCCEED"
	log = append(log, "u1 CANCEL 7 WAITING", "f3 ARCHIVE 1 SUCCEED")
	e.wantRequests(log...)

	e.lustre.SetParam("mdt.*.hsm_control", "purge")
	for i := range log {
		log[i] = strings.Replace(log[i], "WAITING", "CANCELED", 1)
	}
	e.wantRequests(log...)
	e.wantState("u1", stateNew)
}

// waitDone waits for the end of an archive while others do not end.
func (c *copytool) waitDone(e *env, rel string) {
	c.t.Helper()
	c.waitLog("msg=\"action done\"", "op=ARCHIVE", e.fid(rel))
}

// TestDuplicatesAreBothSent: two requests for one file are two actions.
func TestDuplicatesAreBothSent(t *testing.T) {
	e := newEnv(t, longGrace(testenv.Options{}))
	c := e.startCopytool(e.lustre.Mount())
	content := randomBytes(1000, 1)
	p := e.write("f", content)
	h := e.gate.Hold(isPutOf("f"))
	e.lfs("hsm_archive", p)
	e.lfs("hsm_archive", p)
	c.waitLogTimes(2, "received", "op=ARCHIVE", e.fid("f"))
	<-h.Caught
	e.wantRequests("f ARCHIVE 1 STARTED", "f ARCHIVE 1 STARTED")
	e.wantAgents("archive_id=1 requests=[current:2 ok:0 errors:0]")
	h.Release()
	e.lustre.WaitIdle()
	e.wantRequests("f ARCHIVE 1 SUCCEED", "f ARCHIVE 1 SUCCEED")
	e.wantBlob("f", content)
	e.wantState("f", stateArchived)
}

// TestDeadCopytoolKeepsItsSlots until its requests time out, also when another
// one has started on its mount, unless that one has the dead one's journal.
func TestDeadCopytoolKeepsItsSlots(t *testing.T) {
	e := newEnv(t, threeSlots())
	c := e.startCopytool(e.lustre.Mount())
	content := randomBytes(1000, 1)
	e.released("r", content)
	files := []string{"f1", "f2", "f3"}
	h := e.gate.Hold(func(r *http.Request) bool { return isCommit(r) && strings.Contains(r.URL.Path, "/f") })
	for _, rel := range files {
		e.lfs("hsm_archive", e.write(rel, content))
	}
	for range files {
		<-h.Caught
	}
	c.signal(syscall.SIGKILL)
	<-c.done
	h.Release()
	e.wantAgents("archive_id=1 requests=[current:3 ok:1 errors:0]")
	e.lfs("hsm_archive", e.write("g", content))
	c = e.startCopytool(e.lustre.Mount(), "--state-dir", t.TempDir())
	e.wantContent("r", content) // the one that may exceed the slots
	e.wantAgents("archive_id=1 requests=[current:3 ok:2 errors:0]")
	e.lfs("hsm_cancel", e.path("f1"))
	log := []string{
		"r ARCHIVE 1 SUCCEED", "f1 ARCHIVE 1 STARTED", "f2 ARCHIVE 1 STARTED", "f3 ARCHIVE 1 STARTED",
		"g ARCHIVE 1 WAITING", "r RESTORE 1 SUCCEED", "f1 CANCEL 1 WAITING",
	}
	e.wantRequests(log...)
	e.wantState("f1", stateExists)

	e.timeOut("ARCHIVE", files...)
	c.waitDone(e, "g")
	e.timeOut("CANCEL", "f1") // came too late, and nobody answers it
	e.wantState("g", stateArchived)
	for _, rel := range files {
		e.wantState(rel, stateExists)
		e.hsm("archive", rel)
		e.wantState(rel, stateArchived)
		e.wantBlob(rel, content)
	}
}

// TestOneMountIsOneAgent: the kernel lets a second copytool in, and takes both
// out when one of them ends. Only the lock of the first keeps ours from that.
func TestOneMountIsOneAgent(t *testing.T) {
	e := newEnv(t, longGrace(testenv.Options{}))
	first := e.startCopytool(e.lustre.Mount())
	p := e.released("f", []byte("content"))
	second := e.startCopytool(e.lustre.Mount(), "--archive-id", "7", "--run-dir", t.TempDir())
	e.wantAgents("archive_id=1 requests=[current:0 ok:1 errors:0]")
	e.lfs("hsm_archive", "--archive", "7", e.write("g", nil))
	e.wantContent("f", []byte("content"))
	e.wantAction(e.path("g"), "ARCHIVE waiting (from 0 to EOF)")
	second.stop()
	e.wantAgents()
	e.lfs("hsm_release", p)
	e.lfs("hsm_restore", p)
	e.wantAction(p, "RESTORE waiting (from 0 to EOF)")
	first.stop()
	e.startCopytool(e.lustre.Mount())
	e.wantContent("f", []byte("content"))
}

// TestTwoMountsAreTwoAgents, one of which serves every archive.
func TestTwoMountsAreTwoAgents(t *testing.T) {
	e := newEnv(t, testenv.Options{Mounts: 2})
	e.startCopytool(e.lustre.Mounts()[0], "--archive-id", "1", "--archive-id", "3")
	e.startCopytool(e.lustre.Mounts()[1], "--archive-id", "any")
	e.wantAgents("archive_id=1,3 requests=[current:0 ok:0 errors:0]", "archive_id=ANY requests=[current:0 ok:0 errors:0]")
	e.lfs("hsm_archive", "--archive", "9", e.write("f", []byte("content")))
	e.lustre.WaitIdle()
	e.wantAgents("archive_id=1,3 requests=[current:0 ok:0 errors:0]", "archive_id=ANY requests=[current:0 ok:1 errors:0]")
	e.wantState("f", "(0x00000009) exists archived, archive_id:9")
}

// TestChangelog: an archive looks like two changes of state, a restore like an
// archive and a release, and a release like nothing of HSM's.
func TestChangelog(t *testing.T) {
	e, _ := start(t)
	content := randomBytes(1000, 1)
	p := e.write("f", content)
	fid := e.fid("f")
	if r := e.lustre.Command("changelog_register", "-n"); r.Code != 0 || r.Stdout != "cl1\n" {
		t.Fatalf("changelog_register: %+v", r)
	}
	for _, step := range []struct {
		what string
		do   func()
		want string
	}{
		{"archive", func() { e.hsm("archive", "f") }, "HSM 0x280, HSM 0x280, HSM 0x0"},
		{"write", func() { e.append("f", []byte("more")) }, "HSM 0x680"},
		{"archive again", func() { e.hsm("archive", "f") }, "HSM 0x280, HSM 0x0"},
		{"release", func() { e.lfs("hsm_release", p) }, "LYOUT 0x0"},
		{"restore", func() { e.wantContent("f", append(content, "more"...)) }, "HSM 0x0, HSM 0x180, HSM 0x80"},
		{"set", func() { e.lfs("hsm_set", "--norelease", p) }, "HSM 0x280"},
		{"remove", func() { e.hsm("remove", "f") }, "HSM 0x680, HSM 0x280, HSM 0x200"}, // the first is ours, to keep it from being released
		{"archive of what has no blob", func() {
			e.lustre.Fault("read", "errno=ENOTDIR", "count=1")
			e.hsm("archive", "f")
		}, "HSM 0x280, HSM 0x14"},
	} {
		step.do()
		e.lustre.WaitIdle()
		var got []string
		for line := range strings.Lines(e.lfs("changelog", "lustre-MDT0000")) {
			w := strings.Fields(line)
			if kind := w[1][2:]; w[5] == "t="+fid && (kind == "HSM" || kind == "LYOUT") {
				got = append(got, kind+" "+w[4])
			}
		}
		if text := strings.Join(got, ", "); text != step.want {
			t.Errorf("%s: changelog %s, want %s", step.what, text, step.want)
		}
		e.lfs("changelog_clear", "lustre-MDT0000", "cl1", "0")
	}
}

// TestRestartOfTheCoordinator with an archive under way: it is lost, and nobody
// is told before the timeout. The copytool is listed again by itself.
func TestRestartOfTheCoordinator(t *testing.T) {
	e := newEnv(t, longGrace(testenv.Options{}))
	c := e.startCopytool(e.lustre.Mount())
	content := randomBytes(1000, 1)
	p := e.write("f", content)
	h := e.gate.Hold(isPutOf("f"))
	e.lfs("hsm_archive", p)
	<-h.Caught
	e.command("restart-coordinator")
	e.wantAction(p, "ARCHIVE running (18446744073709551615 bytes moved)")
	e.wantAgents("archive_id=1 requests=[current:0 ok:0 errors:0]")
	h.Release()
	c.waitLog("msg=\"action failed\"", "op=ARCHIVE", e.fid("f"), "code=Forgotten")
	e.wantRequests("f ARCHIVE 1 STARTED")
	e.wantState("f", stateExists)
	e.lfs("hsm_archive", e.write("g", content))
	c.waitDone(e, "g")

	e.timeOut("ARCHIVE", "f")
	e.wantRequests("f ARCHIVE 1 CANCELED", "g ARCHIVE 1 SUCCEED")
	e.hsm("archive", "f")
	e.wantState("f", stateArchived)
	e.wantBlob("f", content)
}

// TestCoordinatorComesBackStopped: enabled without -P, it is off after a
// restart, and turns away the copytools that come back. Ours comes again.
func TestCoordinatorComesBackStopped(t *testing.T) {
	e := newEnv(t, testenv.Options{Params: map[string]string{"mdt.*.hsm_control": "shutdown"}})
	e.lustre.SetParam("mdt.*.hsm_control", "enabled")
	c := e.startCopytool(e.lustre.Mount(), "--renew-interval", "500ms")
	e.command("restart-coordinator")
	e.wantParams("mdt.*.hsm_control", "mdt.lustre-MDT0000.hsm_control=stopped")
	c.waitLog("nothing may come from the coordinator", "set_param -P mdt.*.hsm_control=enabled")
	e.lustre.SetParam("mdt.*.hsm_control", "enabled")
	e.comesBack()
}

// TestShutdownForgetsTheAgents, while disabled does not. They are not told, and
// find out.
func TestShutdownForgetsTheAgents(t *testing.T) {
	e, _ := start(t, "--renew-interval", "500ms")
	e.lustre.SetParam("mdt.*.hsm_control", "disabled")
	p := e.write("f", []byte("content"))
	e.lfs("hsm_archive", p)
	e.wantAction(p, "ARCHIVE waiting (from 0 to EOF)")
	e.lustre.SetParam("mdt.*.hsm_control", "enabled")
	e.lustre.WaitIdle()
	e.wantState("f", stateArchived)

	e.lustre.SetParam("mdt.*.hsm_control", "shutdown")
	e.wantParams("mdt.*.hsm_control", "mdt.lustre-MDT0000.hsm_control=stopped")
	q := e.write("g", nil)
	want := testenv.Result{Stderr: "Cannot send HSM request (use of " + q + "): Resource temporarily unavailable\n", Code: int(syscall.EAGAIN)}
	if r := e.lustre.Lfs("hsm_archive", q); r != want {
		t.Errorf("hsm_archive: %+v, want %+v", r, want)
	}
	e.wantAgents()
	e.lustre.SetParam("mdt.*.hsm_control", "enabled")
	e.comesBack()
}

// comesBack asks for something that only a copytool can do that has registered again.
func (e *env) comesBack() {
	e.t.Helper()
	e.archived("later", []byte("content"))
	e.wantAgents("archive_id=1 requests=[current:0 ok:1 errors:0]")
}

// TestRenewalLosesNothing: the registration is renewed all the time, while actions
// come and go, and each is done once.
func TestRenewalLosesNothing(t *testing.T) {
	e := newEnv(t, longGrace(testenv.Options{}))
	c := e.startCopytool(e.lustre.Mount(), "--renew-interval", "100ms")
	const n = 300
	var paths []string
	for i := range n {
		paths = append(paths, e.write(fmt.Sprintf("f%d", i), randomBytes(100, byte(i))))
	}
	for _, p := range paths {
		e.lfs("hsm_archive", p)
	}
	e.lustre.WaitIdle()
	e.wantAgents(fmt.Sprintf("archive_id=1 requests=[current:0 ok:%d errors:0]", n))
	for i := range n {
		e.wantState(fmt.Sprintf("f%d", i), stateArchived)
	}
	c.stop()
	e.wantAgents()
	if done := c.count("action done", "op=ARCHIVE", "code=OK"); done != n {
		t.Errorf("%d archives were done, want %d", done, n)
	}
	if strings.Contains(strings.Join(c.log(), "\n"), "action failed") {
		t.Error("some failed")
	}
}

// TestRequestsSurviveRestart: what waits is still asked for when everything
// has been restarted, in the same words.
func TestRequestsSurviveRestart(t *testing.T) {
	e := newEnv(t, longGrace(testenv.Options{}))
	content := randomBytes(1000, 1)
	c := e.startCopytool(e.lustre.Mount())
	p := e.released("r", content)
	c.stop()
	e.lfs("hsm_archive", "--data", "tag", e.write("f", content))
	e.lfs("hsm_restore", p)
	before := e.lustre.GetParam("mdt.*.hsm.actions")
	e.lustre.Restart()
	if after := e.lustre.GetParam("mdt.*.hsm.actions"); after != before {
		t.Errorf("hsm.actions was\n%sand is\n%s", before, after)
	}
	e.startCopytool(e.lustre.Mount())
	e.lustre.WaitIdle()
	e.wantRequests("r ARCHIVE 1 SUCCEED", "f ARCHIVE 1 SUCCEED", "r RESTORE 1 SUCCEED")
	e.wantContent("r", content)
	e.wantBlob("f", content)
}

func (e *env) command(args ...string) {
	e.t.Helper()
	if r := e.lustre.Command(args...); r.Code != 0 {
		e.t.Fatalf("%q: %s", args, r.Stderr)
	}
}
