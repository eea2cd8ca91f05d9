package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"lhsm-azblob/llapi"
	"lhsm-azblob/testenv"
)

// These tests type commands at a stand-in and compare what comes with what a
// real Lustre 2.17 printed. With STANDIN_REAL_LFS they check the real lfs.

// user owns a file in some of them; other owns none.
const user, other = 1000, 1001

// session is a shell of root's in a directory of the file system.
type session struct {
	*testing.T
	lustre *testenv.Lustre
	tool   *tool
}

func newSession(t *testing.T) *session {
	t.Helper()
	s := &session{T: t, lustre: testenv.StartLustre(t, testenv.Options{})}
	t.Setenv("LUSTRE_MOUNT", s.lustre.Mount())
	// This process is the copytool, not what is tested.
	t.Setenv(llapi.LibraryVariable, testenv.Library(t))
	s.ok(os.Mkdir(s.lustre.Path("d"), 0o777))
	s.ok(os.Chmod(s.lustre.Path("d"), 0o777))
	t.Chdir(s.lustre.Path("d"))
	return s
}

func (s *session) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *session) write(name, content string) {
	s.Helper()
	s.ok(os.WriteFile(name, []byte(content), 0o644))
}

// lfs runs a command line and wants exactly this output and exit status;
// standard error comes after standard output.
func (s *session) lfs(line, want string, code int) {
	s.Helper()
	s.check(line, s.lustre.Lfs(strings.Fields(line)...), want, code)
}

func (s *session) lfsAs(uid int, line, want string, code int) {
	s.Helper()
	s.check(fmt.Sprintf("[%d] %s", uid, line), s.lustre.LfsAs(uid, strings.Fields(line)...), want, code)
}

func (s *session) check(line string, got testenv.Result, want string, code int) {
	s.Helper()
	if got.Stdout+got.Stderr != want || got.Code != code {
		s.Errorf("lfs %s\ngot  %q exit %d\nwant %q exit %d", line, got.Stdout+got.Stderr, got.Code, want, code)
	}
}

// serve starts a copytool that does what it is told, one action at a time.
func (s *session) serve() {
	s.Helper()
	ct, err := llapi.Register(s.lustre.Mount(), 1)
	s.ok(err)
	s.tool = &tool{T: s.T, ct: ct, content: map[llapi.FID]string{}}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	wg.Go(func() { s.tool.run(ctx) })
	s.Cleanup(func() {
		cancel()
		wg.Wait()
		s.ok(ct.Close())
	})
}

// tool is a copytool that keeps the data in memory.
type tool struct {
	*testing.T
	ct      *llapi.Copytool
	content map[llapi.FID]string
}

func (c *tool) run(ctx context.Context) {
	for {
		list, err := c.ct.Recv(ctx)
		if errors.Is(err, context.Canceled) {
			return
		}
		if err != nil {
			c.Errorf("Recv: %v", err)
			return
		}
		for _, item := range list.Items {
			if err := c.do(item); err != nil {
				c.Errorf("%v: %v", item.Action, err)
			}
		}
	}
}

func (c *tool) do(item llapi.ActionItem) error {
	if item.Action == llapi.ActionCancel {
		return nil
	}
	a, err := c.ct.Begin(item, 0, 0)
	if err != nil {
		return errors.Join(err, c.ct.Fail(item, 0, syscall.EIO))
	}
	return errors.Join(c.copy(item, a), a.End(llapi.WholeFile, 0, 0))
}

func (c *tool) copy(item llapi.ActionItem, a *llapi.CopyAction) error {
	if item.Action == llapi.ActionRemove {
		return nil
	}
	f, err := a.File()
	if err != nil {
		return err
	}
	defer f.Close()
	if item.Action == llapi.ActionRestore {
		_, err = f.WriteString(c.content[item.FID])
		return err
	}
	buf := make([]byte, 1<<20)
	n, _ := f.ReadAt(buf, 0) // to the end
	c.content[item.FID] = string(buf[:n])
	return nil
}

