package acceptance

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/azurite"
)

// A finding is one of `lhsmctl doctor --json`.
type finding struct {
	Subject, Check, Level, Seen, Mend string
}

// A clinic is a data mover that the doctor looks at.
type clinic struct {
	*env
	mount  string
	config map[string]string // keys and values of the copytool's configuration, as TOML has them
	environ
}

// environ is what is added to the doctor's environment.
type environ []string

// newClinic is a mover with everything in order.
func newClinic(t *testing.T) *clinic {
	e := newEnv(t, testenv.Options{})
	e.stateDir = onDisk(t)
	address := closedPort(t)
	e.startCopytool(e.lustre.Mount(), "--http", address)
	e.lustre.SetParam("mdt.*.hsm.max_requests", "128")
	return &clinic{env: e, mount: e.lustre.Mount(), environ: environ{"PATH=" + e.lctl() + ":" + os.Getenv("PATH")}, config: map[string]string{
		"container_url": quote(e.containerURL), "account_key_file": quote(e.keyFile), "run_dir": quote(e.runDir), "state_dir": quote(e.stateDir),
		"http": quote(address), "memory": `"64MiB"`, "prefix": `"deep/down"`,
	}}
}

// onDisk makes a directory where the programs are, and not where a machine may have
// memory: the doctor has something to say of a journal there.
func onDisk(t *testing.T) string {
	dir, err := os.MkdirTemp(filepath.Dir(testenv.Binary(t, "./cmd/lhsmctl")), "state-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // as good as t.TempDir
	return dir
}

func quote(s string) string { return fmt.Sprintf("%q", s) }

// lctl is a directory with the command, as far as it reads tunables.
func (e *env) lctl() string {
	script := fmt.Sprintf("#!/bin/sh\nexec '%s' \"$@\"\n", testenv.Binary(e.t, "./testenv/cmd/lustre-standin"))
	path := e.file("lctl", script)
	if err := os.Chmod(path, 0o755); err != nil {
		e.t.Fatal(err)
	}
	return filepath.Dir(path)
}

// configFile writes the configuration with some keys changed.
func (c *clinic) configFile(changed map[string]string) string {
	all := maps.Clone(c.config)
	maps.Copy(all, changed)
	var lines []string
	for k, v := range all {
		if v != "" {
			lines = append(lines, k+" = "+v)
		}
	}
	return c.file("mover.conf", strings.Join(lines, "\n")+"\n")
}

// command is the doctor, to be called to a configuration.
func (c *clinic) command(changed map[string]string, args ...string) *exec.Cmd {
	args = append([]string{"doctor", "--config", c.configFile(changed), c.mount}, args...)
	cmd := exec.Command(testenv.Binary(c.t, "./cmd/lhsmctl"), args...)
	cmd.Env = append(os.Environ(), c.environ...)
	return cmd
}

// findings runs the doctor, and makes sure that its exit status is that of the
// worst finding and that each trouble comes with a remedy.
func (c *clinic) findings(t *testing.T, changed map[string]string) []finding {
	t.Helper()
	code, stdout, stderr := outputs(t, c.command(changed, "--json"))
	var found []finding
	if err := json.Unmarshal([]byte(stdout), &found); err != nil || stderr != "" {
		t.Fatalf("exit %d, %v, stdout %q, stderr %q", code, err, stdout, stderr)
	}
	want := 0
	for _, f := range found {
		switch {
		case f.Level == "failure":
			want = 1
		case f.Level == "warning" && want == 0:
			want = 8
		}
		if f.Level != "ok" && f.Level != "note" && f.Mend == "" {
			t.Errorf("no remedy: %+v", f)
		}
		if strings.Contains(f.Seen+f.Mend, "sig=") || f.Seen == "" {
			t.Errorf("finding is %+v", f)
		}
	}
	if code != want {
		t.Errorf("exit %d, want %d", code, want)
	}
	return found
}

// want makes sure of what is found: "subject/check" to "level: words".
func want(t *testing.T, found []finding, wanted map[string]string) {
	t.Helper()
	for key, w := range wanted {
		i := slices.IndexFunc(found, func(f finding) bool { return f.Subject+"/"+f.Check == key })
		if i < 0 {
			t.Errorf("no finding %s", key)
			continue
		}
		f := found[i]
		if got := f.Level + ": " + f.Seen + " -> " + f.Mend; !strings.HasPrefix(got, strings.SplitN(w, ":", 2)[0]) || !containsAll(got, strings.Split(w, "|")[1:]) {
			t.Errorf("%s: got %q, want %q", key, got, w)
		}
	}
}

// only makes sure that nothing else is worse than a note.
func only(t *testing.T, found []finding, keys ...string) {
	t.Helper()
	for _, f := range found {
		if f.Level != "ok" && f.Level != "note" && !slices.Contains(keys, f.Subject+"/"+f.Check) {
			t.Errorf("besides: %+v", f)
		}
	}
}

// TestDoctorFindsNothing: a good mover is told so, and nothing is left behind.
func TestDoctorFindsNothing(t *testing.T) {
	c := newClinic(t)
	found := c.findings(t, nil)
	only(t, found)
	want(t, found, map[string]string{
		"lustre/library": "ok:|liblustreapi", "lustre/mount": "ok:|file system lustre", "lustre/coordinator": "ok:|takes requests",
		"lustre/agents": "ok:|1 agent", "lustre/max-requests": "ok:|128", "mover/copytool": "ok:|registered",
		"archive 1/write": "ok:", "archive 1/transfer": "ok:|MiB/s", "archive 1/clock": "ok:|agrees", "archive 1/tier": "ok:|Hot",
		"archive 1/immutability": "ok:", "archive 1/tags": "ok:|may be set", "archive 1/soft-delete": "note:|off",
	})
	if names := c.blobNames(); len(names) > 0 {
		t.Errorf("it left the blobs %q", names)
	}
	for _, dir := range []string{c.mount, c.stateDir} {
		if left, _ := filepath.Glob(filepath.Join(dir, ".*doctor*")); len(left) > 0 {
			t.Errorf("it left %q", left)
		}
	}
	code, stdout, stderr := outputs(t, c.command(nil))
	if code != 0 || stderr != "" || !strings.Contains(stdout, "0 failures, 0 warnings") {
		t.Errorf("as text: exit %d, %q, stderr %q", code, stdout, stderr)
	}
	t.Logf("a good mover:\n%s", stdout)
	// The copytool that runs still has its registration.
	c.archived("f", []byte("data"))
}

// TestDoctorFindsTunables: what only an MDS shows is judged where it can be
// read, and elsewhere the command to type is told.
func TestDoctorFindsTunables(t *testing.T) {
	c := newClinic(t)
	found := c.findings(t, map[string]string{"archive_id": "[1, 7]"})
	want(t, found, map[string]string{"lustre/agents": "failure:|archive id 7|systemctl start lhsmtool_azblob@"})
	only(t, found, "lustre/agents")

	for _, name := range []string{"max_requests=3", "policy=+NBR", "default_archive_id=9"} {
		param, value, _ := strings.Cut(name, "=")
		c.lustre.SetParam("mdt.*.hsm."+param, value)
	}
	found = c.findings(t, nil)
	want(t, found, map[string]string{
		"lustre/max-requests":    "warning:|max_requests is 3|lctl set_param -P mdt.*.hsm.max_requests=128",
		"lustre/policy":          "warning:|-NBR",
		"lustre/default-archive": "note:|is 9",
	})
	only(t, found, "lustre/max-requests", "lustre/policy")

	for _, states := range [][2]string{{"disabled", "disabled"}, {"shutdown", "stopped"}} {
		c.lustre.SetParam("mdt.*.hsm_control", states[0])
		want(t, c.findings(t, nil), map[string]string{"lustre/hsm-control": "failure:|" + states[1] + "|hsm_control=enabled"})
	}
	c.environ = nil
	want(t, c.findings(t, nil), map[string]string{
		"lustre/coordinator":  "failure:|does not run|lctl set_param -P mdt.*.hsm_control=enabled",
		"lustre/hsm-control":  "note:|lctl get_param mdt.lustre-MDT*.hsm_control",
		"lustre/max-requests": "note:|lctl get_param mdt.lustre-MDT*.hsm.max_requests|lctl set_param -P mdt.*.hsm.max_requests=128",
	})
}

// TestDoctorFindsLocalFaults are those of this machine.
func TestDoctorFindsLocalFaults(t *testing.T) {
	c := newClinic(t)
	found := c.findings(t, map[string]string{"memory": `"16TiB"`, "state_dir": quote(filepath.Join(c.keyFile, "below"))})
	want(t, found, map[string]string{"mover/memory": "failure:|needs up to 16777280 MiB", "mover/journal": "failure:|not a directory|state_dir"})
	only(t, found, "mover/memory", "mover/journal")

	open := t.TempDir()
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	found = c.findings(t, map[string]string{"state_dir": quote(open), "run_dir": quote(t.TempDir())})
	want(t, found, map[string]string{"mover/journal": "failure:|other users may write|chmod go-w", "mover/copytool": "warning:|no copytool|systemctl enable"})
	only(t, found, "mover/journal", "mover/copytool")

	c.environ = append(c.environ, "LHSM_LIBLUSTREAPI=/no/such/liblustreapi.so.1")
	found = c.findings(t, nil)
	want(t, found, map[string]string{
		"lustre/library": "failure:|/no/such/liblustreapi.so.1|install the Lustre client", "lustre/mount": "note:|not looked at", "archive 1/transfer": "ok:",
	})
	only(t, found, "lustre/library")

	c = &clinic{env: c.env, mount: t.TempDir(), config: c.config}
	found = c.findings(t, nil)
	want(t, found, map[string]string{"lustre/mount": "failure:|is not a Lustre mount|mount the file system first", "lustre/fid": "note:|not looked at"})
	only(t, found, "lustre/mount")
}

// TestDoctorFindsStorageFaults are those on the way to the container and in it.
func TestDoctorFindsStorageFaults(t *testing.T) {
	c := newClinic(t)
	token := func(rights string, left time.Duration) string {
		text, err := azurite.Start(t).SAS(filepath.Base(c.containerURL), rights, time.Now().Add(left))
		if err != nil {
			t.Fatal(err)
		}
		return quote(c.file("sas", text))
	}
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name    string
		changed map[string]string
		want    map[string]string
	}{
		{"a good SAS", map[string]string{"account_key_file": "", "sas_file": token("racwdlt", 30*day)}, map[string]string{"archive 1/credential": "ok:|ends in 29 days"}},
		{"a SAS that ends soon", map[string]string{"account_key_file": "", "sas_file": token("racwdlt", day)}, map[string]string{"archive 1/credential": "warning:|ends in|put a new SAS"}},
		{"an expired SAS", map[string]string{"account_key_file": "", "sas_file": token("racwdlt", -day)}, map[string]string{"archive 1/credential": "failure:|expired at", "archive 1/reach": "note:"}},
		{"a SAS that only reads", map[string]string{"account_key_file": "", "sas_file": token("rl", 30*day)}, map[string]string{
			"archive 1/read": "ok:", "archive 1/list": "ok:", "archive 1/write": "failure:|grants read", "archive 1/delete": "failure:", "archive 1/transfer": "note:",
		}},
		{"a SAS that does not delete", map[string]string{"account_key_file": "", "sas_file": token("racwl", 30*day)}, map[string]string{"archive 1/delete": "failure:", "archive 1/transfer": "note:"}},
		{"another key", map[string]string{"account_key_file": quote(c.file("key", "a2V5"))}, map[string]string{
			"archive 1/reach": "ok:|answers in", "archive 1/read": "failure:|key is one of the account", "archive 1/list": "failure:", "archive 1/write": "failure:", "archive 1/delete": "failure:",
		}},
		{"no container", map[string]string{"container_url": quote(c.containerURL + "-gone")}, map[string]string{"archive 1/reach": "failure:|create the container"}},
		{"nobody there", map[string]string{"container_url": quote("http://" + closedPort(t) + "/devstoreaccount1/data")}, map[string]string{"archive 1/reach": "failure:|refused|nothing listens"}},
		{"archive tier", map[string]string{"access_tier": `"Archive"`}, map[string]string{"archive 1/tier": "warning:|archive tier", "archive 1/transfer": "ok:|not tried"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found := c.findings(t, tt.changed)
			want(t, found, tt.want)
			only(t, found, slices.Collect(maps.Keys(tt.want))...)
			if names := c.blobNames(); len(names) > 0 {
				t.Errorf("it left the blobs %q", names)
			}
		})
	}
}

