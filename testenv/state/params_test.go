package state

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
)

const fresh = `mdt.lustre-MDT0000.hsm.active_request_timeout=3600
mdt.lustre-MDT0000.hsm.archive_count=0
mdt.lustre-MDT0000.hsm.default_archive_id=1
mdt.lustre-MDT0000.hsm.grace_delay=60
mdt.lustre-MDT0000.hsm.loop_period=10
mdt.lustre-MDT0000.hsm.max_requests=3
mdt.lustre-MDT0000.hsm.remove_archive_on_last_unlink=0
mdt.lustre-MDT0000.hsm.remove_count=0
mdt.lustre-MDT0000.hsm.restore_count=0
mdt.lustre-MDT0000.hsm.actions=
mdt.lustre-MDT0000.hsm.active_requests=
mdt.lustre-MDT0000.hsm.agents=
mdt.lustre-MDT0000.hsm.group_request_mask=RESTORE
mdt.lustre-MDT0000.hsm.other_request_mask=RESTORE
mdt.lustre-MDT0000.hsm.policy=NonBlockingRestore [NoRetryAction]
mdt.lustre-MDT0000.hsm.user_request_mask=RESTORE
`

func TestGetParam(t *testing.T) {
	w := openWorld(t, t.TempDir(), nil)
	for pattern, want := range map[string]string{
		"mdt.*.hsm.*":                   fresh,
		"mdt.*.hsm_control":             "mdt.lustre-MDT0000.hsm_control=stopped\n",
		"mdt/lustre-MDT0000/hsm/agents": "mdt.lustre-MDT0000.hsm.agents=\n",
		"mdd.*.changelog_mask":          "mdd.lustre-MDT0000.changelog_mask=MARK \n",
		"mdd.*.changelog_users":         "mdd.lustre-MDT0000.changelog_users=\ncurrent_index: 0\nID                            index (idle) mask\n",
		"*.*.hsm.loop_*":                "mdt.lustre-MDT0000.hsm.loop_period=10\n",
	} {
		got, err := w.GetParam(pattern)
		if err != nil || got != want {
			t.Errorf("%s: %v\n%s\nwant:\n%s", pattern, err, got, want)
		}
	}
}

func TestParamErrors(t *testing.T) {
	w := openWorld(t, t.TempDir(), nil)
	for assignment, want := range map[string]string{
		"mdt.*.hsm_control=nonsense": "error: set_param: setting /sys/fs/lustre/mdt/lustre-MDT0000/hsm_control=nonsense: Invalid argument\n" +
			"error: set_param: setting 'mdt/*/hsm_control'='nonsense': Invalid argument",
		"mdt.*.hsm.nothing=1":                       "error: set_param: param_path 'mdt/*/hsm/nothing': No such file or directory",
		"mdt.*.hsm.max_requests":                    "error: set_param: setting 'mdt.*.hsm.max_requests': Invalid argument",
		"mdt.*.hsm.max_requests=0":                  "",
		"mdt.*.hsm.loop_period=-1":                  "",
		"mdt.*.hsm.loop_period=soon":                "",
		"mdt.*.hsm.agents=none":                     "",
		"mdt.*.hsm.policy=+XYZ":                     "",
		"mdt.*.hsm.user_request_mask=READ":          "",
		"mdt.*.hsm.default_archive_id=0":            "",
		"mdd.*.changelog_mask=NOTHING":              "",
		"mdt.*.hsm.remove_archive_on_last_unlink=2": "",
		"mdd.*.changelog_gc=x":                      "",
	} {
		_, err := w.SetParam(assignment, false)
		var perr *ParamError
		if !errors.As(err, &perr) || perr.Errno == 0 || want != "" && perr.Error() != want {
			t.Errorf("%s:\n%v\nwant:\n%s", assignment, err, want)
		}
	}
	_, err := w.GetParam("mdt.*.hsm.nothing")
	w.is(err, syscall.ENOENT)
	if text, _ := w.GetParam("mdt.*.hsm.*"); text != fresh {
		t.Errorf("something changed:\n%s", text)
	}
	if _, err := Open(Options{Back: t.TempDir(), Params: map[string]string{"mdt.*.nothing": "1"}}); err == nil {
		t.Error("an unknown initial tunable is accepted")
	}
	if _, err := Open(Options{Back: t.TempDir(), Params: map[string]string{"mdt.*.hsm_control": "x"}}); err == nil {
		t.Error("a bad initial value is accepted")
	}
}

func TestInitialShutdown(t *testing.T) {
	w := openWorld(t, t.TempDir(), map[string]string{"mdt.*.hsm_control": "shutdown"})
	if got := w.param("mdt.*.hsm_control"); got != "stopped" {
		t.Errorf("hsm_control is %s", got)
	}
}

