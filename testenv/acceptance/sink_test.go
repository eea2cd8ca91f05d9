package acceptance

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/blobsink"
)

// newSinkEnv is an env for loads: its container is a blobsink, whose blobs are
// dotted, and its copytool is built as it is for users, without the race detector,
// which takes many times the memory.
func newSinkEnv(t *testing.T, url string, o testenv.Options) *env {
	t.Helper()
	key := filepath.Join(t.TempDir(), "account-key")
	if err := os.WriteFile(key, []byte("bm8gc2lnbmF0dXJlIGlzIGNoZWNrZWQ=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return &env{
		t: t, lustre: testenv.StartLustre(t, o), containerURL: url + "/container",
		program: testenv.PlainBinary(t, "./cmd/lhsmtool_azblob"),
		keyFile: key, runDir: t.TempDir(), stateDir: t.TempDir(),
	}
}

// startSink is newSinkEnv with a coordinator that sends everything at once.
func startSink(t *testing.T) *env {
	t.Helper()
	return newSinkEnv(t, blobsink.Start(t, blobsink.Dotted, false).URL,
		testenv.Options{Params: map[string]string{"mdt.*.hsm.max_requests": "200000", "mdt.*.hsm.grace_delay": "1"}})
}

// startQuiet starts the copytool with metrics, and without a log line per action.
func (e *env) startQuiet(args ...string) *copytool {
	e.t.Helper()
	return e.startCopytool(e.lustre.Mount(), append([]string{"--log-level", "info", "--http", "127.0.0.1:0"}, args...)...)
}

// dotted makes n files of a size, in a directory of their own, that have data in
// every block and take a sixteenth of their size. They are what the sink's blobs are.
func (e *env) dotted(dir string, n, size int) (paths []string) {
	e.t.Helper()
	paths = e.zeros(dir, n, size)
	for _, p := range paths {
		f, err := os.OpenFile(p, os.O_WRONLY, 0)
		if err != nil {
			e.t.Fatal(err)
		}
		if err := errors.Join(blobsink.Dotted.WriteTo(f, int64(size)), f.Close()); err != nil {
			e.t.Fatal(err)
		}
	}
	return paths
}

// zeros makes n files of zeros, all of a size, in a directory of their own.
func (e *env) zeros(dir string, n, size int) (paths []string) {
	e.t.Helper()
	e.directory(dir)
	e.command("bulk-create", "/"+dir, "f", "0", strconv.Itoa(n), strconv.Itoa(size))
	for i := range n {
		paths = append(paths, e.path(fmt.Sprintf("%s/f%d", dir, i)))
	}
	return paths
}

// status is a number in /proc/PID/status, such as "VmHWM:" in KiB.
func (c *copytool) status(name string) int {
	c.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		c.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n"+name)
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

// peakMemory is the largest resident size that the process ever had, in MiB.
func (c *copytool) peakMemory() int { return c.status("VmHWM:") >> 10 }