func TestLife(t *testing.T) {
	s := newSession(t)
	s.write("f", "content")
	s.lfs("hsm_state f", "f: (0x00000000)\n", 0)
	s.lfs("hsm_action f", "f: NOOP\n", 0)
	s.lfs("hsm_archive f", "", 0)
	s.lfs("hsm_action f", "f: ARCHIVE waiting (from 0 to EOF)\n", 0)
	s.lfs("hsm_state f", "f: (0x00000000)\n", 0)
	s.serve()
	s.lustre.WaitIdle()
	s.lfs("hsm_action f", "f: NOOP\n", 0)
	s.lfs("hsm_state f", "f: (0x00000009) exists archived, archive_id:1\n", 0)

	s.write("f", "changed")
	s.lfs("hsm_state f", "f: (0x0000000b) exists dirty archived, archive_id:1\n", 0)
	s.lfs("hsm_release f", "Cannot send HSM request (use of f): Operation not permitted\n", 1)
	s.lfs("hsm_restore f", "Cannot send HSM request (use of f): Operation not permitted\n", 1)
	s.lfs("hsm_archive f", "", 0)
	s.lustre.WaitIdle()
	s.lfs("hsm_release f", "", 0)
	s.lfs("hsm_state f", "f: (0x0000000d) released exists archived, archive_id:1\n", 0)
	s.lfs("hsm_release f", "", 0)
	s.lfs("hsm_archive f", "", 0)
	s.lfs("hsm_remove f", "Cannot send HSM request (use of f): Operation not permitted\n", 1)
	s.lfs("data_version f", "0\n", 0)

	s.lfs("hsm_restore f", "", 0)
	s.lustre.WaitIdle()
	s.lfs("hsm_state f", "f: (0x00000009) exists archived, archive_id:1\n", 0)
	if got, err := os.ReadFile("f"); string(got) != "changed" {
		t.Errorf("restored %q, %v", got, err)
	}
	s.lfs("hsm_remove f", "", 0)
	s.lustre.WaitIdle()
	s.lfs("hsm_state f", "f: (0x00000000), archive_id:1\n", 0)

	// A reader brings a released file back by itself.
	s.lfs("hsm_archive f", "", 0)
	s.lustre.WaitIdle()
	s.lfs("hsm_release f", "", 0)
	if got, err := os.ReadFile("f"); string(got) != "changed" {
		t.Errorf("read %q, %v", got, err)
	}
	s.lfs("hsm_state f nofile f", "f: (0x00000009) exists archived, archive_id:1\nf: (0x00000009) exists archived, archive_id:1\n"+
		"lfs hsm_state: get HSM state for 'nofile' failed: No such file or directory\n", 2)
}

func TestRunning(t *testing.T) {
	s := newSession(t)
	s.write("f", "content")
	ct, err := llapi.Register(s.lustre.Mount())
	s.ok(err)
	s.lfs("hsm_archive f", "", 0)
	list, err := ct.Recv(t.Context())
	s.ok(err)
	a, err := ct.Begin(list.Items[0], -1, 0)
	s.ok(err)
	s.lfs("hsm_state f", "f: (0x00000001) exists, archive_id:1\n", 0)
	s.lfs("hsm_action f", "f: ARCHIVE running (0 bytes moved)\n", 0)
	s.ok(a.Progress(llapi.Extent{Length: 4}, 7))
	s.lfs("hsm_action f", "f: ARCHIVE running (4 bytes moved)\n", 0)
	s.write("f", "changed")
	s.lfs("hsm_state f", "f: (0x00000003) exists dirty, archive_id:1\n", 0)
	s.lfs("hsm_cancel f", "", 0)
	if err := a.Progress(llapi.Extent{}, 0); !errors.Is(err, syscall.ECANCELED) {
		// The cancel is dispatched, not done, when the command returns.
		if _, err := ct.Recv(t.Context()); err != nil {
			t.Error(err)
		}
	}
	s.ok(a.End(llapi.Extent{}, 0, syscall.ECANCELED))
	s.lustre.WaitIdle()
	s.lfs("hsm_state f", "f: (0x00000003) exists dirty, archive_id:1\n", 0)
	s.ok(ct.Close())
}

