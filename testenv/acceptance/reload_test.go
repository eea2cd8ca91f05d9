package acceptance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lhsm-azblob/testenv/azurite"
	"lhsm-azblob/testenv/gate"
)

// A liveConfig is a configuration file that a test changes while a copytool runs.
type liveConfig struct {
	*env
	path string
}

func (e *env) liveConfig() liveConfig { return liveConfig{e, e.file("live.conf", "")} }

// write replaces the file, as editors do.
func (f liveConfig) write(lines ...string) {
	f.t.Helper()
	fixed := fmt.Sprintf("container_url = %q\nrun_dir = %q\nstate_dir = %q\nprogress_interval = \"1s\"\n", f.containerURL, f.runDir, f.stateDir)
	if err := os.WriteFile(f.path+".new", []byte(fixed+strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(f.path+".new", f.path); err != nil {
		f.t.Fatal(err)
	}
}

func (f liveConfig) sas(validity time.Duration) string {
	f.t.Helper()
	sas, err := azurite.Start(f.t).SAS(filepath.Base(f.containerURL), "racwdl", time.Now().Add(validity))
	if err != nil {
		f.t.Fatal(err)
	}
	return fmt.Sprintf("sas = %q", sas)
}

// month is far enough away for nobody to warn of it.
const month = 30 * 24 * time.Hour

// taken and refused are how the log answers a SIGHUP.
const (
	taken   = "the configuration is taken over"
	refused = "level=ERROR msg=\"the configuration is not taken over"
)

// bySAS counts the requests that a SAS has signed; a key signs in a header.
func (e *env) bySAS() int {
	return e.gate.Count(func(r gate.Request) bool { return strings.Contains(r.Query, "sig=") })
}

// TestReloadUnderLoad changes limits, bandwidth, log level and credential in the middle
// of the load, several times: every action comes to its end, and nobody has to ask again.
func TestReloadUnderLoad(t *testing.T) {
	e := newEnv(t, loadOptions)
	l, f := newLoad(t, e), e.liveConfig()
	few := []string{"block_size = \"256KiB\"", "archives = 1", "restores = 1", "removes = 1", "transfers = 1", "bandwidth = \"8MiB\"", "log_level = \"info\""}
	many := []string{"block_size = \"256KiB\"", "archives = 6", "restores = 6", "removes = 3", "transfers = 8", "log_level = \"debug\""}
	key := fmt.Sprintf("account_key_file = %q", e.keyFile)

	f.write(append(many, f.sas(month))...)
	c := e.started(e.launchCommand(exec.Command(e.program, "--config", f.path, e.lustre.Mount())))
	for i, next := range [][]string{append(few, key), append(many, f.sas(2*month)), append(few, f.sas(month)), append(many, key)} {
		readers := l.ask()
		<-l.moment(300 * time.Millisecond)
		f.write(next...)
		c.signal(syscall.SIGHUP)
		c.waitLogTimes(i+1, taken)
		l.lustre.WaitIdle()
		for i, err := range readers() {
			if err != nil {
				t.Errorf("who waited for %s got: %v", l.groups[toRead][i].name, err)
			}
		}
		l.check()
	}
	if n := c.count("level=WARN") + c.count("level=ERROR"); n != 0 {
		t.Errorf("%d warnings and errors", n)
	}
	c.waitLog(taken, "--log-level", "--archives", "--bandwidth", "new_credentials=1")

	before := e.bySAS()
	e.archived("last", randomBytes(1000, 1))
	if n := e.bySAS() - before; n != 0 || before == 0 {
		t.Errorf("%d requests by SAS before the key, and %d after it", before, n)
	}
	c.stop()
	t.Log(l.figures())
}

// TestReloadRefuses: a configuration with a mistake, in whatever place, changes nothing
// at all, and is told in one line; and what needs a restart is named and stays.
func TestReloadRefuses(t *testing.T) {
	e := newEnv(t, loadOptions)
	f := e.liveConfig()
	key := fmt.Sprintf("account_key_file = %q", e.keyFile)
	f.write(key, `log_level = "info"`)
	c := e.started(e.launchCommand(exec.Command(e.program, "--config", f.path, e.lustre.Mount())))
	wrong := e.file("wrong-key", "d3Jvbmc=\n")
	refusals := []struct {
		want  string
		lines []string
	}{
		{f.path + `:6: archives: \"0\" is not a number from 1 to 2000`, []string{key, "archives = 0", `log_level = "debug"`}},
		{f.path + `:6: unknown key \"archivs\"`, []string{key, "archivs = 1", `log_level = "debug"`}},
		{"AuthorizationFailure", []string{fmt.Sprintf("account_key_file = %q", wrong), `log_level = "debug"`}},
		{"/no/such/key: no such file", []string{`account_key_file = "/no/such/key"`, `log_level = "debug"`}},
		{"not a shared access signature", []string{`sas = "word"`, `log_level = "debug"`}},
	}
	for i, r := range refusals {
		f.write(r.lines...)
		c.signal(syscall.SIGHUP)
		if line := c.waitLogTimes(i+1, refused); !strings.Contains(line, r.want) {
			t.Errorf("log line %q, want %q in it", line, r.want)
		}
	}
	e.archived("a", randomBytes(1000, 1))
	e.wantBlob("a", randomBytes(1000, 1))
	if n := c.count("level=DEBUG"); n != 0 {
		t.Errorf("%d lines at a level that was refused", n)
	}

	f.write(key, `prefix = "elsewhere"`, `memory = "2GiB"`, `log_level = "debug"`)
	c.signal(syscall.SIGHUP)
	for _, name := range []string{"--prefix", "--memory"} {
		c.waitLog("level=WARN", name+" needs a restart")
	}
	c.waitLog(taken, "changed=[--log-level]", "new_credentials=0")
	e.archived("b", randomBytes(1000, 2))
	e.wantBlob("b", randomBytes(1000, 2))
	c.waitLog("level=DEBUG", "received")
	if n := c.count("level=ERROR"); n != len(refusals) {
		t.Errorf("%d lines at ERROR for %d refusals", n, len(refusals))
	}
	c.stop()
}