func TestSetParam(t *testing.T) {
	w := openWorld(t, t.TempDir(), nil)
	for _, c := range []struct{ assignment, pattern, want string }{
		{"mdt.*.hsm.max_requests=10", "mdt.*.hsm.max_requests", "10"},
		{"mdt.*.hsm.loop_period=250ms", "mdt.*.hsm.loop_period", "250ms"},
		{"mdt.*.hsm.loop_period=2s", "mdt.*.hsm.loop_period", "2"},
		{"mdt.*.hsm.policy=+NBR", "mdt.*.hsm.policy", "[NonBlockingRestore] [NoRetryAction]"},
		{"mdt.*.hsm.policy=-NoRetryAction", "mdt.*.hsm.policy", "[NonBlockingRestore] NoRetryAction"},
		{"mdt.*.hsm.policy=NRA", "mdt.*.hsm.policy", "NonBlockingRestore [NoRetryAction]"},
		{"mdt.*.hsm.user_request_mask=ARCHIVE REMOVE", "mdt.*.hsm.user_request_mask", "ARCHIVE REMOVE"},
		{"mdt.*.hsm.user_request_mask=+CANCEL -ARCHIVE", "mdt.*.hsm.user_request_mask", "REMOVE CANCEL"},
		{"mdt.*.hsm.user_request_mask=", "mdt.*.hsm.user_request_mask", ""},
		{"mdd.*.changelog_mask=HSM,CREAT", "mdd.*.changelog_mask", "MARK CREAT HSM "},
		{"mdd.*.changelog_max_idle_time=5", "mdd.*.changelog_max_idle_time", "5"},
	} {
		out, err := w.SetParam(c.assignment, false)
		w.ok(err)
		name, value, _ := strings.Cut(c.assignment, "=")
		if want := strings.Replace(name, "*", "lustre-MDT0000", 1) + "=" + value + "\n"; out != want {
			t.Errorf("%s prints %q", c.assignment, out)
		}
		if got := w.param(c.pattern); got != c.want {
			t.Errorf("after %s: %q, want %q", c.assignment, got, c.want)
		}
	}
	if out, err := w.SetParam("mdt.*.hsm.max_requests=4", true); out != "" || err != nil {
		t.Errorf("set_param -P prints %q, %v", out, err)
	}
}

func TestLoopPeriodTakesEffectAtOnce(t *testing.T) {
	inBubble(t, with("mdt.*.hsm.loop_period", "1000"), func(w *world) {
		w.tool(1).archived("f", "x")
		w.set("mdt.*.hsm.grace_delay=1")
		w.set("mdt.*.hsm.loop_period=2")
		w.sleep("5s")
		w.wantStatuses("")
	})
}

func TestTextOfRequests(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1, 3)
		big := w.file("big", "x")
		w.archiveReq(big)
		it := c.mustNext(1)[0] // the bubble's clock starts at 2000-01-01, and so do cookies
		line := "lrh=[type=10680000 len=136 idx=1/1] fid=[0x200000401:0x1:0x0] dfid=[0x200000401:0x1:0x0] compound/cookie=0x0/0x386d4381 action=ARCHIVE archive#=1 flags=0x0 extent=0x0-0xffffffffffffffff gid=0x0 datalen=0 status="
		if got := w.param("mdt.*.hsm.actions"); got != line+"STARTED data=[]" {
			t.Errorf("actions=%s", got)
		}
		w.ok(w.Progress(Root, Progress{FID: big, Cookie: it.Cookie, Extent: Extent{0, 6291456}}))
		want := "fid=[0x200000401:0x1:0x0] dfid=[0x200000401:0x1:0x0] compound/cookie=0x0/0x386d4381 action=ARCHIVE archive#=1 flags=0x0 extent=0x0-0xffffffffffffffff gid=0x0 data=[] canceled=0 uuid=" + w.uuid + " done=6291456"
		if got := w.param("mdt.*.hsm.active_requests"); got != want {
			t.Errorf("active_requests=%s", got)
		}
		if got := w.param("mdt.*.hsm.agents"); got != "uuid="+w.uuid+" archive_id=1,3 requests=[current:1 ok:0 errors:0]" {
			t.Errorf("agents=%s", got)
		}
		if got := w.param("mdt.*.hsm.archive_count"); got != "1" {
			t.Errorf("archive_count=%s", got)
		}
		other := w.file("other", "x")
		w.ok(w.Request(Root, Request{Action: UserArchive, ArchiveID: ^uint32(0), Data: []byte("hello, world!"), Items: []RequestItem{{other, WholeFile}}}))
		synctest.Wait()
		text, err := w.GetParam("mdt.*.hsm.actions")
		w.ok(err)
		second := "lrh=[type=10680000 len=152 idx=1/2] fid=[0x200000401:0x2:0x0] dfid=[0x200000401:0x2:0x0] compound/cookie=0x0/0x386d4382 action=ARCHIVE archive#=-1 flags=0x0 extent=0x0-0xffffffffffffffff gid=0x0 datalen=13 status=WAITING data=[68656C6C6F]"
		if text != "mdt.lustre-MDT0000.hsm.actions=\n"+line+"STARTED data=[]\n"+second+"\n" {
			t.Errorf("two actions:\n%s", text)
		}
		c.do(it)
		c.Unregister()
		w.tool()
		synctest.Wait() // until it has been sent the second
		if got := w.param("mdt.*.hsm.agents"); got != "uuid="+w.uuid+" archive_id=ANY requests=[current:1 ok:0 errors:0]" {
			t.Errorf("agents=%s", got)
		}
	})
}

// The dfid of a restore changes in active_requests when it is bound, and in
// actions when it ends.
func TestTextOfARestore(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := c.released("f", "x")
		w.reader(f)
		h, it := c.volatile(c.mustNext(1)[0])
		defer h.Release()
		w.ok(w.Progress(Root, Progress{FID: it.DFID, Cookie: it.Cookie}))
		if got := w.param("mdt.*.hsm.active_requests"); !strings.Contains(got, "fid="+f.String()+" dfid="+it.DFID.String()) || !strings.Contains(got, "flags=0x4") {
			t.Errorf("active_requests=%s", got)
		}
		if got := w.param("mdt.*.hsm.actions"); strings.Contains(got, it.DFID.String()) {
			t.Errorf("actions while it runs=%s", got)
		}
		if got := w.param("mdt.*.hsm.restore_count"); got != "1" {
			t.Errorf("restore_count=%s", got)
		}
		it.FID = it.DFID
		w.ok(c.end(it, 0, 0))
		if got := w.param("mdt.*.hsm.actions"); !strings.Contains(got, "dfid="+it.DFID.String()) {
			t.Errorf("actions=%s", got)
		}
	})
}