func TestFlags(t *testing.T) {
	s := newSession(t)
	s.serve()
	for _, name := range []string{"na", "nr", "d"} {
		s.write(name, "content")
	}
	s.lfs("hsm_set --noarchive na", "", 0)
	s.lfs("hsm_state na", "na: (0x00000020) never_archive\n", 0)
	s.lfs("hsm_archive na", "Cannot send HSM request (use of na): Operation not permitted\n", 1)
	s.lfs("hsm_clear --noarchive na", "", 0)
	s.lfs("hsm_state na", "na: (0x00000000)\n", 0)

	s.lfs("hsm_archive nr d", "", 0)
	s.lustre.WaitIdle()
	s.lfs("hsm_set --norelease nr", "", 0)
	s.lfs("hsm_state nr", "nr: (0x00000019) exists archived never_release, archive_id:1\n", 0)
	s.lfs("hsm_release nr", "Cannot send HSM request (use of nr): Operation not permitted\n", 1)

	s.lfs("hsm_set --dirty --lost d", "", 0)
	s.lfs("hsm_state d", "d: (0x0000004b) exists dirty archived lost_from_hsm, archive_id:1\n", 0)
	s.lfs("hsm_release d", "Cannot send HSM request (use of d): Operation not permitted\n", 1)
	s.lfs("hsm_archive --archive 2 d", "Cannot send HSM request (use of d): Operation not permitted\n", 1)
	s.lfs("hsm_archive d", "", 0)
	s.lustre.WaitIdle()
	s.lfs("hsm_state d", "d: (0x00000009) exists archived, archive_id:1\n", 0)
	s.lfs("hsm_archive --archive 2 d", "", 0)
	s.lfs("hsm_set --exists --archived -i 5 na", "", 0)
	s.lfs("hsm_state na", "na: (0x00000009) exists archived, archive_id:5\n", 0)
	s.lfs("hsm_set --dirty --norelease nofile", "lfs hsm_set: change hsm flags for 'nofile' failed: No such file or directory\n", 2)
}

func TestPlainUser(t *testing.T) {
	s := newSession(t)
	s.serve()
	s.write("al", "content")
	s.ok(os.Chown("al", user, user))
	s.write("a", "content")
	const denied = "Cannot send HSM request (use of %s): Operation not permitted\n"
	s.lfsAs(user, "hsm_state al", "al: (0x00000000)\n", 0)
	s.lfsAs(user, "hsm_archive al", fmt.Sprintf(denied, "al"), 1)
	s.lfsAs(user, "hsm_archive a", fmt.Sprintf(denied, "a"), 1)
	s.lfsAs(user, "hsm_action al", "al: NOOP\n", 0)
	s.lfsAs(user, "hsm_set --dirty al", "lfs hsm_set: change hsm flags for 'al' failed: Invalid argument\n", 22)
	s.lfs("hsm_archive al a", "", 0)
	s.lustre.WaitIdle()
	s.lfsAs(other, "hsm_release a", "Cannot send HSM request (use of a): Permission denied\n", 13)
	s.write("closed", "content")
	s.ok(os.Chmod("closed", 0))
	s.lfsAs(other, "hsm_archive closed", fmt.Sprintf(denied, "closed"), 1) // the FID is no secret
	s.lfsAs(user, "hsm_release al", "", 0)
	s.lfsAs(user, "hsm_state al", "al: (0x0000000d) released exists archived, archive_id:1\n", 0)
	s.lfsAs(user, "hsm_archive al", fmt.Sprintf(denied, "al"), 1)
	s.lfsAs(user, "hsm_restore al", "", 0)
	s.lustre.WaitIdle()
	s.lfsAs(user, "hsm_state al", "al: (0x00000009) exists archived, archive_id:1\n", 0)
	s.lfsAs(user, "hsm_remove al", fmt.Sprintf(denied, "al"), 1)
	s.lfsAs(user, "hsm_cancel al", "", 0)
	s.lfsAs(user, "hsm_set --dirty al", "", 0)
	s.lfsAs(user, "hsm_clear --archived al", "lfs hsm_clear: change hsm flags for 'al' failed: Operation not permitted\n", 1)
	s.lfsAs(user, "hsm_set --noarchive al", "", 0)
	s.lfsAs(user, "hsm_set --exists al", "lfs hsm_set: change hsm flags for 'al' failed: Operation not permitted\n", 1)
	s.lfsAs(other, "hsm_state al", "al: (0x0000002b) exists dirty archived never_archive, archive_id:1\n", 0)
}

