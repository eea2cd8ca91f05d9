package acceptance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv"
)

// What a copytool may keep, as /proc shows it.
const (
	agentCaps = 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_DAC_READ_SEARCH | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_CHOWN | 1<<unix.CAP_FOWNER
	noCaps    = 0
)

// TestConfined serves every kind of action on a file that belongs to somebody
// else and that only they may read, and then looks at each thread of the
// copytool and of its keeper: no capability is left that the work did not need,
// and no way to get one.
func TestConfined(t *testing.T) {
	e, c := start(t)
	e.directory("private")
	content := randomBytes(3<<20, 1)
	p := e.write("private/f", content)
	for path, mode := range map[string]os.FileMode{p: 0o400, filepath.Dir(p): 0o700} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, 1001, 1001); err != nil {
			t.Fatal(err)
		}
	}
	e.hsm("archive", "private/f")
	e.lfs("hsm_release", p)
	e.hsm("restore", "private/f")
	e.wantContent("private/f", content)
	e.wantState("private/f", stateArchived)
	e.wantOwner(p, 1001, 0o400)
	e.hsm("remove", "private/f")
	e.wantNoBlob("private/f")
	c.waitLog("op=REMOVE", "code=OK")

	wantConfined(t, c.cmd.Process.Pid, agentCaps)
	wantConfined(t, c.keeperPID(), noCaps) // its bounds are its parent's
}

func (e *env) wantOwner(path string, id uint32, mode os.FileMode) {
	e.t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		e.t.Fatal(err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || st.Uid != id || st.Gid != id || info.Mode() != mode {
		e.t.Errorf("%s: owner %d:%d, mode %v, want %d:%d and %v", path, st.Uid, st.Gid, info.Mode(), id, id, mode)
	}
}

// wantConfined looks at all threads of a process.
func wantConfined(t *testing.T, pid int, caps uint64) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) < 2 {
		t.Fatalf("threads of %d: %v, %v", pid, threads, err)
	}
	hex := func(caps uint64) string { return fmt.Sprintf("%016x", caps) }
	for _, name := range threads {
		status := procStatus(t, name)
		for key, want := range map[string]string{
			"CapPrm": hex(caps), "CapEff": hex(caps), "CapInh": hex(noCaps), "CapAmb": hex(noCaps), "CapBnd": hex(agentCaps), "NoNewPrivs": "1",
		} {
			if status[key] != want {
				t.Errorf("%s: %s is %s, want %s", name, key, status[key], want)
			}
		}
	}
}

func procStatus(t *testing.T, name string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	status := map[string]string{}
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(line, ":")
		status[key] = strings.TrimSpace(value)
	}
	return status
}

// keeperPID is the process that the copytool has started.
func (c *copytool) keeperPID() int {
	c.t.Helper()
	pids := c.children()
	if len(pids) != 1 {
		c.t.Fatalf("the copytool's children are %v, and not a keeper", pids)
	}
	return pids[0]
}

// children are the processes that the copytool has started.
func (c *copytool) children() (pids []int) {
	c.t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", c.cmd.Process.Pid))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, name := range lists {
		children, err := os.ReadFile(name)
		if err != nil {
			continue // a thread that has ended
		}
		for text := range strings.FieldsSeq(string(children)) {
			pid, err := strconv.Atoi(text)
			if err != nil {
				c.t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// wantChildrenWithout wants no child to have anything open below a directory.
func (c *copytool) wantChildrenWithout(dir string) {
	c.t.Helper()
	pids := c.children()
	if len(pids) == 0 {
		c.t.Error("the copytool has no keeper")
	}
	for _, pid := range pids {
		links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		if err != nil || len(links) == 0 {
			c.t.Errorf("what child %d has open: %q, %v", pid, links, err)
		}
		for _, link := range links {
			if name, err := os.Readlink(link); err == nil && strings.HasPrefix(name, dir) {
				c.t.Errorf("child %d has %s open", pid, name)
			}
		}
	}
}

// agentCapNames are agentCaps as setpriv knows them.
var agentCapNames = []string{"sys_admin", "dac_read_search", "dac_override", "chown", "fowner"}

// withCaps is a command as root with only these capabilities within reach.
func withCaps(names []string, args ...string) *exec.Cmd {
	bounds := "--bounding-set=-all"
	for _, name := range names {
		bounds += ",+" + name
	}
	return exec.Command("setpriv", append([]string{bounds, "--inh-caps=-all"}, args...)...)
}

// TestEachCapabilityIsAskedFor starts copytools that lack one. What lacks is
// said at the start, and not by an action that fails for no visible reason.
func TestEachCapabilityIsAskedFor(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	cmd := e.copytoolCommand("--check", e.lustre.Mount())
	for i, name := range agentCapNames {
		t.Run(name, func(t *testing.T) {
			e.t = t
			rest := slices.Delete(slices.Clone(agentCapNames), i, i+1)
			code, out := run(t, withCaps(rest, cmd.Args...))
			e.wantOneLine(code, out, 1, "needs CAP_"+strings.ToUpper(name)+";")
		})
	}
	t.Run("all there", func(t *testing.T) {
		if code, out := run(t, withCaps(agentCapNames, cmd.Args...)); code != 0 {
			t.Errorf("exit %d, %q", code, out)
		}
	})
}

// TestMemoryIsPrivate: neither a core nor another process of the same user gets
// at the secrets in memory and environment.
func TestMemoryIsPrivate(t *testing.T) {
	t.Setenv("GOTRACEBACK", "crash") // asks for a core
	_, c := start(t)
	// Of the copytool that would need its capabilities anyway; the keeper has none.
	name := fmt.Sprintf("/proc/%d/environ", c.keeperPID())
	if code, out := run(t, withCaps(nil, "cat", name)); code == 0 || !strings.Contains(out, "Permission denied") {
		t.Errorf("%s can be read: exit %d, %d bytes", name, code, len(out))
	}
	limit := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if err := unix.Prlimit(c.cmd.Process.Pid, unix.RLIMIT_CORE, &limit, nil); err != nil {
		t.Fatal(err)
	}
	c.signal(syscall.SIGQUIT)
	<-c.done
	c.process.Wait()
	if ws, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.Signal() != syscall.SIGABRT || ws.CoreDump() {
		t.Errorf("ended with %v, want SIGABRT and no core", c.cmd.ProcessState)
	}
}
