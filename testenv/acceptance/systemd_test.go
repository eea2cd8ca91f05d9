package acceptance

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv"
)

const systemdPath = "/lib/systemd/systemd"

// A packagedUnit is a unit of ours with what it needs where it looks for it.
type packagedUnit struct {
	name    string            // without @.service
	program string            // empty: the test installs it with the unit
	folder  string            // where the program is installed
	files   map[string]string // in /etc/lhsm-azblob
	dropIn  string            // of the test
}

// systemdScript is the first process of new namespaces, and becomes systemd. It puts
// the program, its configuration and the mount where the packaged unit looks for them,
// and hides the machine's own units. What it and the service write goes into memory:
// over the machine's directories lie others.
const systemdScript = `set -e
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
mkdir -p /run/lock /run/out /run/over /run/systemd/system
mount --bind "$OUT" /run/out
mount -t tmpfs tmpfs /run/over
for dir in etc usr var; do
	mkdir -p /run/over/$dir/upper /run/over/$dir/work
	mount -t overlay overlay -o lowerdir=/$dir,upperdir=/run/over/$dir/upper,workdir=/run/over/$dir/work /$dir
done
for dir in /mnt /etc/systemd/system /usr/lib/systemd/system; do mount -t tmpfs tmpfs $dir; done
mkdir -p /mnt/lustre /etc/lhsm-azblob
mount --bind "$MOUNT" /mnt/lustre
umount -l "$MOUNT"
cp /run/out/etc-lhsm-azblob/* /etc/lhsm-azblob/
cp -r /run/out/units/. /run/systemd/system/
test -z "$PROGRAM" || cp "$PROGRAM" "$FOLDER"/
if [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; then
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
else
	mount -t tmpfs tmpfs /sys/fs/cgroup
	mkdir /sys/fs/cgroup/systemd /sys/fs/cgroup/unified
	mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
	mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
fi
mount --bind "$CONSOLE" /dev/console
export container=test
exec ` + systemdPath + ` --system --unit=multi-user.target --log-level=debug --log-target=console --show-status=no
`

// A serviceManager is a systemd of the test's own, with the packaged unit.
type serviceManager struct {
	*env
	unit string // the instance
	out  string // what both sides see
	pid  int    // of its first process, in our namespace

	mu  sync.Mutex // guards log
	log strings.Builder
}

// openConsole makes the terminal that systemd writes its log to: it takes nothing else,
// but for the kernel's log, of which it writes only a part.
func (m *serviceManager) openConsole() (path string) {
	m.t.Helper()
	f, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { f.Close() })
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		m.t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCGPTN)
	if err != nil {
		m.t.Fatal(err)
	}
	path = fmt.Sprintf("/dev/pts/%d", n)
	other, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY, 0) // so that the log has no end
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { other.Close() })
	go func() { // ends with the process: closing a terminal does not wake its readers
		buf := make([]byte, 64<<10)
		for {
			n, err := f.Read(buf)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.log.Write(buf[:n])
			m.mu.Unlock()
		}
	}()
	return path
}

func (m *serviceManager) systemdLog() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.log.String()
}

// libraryVariable leads the service to the stand-in's library.
const libraryVariable = "LHSM_LIBLUSTREAPI=/etc/lhsm-azblob/mnt-lustre.lib\nGORACE=atexit_sleep_ms=0 halt_on_error=1\n"

// copytoolUnit is the copytool's, with the configuration of the env.
func (e *env) copytoolUnit(dropIn string) packagedUnit {
	return packagedUnit{
		name: "lhsmtool_azblob", program: "./cmd/lhsmtool_azblob", folder: "/usr/local/sbin", dropIn: dropIn,
		files: map[string]string{
			"mnt-lustre.conf": fmt.Sprintf("container_url = %q\nauth = \"shared-key\"\naccount_key_file = \"/etc/lhsm-azblob/mnt-lustre.key\"\nlog_level = \"debug\"\n", e.containerURL),
			"mnt-lustre.env":  libraryVariable,
		},
	}
}