func TestRequestErrors(t *testing.T) {
	s := newSession(t)
	s.write("f", "content")
	s.ok(os.Mkdir("dir", 0o755))
	s.lfs("hsm_state dir", "lfs hsm_state: get HSM state for 'dir' failed: Inappropriate ioctl for device\n", 25)
	s.lfs("hsm_action dir", "lfs hsm_action: get hsm action for 'dir' failed: Inappropriate ioctl for device\n", 25)
	s.lfs("hsm_archive f /proc/self/status", "All files should be on the same filesystem: /proc/self/status\n", 22)
	s.lfs("hsm_release f", "Cannot send HSM request (use of f): Operation not permitted\n", 1)
	for _, quiet := range []string{"hsm_restore f", "hsm_remove f", "hsm_cancel f"} {
		s.lfs(quiet, "", 0)
	}
	s.wantActions("")

	var many []string
	for i := range 53 {
		name := fmt.Sprintf("many%d", i)
		s.write(name, "x")
		many = append(many, name)
	}
	s.lfs("hsm_archive "+strings.Join(many, " "), "Cannot send HSM request (use of many0): Argument list too long\n", 7)
	s.wantActions("")
	s.write("list", strings.Join(many[1:], "\n"))
	s.lfs("hsm_archive --filelist list", "", 0)
	if n := strings.Count(s.lustre.GetParam("mdt.*.hsm.actions"), "status=WAITING"); n != 52 {
		t.Errorf("%d requests recorded, want 52", n)
	}

	s.lustre.SetParam("mdt.*.hsm_control", "shutdown")
	s.lfs("hsm_archive f", "Cannot send HSM request (use of f): Resource temporarily unavailable\n", 11)
	s.lfs("hsm_state f", "f: (0x00000000)\n", 0)
	s.lfs("hsm_action f", "f: NOOP\n", 0)
}

// wantActions wants the requests on record to be such, in the words that are
// the requester's choice.
func (s *session) wantActions(want string) {
	s.Helper()
	var got []string
	for _, m := range regexp.MustCompile(`action=(\w+) archive#=(-?\d+) .* data=\[(\w*)\]`).FindAllStringSubmatch(s.lustre.GetParam("mdt.*.hsm.actions"), -1) {
		got = append(got, strings.TrimSpace(strings.Join(m[1:], " ")))
	}
	if text := strings.Join(got, ", "); text != want {
		s.Errorf("requests %q, want %q", text, want)
	}
}