// TestDoctorDoesNotHang with a file system that does not answer.
func TestDoctorDoesNotHang(t *testing.T) {
	c := newClinic(t)
	c.lustre.Signal(syscall.SIGSTOP)
	defer c.lustre.Signal(syscall.SIGCONT)
	found := c.findings(t, nil)
	want(t, found, map[string]string{"lustre/mount": "failure:|it hangs|servers are up", "lustre/fid": "note:|not looked at", "archive 1/transfer": "ok:"})
	only(t, found, "lustre/mount")
}

// TestDoctorLeavesWhoCannotBeKilled: a process whose request the file system has
// taken, and never answers, does not even end by SIGKILL.
func TestDoctorLeavesWhoCannotBeKilled(t *testing.T) {
	c := newClinic(t)
	c.lustre.Fault("create", "delay=1h")
	defer c.lustre.ClearFaults()
	found := c.findings(t, nil)
	hangs := []string{"lustre/fid", "lustre/xattrs", "lustre/coordinator"}
	for _, check := range hangs {
		want(t, found, map[string]string{check: "failure:|it hangs"})
	}
	only(t, found, hangs...)
}

// TestDoctorUsage: what is wrong with the question, or the configuration, is no
// finding.
func TestDoctorUsage(t *testing.T) {
	program := testenv.Binary(t, "./cmd/lhsmctl")
	file := filepath.Join(t.TempDir(), "mnt-lustre.conf")
	if err := os.WriteFile(file, []byte("memory = \"much\"\ncontainer_url = \"https://a.blob.core.windows.net/c\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{nil, 64, "MOUNT is missing"},
		{[]string{"/a", "/b"}, 64, "2 arguments"},
		{[]string{"--config", file}, 64, file + `:1: memory: "much" is not a size`},
		{[]string{"--config", "/no/such.conf"}, 1, "/no/such.conf: no such file"},
		{[]string{"/mnt/no-such"}, 1, `/etc/lhsm-azblob/mnt-no\x2dsuch.conf: no such file`},
	} {
		code, stdout, stderr := outputs(t, exec.Command(program, append([]string{"doctor"}, tt.args...)...))
		if code != tt.code || stdout != "" || !strings.Contains(stderr, tt.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("doctor %q: exit %d, %q, %q; want %d, %q", tt.args, code, stdout, stderr, tt.code, tt.want)
		}
	}
}
