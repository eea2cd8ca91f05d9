package acceptance

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lhsm-azblob/testenv"
)

// packageBuilds are the versions that this process has built packages of.
var packageBuilds = map[string]bool{}

// makePackages builds the packages of a version, as `make packages` does, once. They lie in
// dir, and what is in them in dir/packaging/root.
func makePackages(t *testing.T, version string) (dir string) {
	t.Helper()
	dir, err := filepath.Abs("../../build/test/packages/" + version)
	if err != nil {
		t.Fatal(err)
	}
	if packageBuilds[version] {
		return dir
	}
	cmd := exec.CommandContext(t.Context(), "make", "-C", "../..", "packages", "VERSION="+version,
		"BIN="+filepath.Join(dir, "bin"), "PACKAGING="+filepath.Join(dir, "packaging"), "PACKAGES="+dir)
	r, err := testenv.Output(cmd)
	if err != nil || r.Code != 0 {
		t.Fatalf("make packages: %v, exit %d\n%s%s", err, r.Code, r.Stdout, r.Stderr)
	}
	packageBuilds[version] = true
	return dir
}

// A packageManager is a systemd of the test's own in which the .deb is installed.
type packageManager struct {
	*serviceManager
}

// TestPackage does with the .deb what sites do: they install it, enable and start the
// services, upgrade while everything is under load, remove it, and purge it. Nothing is
// lost, each action ends once, and nothing is deleted but what the programs made.
func TestPackage(t *testing.T) {
	if !hasDpkg() {
		t.Skip("no dpkg on this machine")
	}
	e := newEnv(t, loadOptions)
	l := newLoad(t, e)
	u := e.copytoolUnit("")
	u.program = "" // it is in the package
	u.files["lhsmctl-mnt-lustre.conf"], u.files["lhsmctl-mnt-lustre.env"] = "", libraryVariable
	m := packageManager{startSystemd(t, e, u)}
	first, second := m.deb("0.1.0-rc1"), m.deb("0.1.0")

	m.must("rm", "-f", "/usr/sbin/policy-rc.d") // of the machine: containers forbid to restart with it
	m.dpkg("--install", first)
	m.wantInstalled("v0.1.0-rc1")
	m.must("systemctl", "enable", "--now", m.unit, serveUnit)
	m.must("lhsmctl", "archive", "create", "/g1", "--wait")

	m.upgradeUnderLoad(l, second)
	m.wantInstalled("v0.1.0")
	m.wantEachEndedOnce()

	m.actAsRPM()
	m.dpkg("--remove", packageName)
	m.wantRemoved()
	e.wantAgents()
	m.wantFiles("/var/lib/lhsm-azblob", `jobs-lustre\.db\S* jobs-lustre\.db\S* .*\.journal`)

	m.must("touch", "/var/lib/lhsm-azblob/notes")
	m.wantOutput(m.dpkg("--purge", packageName), "removing the journals of actions and the history of jobs in /var/lib/lhsm-azblob", "/var/lib/lhsm-azblob stays")
	m.wantFiles("/var/lib/lhsm-azblob", "notes")
	m.wantFiles("/etc/lhsm-azblob", `lhsmctl-mnt-lustre\.conf lhsmctl-mnt-lustre\.env mnt-lustre\.conf .*`)
	for _, f := range slices.Concat(l.groups[toRead], l.groups[toRemove]) {
		e.wantContent(f.name, f.content)
		e.wantBlob(f.name, f.content)
	}
}

const (
	packageName = "lhsm-azblob"
	serveUnit   = "lhsmctl-serve@mnt-lustre.service"
)

// deb builds the package of a version and puts it where dpkg sees it.
func (m packageManager) deb(version string) string {
	m.t.Helper()
	dir := makePackages(m.t, "v"+version)
	wantContainerCopies(m.t, filepath.Join(dir, "packaging", "root"))
	debs, err := filepath.Glob(filepath.Join(dir, packageName+"_*.deb"))
	if err != nil || len(debs) != 1 {
		m.t.Fatalf("the packages of version %s are %q, %v", version, debs, err)
	}
	name := "packages/" + filepath.Base(debs[0])
	m.copy(name, debs[0])
	return "/run/out/" + name
}