func TestRequestArguments(t *testing.T) {
	s := newSession(t)
	s.write("f", "content")
	fid, err := llapi.PathToFID("f")
	s.ok(err)
	for _, id := range []string{"33", "0", "abc", "-1"} {
		s.lfs("hsm_archive --archive "+id+" f", "", 0)
	}
	s.lfs("hsm_archive --data tag=7 f", "", 0)
	s.wantActions("ARCHIVE 33, ARCHIVE 1, ARCHIVE 1, ARCHIVE -1, ARCHIVE 1 7461673D37")

	s.lustre.SetParam("mdt.*.hsm_control", "purge")
	s.ok(os.Remove("f"))
	s.lfs("hsm_remove --mntpath "+s.lustre.Mount()+" --archive 1 "+fid.String(), "", 0)
	s.lfs("hsm_remove --mntpath "+s.lustre.Mount()+" junk", "hsm: 'junk' is not a valid FID\n", 22)
	s.lfs("hsm_remove --mntpath= "+fid.String(),
		"Could not find path '': No such file or directory\nCannot send HSM request (use of ): No such device\n", 19)
	s.write("empty", "")
	s.lfs("hsm_archive --filelist empty",
		"Could not find path '(null)': Invalid argument\nCannot send HSM request (use of (null)): No such device\n", 19)
	if actions := s.lustre.GetParam("mdt.*.hsm.actions"); !regexp.MustCompile(`fid=` + regexp.QuoteMeta(fid.String()) + `.* action=REMOVE .*status=WAITING`).MatchString(actions) {
		t.Errorf("no REMOVE of %v in\n%s", fid, actions)
	}
}

func TestFIDCommands(t *testing.T) {
	s := newSession(t)
	mount := s.lustre.Mount()
	s.write("f", "content")
	s.ok(os.Link("f", "g"))
	fid, err := llapi.PathToFID("f")
	s.ok(err)
	dir, err := llapi.PathToFID(".")
	s.ok(err)
	s.lfs("path2fid f", fid.String()+"\n", 0)
	s.lfs("path2fid f nofile g", "f: "+fid.String()+"\ng: "+fid.String()+"\n"+
		"lfs path2fid: cannot get fid for 'nofile': No such file or directory\n", 2)
	s.lfs("path2fid --parents f", dir.String()+"/f\t"+dir.String()+"/g\n", 0)
	s.lfs("fid2path "+mount+" "+fid.String(), mount+"/d/f\n"+mount+"/d/g\n", 0)
	s.lfs("fid2path -c -f "+mount+" "+fid.Bare(), fid.Bare()+" 1 "+mount+"/d/f\n"+fid.Bare()+" 1 "+mount+"/d/g\n", 0)
	s.lfs("fid2path -l 1 "+mount+" "+fid.Bare(), mount+"/d/g\n", 0)
	s.lfs("fid2path -0 "+mount+" "+fid.Bare(), mount+"/d/f\x00"+mount+"/d/g\x00", 0)
	s.lfs("fid2path -n "+mount+" "+fid.Bare(), "f\ng\n", 0)
	s.lfs("fid2path -n -l 1 "+mount+" "+fid.Bare(), "1 g\n", 0)
	s.lfs("fid2path "+mount+" 0x200000007:0x1:0x0", mount+"//\n", 0)
	s.lfs("fid2path "+mount+" junk 0x200000401:0xffff:0x0", "lfs fid2path: invalid FID 'junk'\n"+
		"lfs fid2path: cannot find "+mount+" 0x200000401:0xffff:0x0: No such file or directory\n", 22)

	r := s.lustre.Lfs("data_version", "f")
	if !regexp.MustCompile(`^\d+\n$`).MatchString(r.Stdout) || r.Code != 0 {
		t.Errorf("data_version: %+v", r)
	}
	s.check("data_version -w -s f", s.lustre.Lfs("data_version", "-w", "-s", "f"), r.Stdout, 0)
	s.write("f", "changed")
	if again := s.lustre.Lfs("data_version", "-n", "f"); again.Stdout == r.Stdout {
		t.Errorf("data_version is still %s after a write", again.Stdout)
	}
}