// startSystemd skips the test where there is none.
func startSystemd(t *testing.T, e *env, u packagedUnit) *serviceManager {
	t.Helper()
	if _, err := os.Stat(systemdPath); err != nil {
		t.Skip("no systemd on this machine")
	}
	m := &serviceManager{env: e, unit: u.name + "@mnt-lustre.service", out: t.TempDir()}
	m.writeUnits(u)
	for name, content := range u.files {
		m.put("etc-lhsm-azblob/"+name, content)
	}
	m.copy("etc-lhsm-azblob/mnt-lustre.key", e.keyFile)
	m.copy("etc-lhsm-azblob/mnt-lustre.lib", os.Getenv("LHSM_LIBLUSTREAPI"))
	m.put("init", systemdScript)
	console := m.openConsole()
	cmd := exec.Command("unshare", "--mount", "--pid", "--cgroup", "--fork", "--kill-child=KILL", "sh", filepath.Join(m.out, "init"))
	program := ""
	if u.program != "" {
		program = testenv.Binary(t, u.program)
	}
	cmd.Env = append(os.Environ(), "OUT="+m.out, "CONSOLE="+console, "MOUNT="+e.lustre.Mount(), "PROGRAM="+program, "FOLDER="+u.folder)
	log, err := os.Create(filepath.Join(m.out, "unshare.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	p := testenv.Run(t, cmd)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("systemd: %s%s\nthe service: %s", m.read("unshare.log"), tail(m.systemdLog(), 5000), tail(m.read("log"), 20_000))
		}
	})
	m.waitFor("systemd", func() bool {
		select {
		case <-p.Done():
			t.Fatal("systemd did not start")
		default:
		}
		return m.findFirst(cmd.Process.Pid) && m.isApart() && m.systemctl("is-active", "multi-user.target").Code == 0
	})
	return m
}

// writeUnits takes the unit as it is packaged, and what it refers to.
func (m *serviceManager) writeUnits(u packagedUnit) {
	m.t.Helper()
	file := "units/" + u.name + "@.service"
	if u.program != "" {
		m.copy(file, "../../packaging/"+u.name+"@.service")
	}
	m.put(file+".d/test.conf", "[Service]\nStandardError=append:/run/out/log\n"+u.dropIn)
	for _, name := range []string{"basic", "sysinit", "shutdown", "network-online", "remote-fs", "multi-user"} {
		m.put("units/"+name+".target", "[Unit]\nDefaultDependencies=no\n")
	}
}

func (m *serviceManager) put(name, content string) {
	m.t.Helper()
	path := filepath.Join(m.out, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

func (m *serviceManager) copy(name, from string) {
	m.t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		m.t.Fatal(err)
	}
	m.put(name, string(b))
}

// read is what is in a file, or nothing as yet.
func (m *serviceManager) read(name string) string {
	b, _ := os.ReadFile(filepath.Join(m.out, name)) // not there is empty
	return string(b)
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// findFirst finds the process that unshare has forked.
func (m *serviceManager) findFirst(parent int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", parent, parent))
	if err != nil {
		return false
	}
	m.pid, err = strconv.Atoi(strings.TrimSpace(string(b)))
	return err == nil
}

// isApart tells whether the script has its own /run by now: until then, systemctl would
// ask the systemd of this machine.
func (m *serviceManager) isApart() bool { return m.inside("test", "-e", "/run/out/init").Code == 0 }

// inside runs a command where the service runs.
func (m *serviceManager) inside(args ...string) testenv.Result {
	m.t.Helper()
	return m.insideWithin(patience, args...)
}

func (m *serviceManager) insideWithin(limit time.Duration, args ...string) testenv.Result {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"-t", strconv.Itoa(m.pid), "-m", "-p", "-C"}, args...)...)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		m.t.Fatalf("%q: %v", args, err)
	}
	return testenv.Result{Stdout: strings.TrimSpace(string(out)), Code: cmd.ProcessState.ExitCode()}
}

func (m *serviceManager) systemctl(args ...string) testenv.Result {
	m.t.Helper()
	return m.inside(append([]string{"systemctl"}, args...)...)
}

// do is systemctl for what has to succeed.
func (m *serviceManager) do(verb string) {
	m.t.Helper()
	if r := m.systemctl(verb, m.unit); r.Code != 0 {
		m.t.Fatalf("systemctl %s: exit %d: %s\n%s", verb, r.Code, r.Stdout, m.systemctl("status", m.unit).Stdout)
	}
}

func (m *serviceManager) property(name string) string {
	m.t.Helper()
	return m.systemctl("show", "--value", "-p", name, m.unit).Stdout
}