func (m packageManager) must(args ...string) string {
	m.t.Helper()
	r := m.inside(args...)
	if r.Code != 0 {
		m.t.Fatalf("%q: exit %d: %s", args, r.Code, r.Stdout)
	}
	return r.Stdout
}

func (m packageManager) dpkg(args ...string) string {
	m.t.Helper()
	out := m.must(append([]string{"dpkg"}, args...)...)
	m.t.Logf("dpkg %s:\n%s", strings.Join(args, " "), out)
	return out
}

// wantOutput looks for what an administrator has to be told.
func (m packageManager) wantOutput(out string, words ...string) {
	m.t.Helper()
	for _, word := range words {
		if !strings.Contains(out, word) {
			m.t.Errorf("dpkg said %q, want %q", out, word)
		}
	}
}

func (m packageManager) wantFiles(dir, names string) {
	m.t.Helper()
	got := strings.Join(strings.Fields(m.inside("ls", "-A", dir).Stdout), " ")
	if !regexp.MustCompile("^" + names + "$").MatchString(got) {
		m.t.Errorf("%s has %q, want %q", dir, got, names)
	}
}

// wantInstalled looks at the programs of a version, and at what is private.
func (m packageManager) wantInstalled(version string) {
	m.t.Helper()
	for _, program := range []string{"/usr/sbin/lhsmtool_azblob", "/usr/bin/lhsmctl"} {
		if out := m.must(program, "--version"); !strings.HasSuffix(out, version) {
			m.t.Errorf("%s is %q, want %s", program, out, version)
		}
	}
	if mode := m.must("stat", "-c", "%a %U", "/etc/lhsm-azblob/sample.conf"); mode != "600 root" {
		m.t.Errorf("the sample of a configuration with secrets is %s", mode)
	}
}

func (m packageManager) wantRemoved() {
	m.t.Helper()
	m.wantStopped()
	for _, unit := range []string{m.unit, serveUnit} {
		if state := m.systemctl("show", "--value", "-p", "LoadState", unit).Stdout; state != "not-found" {
			m.t.Errorf("%s is %s after the package was removed", unit, state)
		}
	}
}

// upgradeUnderLoad installs the next version while the copytool holds actions of every
// kind, and lets them go on when it has been told to stop.
func (m packageManager) upgradeUnderLoad(l *load, deb string) {
	m.t.Helper()
	m.must("sh", "-c", "echo '# changed here' >>/etc/lhsm-azblob/sample.conf")
	before := m.mainPrograms()
	hold := m.gate.Hold(func(r *http.Request) bool { return r.Method != http.MethodHead })
	m.underLoad(l, func() {
		<-hold.Caught
		done := make(chan string)
		go func() { done <- m.dpkg("--install", deb) }()
		m.waitFor("the end of the first version", func() bool { return m.property("ActiveState") == "deactivating" })
		hold.Release()
		m.wantOutput(<-done, "restarting", m.unit, serveUnit)
	})
	for i, after := range m.mainPrograms() {
		if after == before[i] || strings.Contains(after, "deleted") {
			m.t.Errorf("before the upgrade %s runs, and after it %s", before[i], after)
		}
	}
	if m.inside("grep", "-q", "changed here", "/etc/lhsm-azblob/sample.conf").Code != 0 {
		m.t.Error("the upgrade has replaced a file of configuration that was changed")
	}
}