// The real lfs looks for a file system by its name among all mounts of this
// machine, where other tests have theirs; and 2.17 overruns a buffer if the
// mount point's path is longer than the name.
func TestByName(t *testing.T) {
	notTheReal(t)
	s := newSession(t)
	s.write("f", "content")
	s.ok(os.Link("f", "g"))
	fid, err := llapi.PathToFID("f")
	s.ok(err)
	s.lfs("fid2path lustre "+fid.Bare(), "d/f\nd/g\n", 0)
	s.lfs("fid2path lustre 0x200000007:0x1:0x0", "/\n", 0)
	s.lfs("fid2path lustre 0x200000401:0xffff:0x0",
		"lfs fid2path: cannot find lustre 0x200000401:0xffff:0x0: No such file or directory\n", 2)
}

func notTheReal(t *testing.T) {
	t.Helper()
	if os.Getenv("STANDIN_REAL_LFS") != "" {
		t.Skip("the real lfs cannot do this on a stand-in")
	}
}

// The real one reads a device, which a stand-in has not.
func TestChangelogCommands(t *testing.T) {
	notTheReal(t)
	s := newSession(t)
	if r := s.lustre.Command("changelog_register"); r.Code != 0 {
		t.Fatalf("changelog_register: %+v", r)
	}
	s.serve()
	s.write("f", "content")
	fid, err := llapi.PathToFID("f")
	s.ok(err)
	dir, err := llapi.PathToFID(".")
	s.ok(err)
	s.lfs("hsm_archive f", "", 0)
	s.lustre.WaitIdle()
	s.ok(os.Rename("f", "g"))
	s.ok(os.Remove("g"))
	r := s.lustre.Lfs("changelog", "lustre-MDT0000")
	if r.Code != 0 || r.Stderr != "" {
		t.Fatalf("changelog: %+v", r)
	}
	lines := strings.Split(strings.TrimSuffix(r.Stdout, "\n"), "\n")
	at := ` \d\d:\d\d:\d\d\.\d{9} \d{4}\.\d\d\.\d\d `
	for _, want := range []string{
		`01CREAT` + at + `0x0 t=FID ef=0x13 u=0:0 nid=0@lo p=DIR f`,
		`11CLOSE` + at + `0x242 t=FID ef=0x13 u=0:0 nid=0@lo`,
		`16HSM  ` + at + `0x280 t=FID ef=0x13 u=0:0 nid=0@.*`,
		`16HSM  ` + at + `0x0 t=FID ef=0x13 u=0:0 nid=0@lo( p=DIR)?`,
		`08RENME` + at + `0x0 t=\[0:0x0:0x0\] ef=0x13 u=0:0 nid=0@lo p=DIR g s=FID sp=DIR f`,
		`06UNLNK` + at + `0x3 t=FID ef=0x13 u=0:0 nid=0@lo p=DIR g`,
	} {
		want = strings.NewReplacer("FID", regexp.QuoteMeta(fid.String()), "DIR", regexp.QuoteMeta(dir.String())).Replace(want)
		if !regexp.MustCompile(`(?m)^\d+ ` + want + `$`).MatchString(r.Stdout) {
			t.Errorf("no line %s in\n%s", want, r.Stdout)
		}
	}
	s.lfs("changelog lustre-MDT0000 2 3", strings.Join(lines[1:3], "\n")+"\n", 0)
	s.lfs("changelog_clear lustre-MDT0000 cl1 2", "", 0)
	s.lfs("changelog lustre-MDT0000", strings.Join(lines[2:], "\n")+"\n", 0)
	s.lfs("changelog_clear lustre-MDT0000 cl9 0",
		"lfs changelog_clear: cannot purge records for 'cl9': No such file or directory (2)\nchangelog_clear: no changelog user: cl9\n", 2)
	s.lfs("changelog_clear lustre-MDT0000 cl1 9999",
		"lfs changelog_clear: cannot purge records for 'cl1': Invalid argument (22)\nchangelog_clear: record out of range: 9999\n", 22)
	s.lfs("changelog_clear lustre-MDT0000 cl1 0", "", 0)
	s.lfs("changelog lustre-MDT0000", "", 0)
}
