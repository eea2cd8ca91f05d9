package acceptance

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lhsm-azblob/testenv"
)

// patience is how long a test waits for an event that must come. It is no
// measure of speed: it only turns a hang into a failure.
const patience = 2 * time.Minute

// A copytool is a running lhsmtool_azblob.
type copytool struct {
	t       *testing.T
	cmd     *exec.Cmd
	process *testenv.Process
	done    chan struct{} // closed when the process has ended

	mu    sync.Mutex // guards lines
	lines []string   // its log so far
	grown chan struct{}

	idle map[string]float64 // numbers of its resources before any work, see leaks_test.go
}

// startCopytool starts the copytool on a mount and waits until it says READY
// in the way that systemd would hear it.
func (e *env) startCopytool(mount string, args ...string) *copytool {
	e.t.Helper()
	return e.started(e.launch(mount, args...))
}

// started waits until a copytool is ready.
func (e *env) started(c *copytool, ready chan struct{}) *copytool {
	e.t.Helper()
	select {
	case <-ready:
	case <-c.done:
		e.t.Fatalf("the copytool ended before it was ready:\n%s", strings.Join(c.log(), "\n"))
	case <-time.After(patience):
		e.t.Fatal("the copytool did not become ready")
	}
	return c
}

// launch starts the copytool. The channel is closed when it says READY.
func (e *env) launch(mount string, args ...string) (c *copytool, ready chan struct{}) {
	e.t.Helper()
	return e.launchCommand(e.copytoolCommand(append(append([]string{"--progress-interval", "1s", "--log-level", "debug"}, args...), mount)...))
}

// launchCommand is launch for a command of its own.
func (e *env) launchCommand(cmd *exec.Cmd) (c *copytool, ready chan struct{}) {
	e.t.Helper()
	ready, notify := listenNotify(e.t, e.t.TempDir())
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+notify)
	c = &copytool{t: e.t, cmd: cmd, done: make(chan struct{}), grown: make(chan struct{}, 1)}
	c.follow()
	e.t.Cleanup(func() {
		c.signal(syscall.SIGKILL)
		<-c.done
		if e.t.Failed() {
			e.t.Logf("log of %q:\n%s", cmd.Args, strings.Join(c.log(), "\n"))
		}
	})
	return c, ready
}

// follow starts the process and collects its log until it ends.
func (c *copytool) follow() {
	c.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		c.t.Fatal(err)
	}
	c.cmd.Stderr, c.cmd.Stdout = w, w
	c.process = testenv.Run(c.t, c.cmd)
	w.Close()
	go func() {
		defer close(c.done)
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			c.add(lines.Text())
		}
	}()
}

func (c *copytool) add(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, line)
	select {
	case c.grown <- struct{}{}:
	default:
	}
}

func (c *copytool) log() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.lines...)
}

// waitLog waits for a log line that contains all the words.
func (c *copytool) waitLog(words ...string) string {
	c.t.Helper()
	return c.waitLogTimes(1, words...)
}

// waitLogTimes waits for so many lines, and returns the last.
func (c *copytool) waitLogTimes(times int, words ...string) string {
	c.t.Helper()
	deadline := time.After(patience)
	for {
		found := 0
		for _, line := range c.log() {
			if containsAll(line, words) {
				found++
			}
			if found == times {
				return line
			}
		}
		select {
		case <-c.grown:
		case <-deadline:
			c.t.Fatalf("no log line with %q:\n%s", words, strings.Join(c.log(), "\n"))
		}
	}
}

// count is how many lines of the log contain all the words.
func (c *copytool) count(words ...string) (n int) {
	for _, line := range c.log() {
		if containsAll(line, words) {
			n++
		}
	}
	return n
}

func containsAll(s string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(s, w) {
			return false
		}
	}
	return true
}

func (c *copytool) signal(sig syscall.Signal) { _ = c.cmd.Process.Signal(sig) }

// stop sends SIGTERM and waits for the end.
func (c *copytool) stop() {
	c.t.Helper()
	c.signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(patience):
		c.t.Fatal("the copytool did not end after SIGTERM")
	}
}

// listenNotify is the service manager's end of sd_notify. The channel is
// closed when READY=1 arrives.
func listenNotify(t *testing.T, dir string) (ready chan struct{}, path string) {
	t.Helper()
	path = filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ready = make(chan struct{})
	go func() {
		buf := make([]byte, 4096)
		said := false
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			if !said && strings.Contains(string(buf[:n]), "READY=1") {
				said = true
				close(ready)
			}
		}
	}()
	return ready, path
}