// actAsRPM calls the package's scripts as rpm does, which numbers the versions that are
// there: an upgrade restarts, and a removal stops and disables.
func (m packageManager) actAsRPM() {
	m.t.Helper()
	script := func(name, argument string) string {
		m.t.Helper()
		return m.must("sh", "/var/lib/dpkg/info/"+packageName+"."+name, argument)
	}
	before := m.mainPrograms()
	m.wantOutput(script("postinst", "2"), "restarting", m.unit, serveUnit)
	upgraded := m.mainPrograms()
	script("prerm", "1") // of the old version
	script("postrm", "1")
	for i, after := range m.mainPrograms() {
		if upgraded[i] == before[i] || after != upgraded[i] {
			m.t.Errorf("an upgrade by rpm: %s, then %s, then %s", before[i], upgraded[i], after)
		}
	}
	script("prerm", "0")
	script("postrm", "0")
	m.wantStopped()
	script("postinst", "1")
	m.wantStopped()
	m.must("systemctl", "enable", "--now", m.unit, serveUnit)
}

// wantStopped looks for services that run, or are to run.
func (m packageManager) wantStopped() {
	m.t.Helper()
	for _, unit := range []string{m.unit, serveUnit} {
		if state := m.systemctl("is-active", unit).Stdout; state != "inactive" {
			m.t.Errorf("%s is %s after the package was removed", unit, state)
		}
	}
	if links := m.must("find", "/etc/systemd/system", "-name", "lhsm*"); links != "" {
		m.t.Errorf("after the package was removed there are %q", links)
	}
}

// mainPrograms are the processes of the services, with what they execute.
func (m packageManager) mainPrograms() (programs []string) {
	m.t.Helper()
	for _, unit := range []string{m.unit, serveUnit} {
		pid := m.systemctl("show", "--value", "-p", "MainPID", unit).Stdout
		programs = append(programs, fmt.Sprint(pid, " ", m.must("readlink", "/proc/"+pid+"/exe")))
	}
	return programs
}

// wantEachEndedOnce counts the copytool's lines about each action.
func (m packageManager) wantEachEndedOnce() {
	m.t.Helper()
	ended := map[string]int{}
	for line := range strings.Lines(m.read("log")) {
		if strings.Contains(line, `msg="action done"`) {
			ended[field(line, "cookie=")]++
		}
	}
	if len(ended) < 3*filesPerGroup {
		m.t.Errorf("%d actions ended, want %d at least", len(ended), 3*filesPerGroup)
	}
	for cookie, times := range ended {
		if times != 1 {
			m.t.Errorf("action %s ended %d times", cookie, times)
		}
	}
}

// TestPackageVersion: what git says of a commit becomes a version that dpkg takes and
// sorts as git does.
func TestPackageVersion(t *testing.T) {
	version := func(description string) testenv.Result {
		r, err := testenv.Output(exec.CommandContext(t.Context(), "../../packaging/version.sh", description, "77"))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	before := "0"
	for _, c := range [][2]string{
		{"abc1234", "0.0.0+77.gabc1234"},
		{"abc1234-dirty", "0.0.0+77.gabc1234.dirty"},
		{"v1.2.0-rc1", "1.2.0~rc1"},
		{"v1.2.0-rc1-4-gabc1234", "1.2.0~rc1+4.gabc1234"},
		{"v1.2.0", "1.2.0"},
		{"v1.2.0-9-gabc1234", "1.2.0+9.gabc1234"},
		{"v1.2.0-10-gabc1234-dirty", "1.2.0+10.gabc1234.dirty"},
		{"v1.2.1", "1.2.1"},
		{"2.0.0-dirty", "2.0.0+dirty"},
	} {
		r := version(c[0])
		if got := strings.TrimSpace(r.Stdout); got != c[1] || r.Code != 0 {
			t.Errorf("version of %s: got %q, %s, want %q", c[0], got, r.Stderr, c[1])
		}
		if err := exec.CommandContext(t.Context(), "dpkg", "--compare-versions", before, "lt", c[1]).Run(); err != nil && hasDpkg() {
			t.Errorf("for dpkg %s does not come before %s: %v", before, c[1], err)
		}
		before = c[1]
	}
	for _, bad := range []string{"unknown", "", "v", "release-7"} {
		if r := version(bad); r.Code == 0 || r.Stdout != "" {
			t.Errorf("version of %q: %q", bad, r.Stdout)
		}
	}
}

func hasDpkg() bool {
	_, err := exec.LookPath("dpkg")
	return err == nil
}