// waitFor looks until it is so: systemd tells nobody outside what happens in it.
func (m *serviceManager) waitFor(what string, is func() bool) {
	m.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); !is(); {
		select {
		case <-tick.C:
		case <-deadline:
			m.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// signal sends a signal to the service's main process.
func (m *serviceManager) signal(sig string) {
	m.t.Helper()
	if r := m.systemctl("kill", "--kill-whom=main", "--signal="+sig, m.unit); r.Code != 0 {
		m.t.Fatalf("systemctl kill: %s", r.Stdout)
	}
}

// reload changes the configuration, has systemd tell the service, and waits until it
// is taken over.
func (m *serviceManager) reload() {
	m.t.Helper()
	if r := m.inside("sh", "-c", "echo archives = 2 >>/etc/lhsm-azblob/mnt-lustre.conf"); r.Code != 0 {
		m.t.Fatal(r)
	}
	m.do("reload")
	m.waitFor("the end of the reload", func() bool {
		return strings.Contains(m.read("log"), taken+`" changed=[--archives]`) && m.property("ActiveState") == "active"
	})
	if !slices.Contains(m.notifications(), "RELOADING=") {
		m.t.Errorf("systemd was told %q, and nothing of a reload", m.notifications())
	}
}

// restartedAfter sends a signal that the service does not live through, and waits until
// systemd has it up again.
func (m *serviceManager) restartedAfter(sig string) {
	m.t.Helper()
	before := m.restarts()
	m.signal(sig)
	m.waitFor("a start by systemd after "+sig, func() bool {
		return m.restarts() > before && m.property("ActiveState") == "active"
	})
}

// restarts are those by systemd. On a slow machine there may be some that no test asked
// for: a service that is late with a word to the watchdog is taken for hung.
func (m *serviceManager) restarts() int {
	m.t.Helper()
	text := m.property("NRestarts")
	n, err := strconv.Atoi(text)
	if err != nil {
		m.t.Fatalf("NRestarts is %q", text)
	}
	return n
}

var variable = regexp.MustCompile(`[A-Z]+=`)

// notifications are what the service has said to systemd, in order.
func (m *serviceManager) notifications() (said []string) {
	notified := regexp.MustCompile(regexp.QuoteMeta(m.unit) + `: Got notification message from PID \d+ \((.*)\)`)
	for _, match := range notified.FindAllStringSubmatch(m.systemdLog(), -1) {
		said = append(said, variable.FindAllString(match[1], -1)...)
	}
	return said
}

// wantNotifications looks at what was said in the first life of the service, and at
// the end of the last.
func (m *serviceManager) wantNotifications() {
	m.t.Helper()
	said := m.notifications()
	ready, stopping := slices.Index(said, "READY="), slices.Index(said, "STOPPING=")
	if ready < 0 || stopping < ready || !slices.Contains(said[:stopping], "WATCHDOG=") || !slices.Contains(said[:stopping], "STATUS=") {
		m.t.Errorf("systemd was told %q, want READY, and WATCHDOG and STATUS, before STOPPING", said)
		return
	}
	slices.Reverse(said)
	if slices.Index(said, "STOPPING=") > slices.Index(said, "READY=") {
		m.t.Error("the last start was not followed by STOPPING")
	}
}

// TestRestartUnderSystemd runs the packaged unit in a systemd: `systemctl restart` under
// load loses nothing, and nobody has to ask again; one that is killed, or that hangs, is
// started again, and goes on with what the dead one held.
func TestRestartUnderSystemd(t *testing.T) {
	e := newEnv(t, loadOptions)
	l := newLoad(t, e)
	m := startSystemd(t, e, e.copytoolUnit("RestartSec=100ms\nWatchdogSec=10s\n"))
	m.do("start")
	if state, text := m.property("ActiveState"), m.property("StatusText"); state != "active" {
		t.Errorf("after the start the unit is %s, %q", state, text)
	}
	m.waitFor("the status line", func() bool { return strings.HasPrefix(m.property("StatusText"), "serving: ") })

	for range 3 {
		m.underLoad(l, func() { m.do("restart") })
	}
	m.underLoad(l, m.reload)
	m.underLoad(l, func() { m.restartedAfter("SIGKILL") })
	m.underLoad(l, func() { m.restartedAfter("SIGSTOP") }) // the watchdog finds it
	m.do("stop")
	if state := m.property("ActiveState"); state != "inactive" {
		t.Errorf("after the stop the unit is %s", state)
	}
	e.wantAgents()
	m.wantNotifications()
	t.Log(l.figures())
}

// TestUnreadActionsUnderSystemd: when the service's main process dies, systemd leaves the
// keeper alone, however long that takes to note what nobody has read.
func TestUnreadActionsUnderSystemd(t *testing.T) {
	e := newEnv(t, loadOptions)
	m := startSystemd(t, e, e.copytoolUnit("Restart=no\n"))
	m.do("start")
	m.signal("SIGSTOP") // what comes now is not read
	e.write("f", []byte("content"))
	e.lfs("hsm_archive", e.path("f"))
	m.waitFor("the action to be sent", func() bool { return strings.Contains(e.lustre.GetParam("mdt.*.hsm.actions"), "status=STARTED") })

	keeper, goOn := m.holdKeeper()
	m.signal("SIGKILL")
	m.waitFor("systemd to have done with the service", func() bool { return m.property("ActiveState") == "failed" })
	if r := m.inside("test", "-e", "/proc/"+keeper+"/exe"); r.Code != 0 {
		t.Fatal("systemd has killed the keeper")
	}
	goOn()
	m.waitFor("the keeper", func() bool {
		return strings.Contains(m.read("log"), `msg="kept actions that the process which died had not read" actions=1`)
	})
	m.do("start")
	e.lustre.WaitIdle()
	e.wantState("f", stateArchived)
	e.wantBlob("f", []byte("content"))
	m.do("stop")
}

// holdKeeper lets the keeper find out only later that the main process is dead: when the
// pipe that ends with it has its last end closed, which is ours.
func (m *serviceManager) holdKeeper() (pid string, goOn func()) {
	m.t.Helper()
	r := m.inside("sh", "-c", "cat /proc/"+m.property("MainPID")+"/task/*/children")
	if pid = r.Stdout; len(strings.Fields(pid)) != 1 {
		m.t.Fatalf("the copytool's children are %q, and not a keeper", pid)
	}
	end, err := os.OpenFile(fmt.Sprintf("/proc/%d/root/proc/%s/fd/4", m.pid, pid), os.O_WRONLY, 0)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { end.Close() })
	return pid, func() { end.Close() }
}

// TestServeUnderSystemd runs the other packaged unit: with what it leaves to the
// service, jobs are done, also of somebody else's file whose copy is lost, and go on
// after a kill.
func TestServeUnderSystemd(t *testing.T) {
	e, _ := start(t)
	e.write("a", []byte("a"))
	lost := e.write("lost", []byte("lost"))
	e.lfs("hsm_set", "--exists", "--archived", "--lost", lost)
	if err := os.Chown(lost, 1001, 1001); err != nil {
		t.Fatal(err)
	}
	m := startSystemd(t, e, packagedUnit{
		name: "lhsmctl-serve", program: "./cmd/lhsmctl", folder: "/usr/local/bin", dropIn: "RestartSec=100ms\n",
		files: map[string]string{"lhsmctl-mnt-lustre.conf": "group = \"4242\"\n", "lhsmctl-mnt-lustre.env": libraryVariable},
	})
	m.do("start")
	m.waitFor("the status line", func() bool { return m.property("StatusText") == "no job" })
	ctl := func(args ...string) string {
		t.Helper()
		r := m.inside(append([]string{"/usr/local/bin/lhsmctl", "archive"}, args...)...)
		if r.Code != 0 {
			t.Fatalf("lhsmctl %q: exit %d, %s", args, r.Code, r.Stdout)
		}
		return r.Stdout
	}
	ctl("create", "--wait")
	e.wantBlob("a", []byte("a"))
	e.wantBlob("lost", []byte("lost"))
	if r := m.inside("stat", "-c", "%a %g", "/run/lhsm-azblob", "/run/lhsm-azblob/lhsmctl.sock"); r.Stdout != "755 0\n660 4242" {
		t.Errorf("directory and socket are %q", r.Stdout)
	}
	hold := e.gate.Hold(isCommit)
	e.write("b", []byte("b"))
	ctl("create")
	<-hold.Caught
	m.restartedAfter("SIGKILL")
	hold.Release()
	ctl("watch", "2")
	e.wantBlob("b", []byte("b"))
	m.do("stop")
	if state := m.property("ActiveState"); state != "inactive" {
		t.Errorf("after the stop the unit is %s", state)
	}
	m.wantNotifications()
}

// underLoad does something in the middle of the load, after which everything must
// be done without being asked for again.
func (m *serviceManager) underLoad(l *load, do func()) {
	m.t.Helper()
	moment := l.moment(700 * time.Millisecond)
	readers := l.ask()
	<-moment
	do()
	begin := time.Now()
	l.lustre.WaitIdle()
	l.longest = max(l.longest, time.Since(begin))
	for i, err := range readers() {
		if err != nil {
			m.t.Errorf("who waited for %s got: %v", l.groups[toRead][i].name, err)
		}
	}
	l.check()
}
