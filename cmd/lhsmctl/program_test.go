package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lhsm-azblob/httpapi"
	"lhsm-azblob/jobs"
)

// lhsmctl runs the program.
func lhsmctl(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, moverTime: time.Minute}
	code = p.run(context.Background(), append([]string{programName}, args...))
	return code, out.String(), errs.String()
}

// answers is a server with one answer.
func answers(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return s.URL
}

// TestServeRefusals: whoever starts the service in an unsafe or impossible way
// is told in one line.
func TestServeRefusals(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return p
	}
	token := file("token", "0123456789abcdef\n", 0o600)
	for _, tt := range []struct {
		want string
		args []string
	}{
		{"0 arguments, and one is wanted: MOUNT", nil},
		{"2 arguments, and one is wanted: MOUNT", []string{"/a", "/b"}},
		{`"" is no MOUNT`, []string{""}},
		{"--listen 127.0.0.1:1 would let everybody in: give --token-file, or --client-ca", []string{"--listen", "127.0.0.1:1", "/a"}},
		{"--listen :1 is reachable from other machines", []string{"--listen", ":1", "--token-file", token, "/a"}},
		{"--listen 10.0.0.1:1 is reachable from other machines", []string{"--listen", "10.0.0.1:1", "--token-file", token, "/a"}},
		{"--client-ca needs TLS", []string{"--listen", "127.0.0.1:1", "--client-ca", "x", "/a"}},
		{"--tls-cert and --tls-key go together", []string{"--listen", ":1", "--token-file", token, "--tls-cert", "x", "/a"}},
		{"--token-file and --client-ca are for --listen", []string{"--token-file", token, "/a"}},
		{`--listen: "9" is not host:port`, []string{"--listen", "9", "/a"}},
		{`--mover: "mover1:9090" is no address`, []string{"--mover", "mover1:9090", "/a"}},
		{`--mover: "http://a:1,b:1" is no address`, []string{"--mover", "http://a:1,b:1", "/a"}},
		{`--log-level: "loud" is none of debug`, []string{"--log-level", "loud", "/a"}},
		{`--state-dir: "jobs" is not an absolute path`, []string{"--state-dir", "jobs", "/a"}},
		{"not defined: -sockt", []string{"--sockt", "x", "/a"}},
	} {
		code, stdout, stderr := lhsmctl(t, append([]string{"serve"}, tt.args...)...)
		if code != exitUsage || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, tt.want) {
			t.Errorf("serve %q: exit %d, %q, %q; want %q", tt.args, code, stdout, stderr, tt.want)
		}
	}
}

// TestSampleInPackaging is what packagers install.
func TestSampleInPackaging(t *testing.T) {
	b, err := os.ReadFile("../../packaging/lhsmctl.conf")
	if err != nil {
		t.Fatal(err)
	}
	if code, stdout, _ := lhsmctl(t, "serve", "--sample-config"); code != exitOK || string(b) != stdout {
		t.Error("packaging/lhsmctl.conf is not the output of lhsmctl serve --sample-config; write it anew")
	}
	code, printed, stderr := lhsmctl(t, "serve", "--config", "../../packaging/lhsmctl.conf", "--print-config")
	if _, byDefault, _ := lhsmctl(t, "serve", "--print-config"); code != exitOK || origin.ReplaceAllString(printed, "") != origin.ReplaceAllString(byDefault, "") {
		t.Errorf("exit %d, %q: the sample says\n%s\nthe defaults are\n%s", code, stderr, printed, byDefault)
	}
}

// origin is what --print-config says of where a value comes from.
var origin = regexp.MustCompile(`(?m) +# .*$`)

// TestExitStatuses are part of the manual.
func TestExitStatuses(t *testing.T) {
	for _, tt := range []struct {
		state jobs.State
		want  int
	}{{jobs.Completed, 0}, {jobs.CompletedPartial, 3}, {jobs.Failed, 4}, {jobs.Canceled, 5}} {
		at := answers(t, func(w http.ResponseWriter, _ *http.Request) {
			writeEvent(w, httpapi.Job{ID: 7, State: tt.state, Finished: true})
		})
		code, stdout, stderr := lhsmctl(t, "archive", "watch", "7", "--server", at)
		if code != tt.want || stderr != "" || !strings.Contains(stdout, "job 7: "+string(tt.state)+" in") {
			t.Errorf("%s: exit %d, %q, %q; want %d", tt.state, code, stdout, stderr, tt.want)
		}
	}
	at := answers(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"code":"Busy","detail":"job 6 has the file system"}`)
	})
	if code, _, stderr := lhsmctl(t, "archive", "create", "--server", at); code != 6 || stderr != "lhsmctl: job 6 has the file system\n" {
		t.Errorf("busy: exit %d, %q", code, stderr)
	}
	at = answers(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>It works!") })
	if code, _, stderr := lhsmctl(t, "archive", "list", "--server", at); code != 7 || strings.Count(stderr, "\n") != 1 {
		t.Errorf("another server: exit %d, %q", code, stderr)
	}
}

// TestCreateTakesPathsAsTyped: what looks like a list may be one path, and half of it
// would be another tree.
func TestCreateTakesPathsAsTyped(t *testing.T) {
	var asked httpapi.JobRequest
	at := answers(t, func(w http.ResponseWriter, r *http.Request) {
		asked = httpapi.JobRequest{}
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			t.Error(err)
		}
		fmt.Fprint(w, `{"id":7,"state":"Queued"}`)
	})
	for _, tt := range []struct{ args, want []string }{
		{[]string{"--filesystem-path", "/data,old"}, []string{"/data,old"}},
		{[]string{"--filesystem-path=/a, b", "--filesystem-path", "/c", "/d,e"}, []string{"/a, b", "/c", "/d,e"}},
		{[]string{"--filesystem-path", ""}, []string{""}}, // which the service refuses
	} {
		code, _, stderr := lhsmctl(t, append([]string{"archive", "create", "--server", at}, tt.args...)...)
		if code != exitOK || !slices.Equal(asked.Prefixes, tt.want) {
			t.Errorf("create %q: exit %d, %q; asked for %q, want %q", tt.args, code, stderr, asked.Prefixes, tt.want)
		}
	}
}

// TestNothingIsNotEverything: an argument that is empty, as a shell makes it of a
// variable that is not set, is a mistake wherever something could take it for all.
func TestNothingIsNotEverything(t *testing.T) {
	for _, tt := range []struct {
		want string
		args []string
	}{
		{`--files-from: "" is no file`, []string{"archive", "create", "--files-from", ""}},
		{`"" is no path`, []string{"verify", ""}},
		{`"" is no path`, []string{"verify", "/a", ""}},
		{`--prefix: "" is no prefix`, []string{"import", "--prefix", "", "/a"}},
		{`"" is no MOUNT`, []string{"import", "--config", "x", ""}},
		{`"" is no MOUNT`, []string{"doctor", "--config", "x", ""}},
	} {
		code, stdout, stderr := lhsmctl(t, tt.args...)
		if code != exitUsage || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, tt.want) {
			t.Errorf("%q: exit %d, %q, %q; want %q", tt.args, code, stdout, stderr, tt.want)
		}
	}
}

func writeEvent(w http.ResponseWriter, j httpapi.Job) {
	b, err := json.Marshal(j)
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(w, ": alive\n\nevent: job\nid: %s-%d\ndata: %s\n\n", j.State, j.PercentComplete, b)
}

// TestWatchReconnects: connections end in the middle, and after the last event
// the service has nothing more to say.
func TestWatchReconnects(t *testing.T) {
	var calls atomic.Int32
	var seen []string
	at := answers(t, func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("Last-Event-ID"))
		switch calls.Add(1) {
		case 1:
			writeEvent(w, httpapi.Job{ID: 7, State: jobs.InProgress, PercentComplete: 10})
		case 2:
			w.WriteHeader(http.StatusOK) // and not a word
		default:
			writeEvent(w, httpapi.Job{ID: 7, State: jobs.Completed, Finished: true, PercentComplete: 100})
		}
	})
	code, stdout, stderr := lhsmctl(t, "archive", "watch", "7", "--server", at, "--output", "json")
	if code != 0 || strings.Count(stdout, "\n") != 2 || stderr != "" {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
	if want := []string{"", "InProgress-10", "InProgress-10"}; !slices.Equal(seen, want) {
		t.Errorf("it told the service that it had seen %q, want %q", seen, want)
	}
}

// TestReportIsWhole: half a report is an error, and no file.
func TestReportIsWhole(t *testing.T) {
	at := answers(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "FilePath,FileStatus\r\n")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	file := filepath.Join(t.TempDir(), "failures.csv")
	if code, _, stderr := lhsmctl(t, "archive", "report", "7", "-o", file, "--server", at); code != 1 || !strings.Contains(stderr, "not complete") {
		t.Errorf("exit %d, %q", code, stderr)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "*")); len(left) != 0 {
		t.Errorf("it left %q", left)
	}
	if code, _, stderr := lhsmctl(t, "archive", "report", "7", "--server", at); code != 1 || !strings.Contains(stderr, "not complete") {
		t.Errorf("to standard output: exit %d, %q", code, stderr)
	}
}

// TestReportLeavesTheRest: -o changes the content of what it names, and nothing else
// about it.
func TestReportLeavesTheRest(t *testing.T) {
	const content = "FilePath,FileStatus\r\n"
	at := answers(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, content) })
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.WriteFile(in("shared"), []byte("old"), 0o600), os.Chmod(in("shared"), 0o664), os.WriteFile(in("secret"), []byte("old and longer than the new one"), 0o600),
		os.Symlink("shared", in("link")), os.Symlink("nothing", in("loose")), os.Symlink(os.DevNull, in("device")), os.Mkdir(in("dir"), 0o755),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name, file string // that is named, and that has the report then
		mode       os.FileMode
	}{{"shared", "shared", 0o664}, {"secret", "secret", 0o600}, {"new", "new", 0o666 &^ umask(t)}, {"link", "shared", 0o664}} {
		code, _, stderr := lhsmctl(t, "archive", "report", "7", "-o", in(tt.name), "--server", at)
		b, err := os.ReadFile(in(tt.file))
		st, statErr := os.Lstat(in(tt.file))
		if err := errors.Join(err, statErr); err != nil || code != exitOK || string(b) != content || st.Mode() != tt.mode {
			t.Errorf("%s: exit %d, %q, %q, mode %v, %v; want mode %v", tt.name, code, stderr, b, st.Mode(), err, tt.mode)
		}
	}
	if code, _, stderr := lhsmctl(t, "archive", "report", "7", "-o", in("device"), "--server", at); code != exitOK {
		t.Errorf("to a device: exit %d, %q", code, stderr)
	}
	for name, want := range map[string]string{"loose": "no such file", "dir": "is a directory"} {
		if code, _, stderr := lhsmctl(t, "archive", "report", "7", "-o", in(name), "--server", at); code != exitFailure || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d, %q, want %q", name, code, stderr, want)
		}
	}
	for name, want := range map[string]string{"link": "shared", "loose": "nothing", "device": os.DevNull} {
		if got, err := os.Readlink(in(name)); got != want {
			t.Errorf("%s leads to %q, %v; want %q", name, got, err, want)
		}
	}
	if left, _ := filepath.Glob(in(".*")); len(left) != 0 {
		t.Errorf("it left %q", left)
	}
}

// TestReportKeepsTheOwner: root's report is still to be read by who had the old one.
func TestReportKeepsTheOwner(t *testing.T) {
	at := answers(t, func(http.ResponseWriter, *http.Request) {})
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(file, 1001, 1002); err != nil {
		t.Skip("needs root: ", err)
	}
	code, _, stderr := lhsmctl(t, "archive", "report", "7", "-o", file, "--server", at)
	st, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if own := st.Sys().(*syscall.Stat_t); code != exitOK || own.Uid != 1001 || own.Gid != 1002 {
		t.Errorf("exit %d, %q; it belongs to %d:%d", code, stderr, own.Uid, own.Gid)
	}
}

// TestReportKeepsTheACL: the mask is no right of the group.
func TestReportKeepsTheACL(t *testing.T) {
	at := answers(t, func(http.ResponseWriter, *http.Request) {})
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const attr = "system.posix_acl_access"
	acl := []byte{
		2, 0, 0, 0, // its form
		1, 0, 6, 0, 255, 255, 255, 255, // the owner reads and writes
		2, 0, 6, 0, 233, 3, 0, 0, // user 1001 does
		4, 0, 0, 0, 255, 255, 255, 255, // the group does not
		16, 0, 6, 0, 255, 255, 255, 255, // the mask
		32, 0, 0, 0, 255, 255, 255, 255, // nobody else
	}
	if err := unix.Setxattr(file, attr, acl, 0); err != nil {
		t.Skip("needs ACLs: ", err)
	}
	code, _, stderr := lhsmctl(t, "archive", "report", "7", "-o", file, "--server", at)
	got := make([]byte, 100)
	n, err := unix.Getxattr(file, attr, got)
	if code != exitOK || err != nil || !bytes.Equal(got[:n], acl) {
		t.Errorf("exit %d, %q; the ACL is %v, %v", code, stderr, got[:max(n, 0)], err)
	}
}

// TestReportToAPipe: who reads the pipe has the report, and the pipe stays one.
func TestReportToAPipe(t *testing.T) {
	at := answers(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "a report") })
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(pipe, os.O_RDWR, 0) // both ends, so that opening waits for nobody
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	code, _, stderr := lhsmctl(t, "archive", "report", "7", "-o", pipe, "--server", at)
	if st, err := os.Lstat(pipe); err != nil || code != exitOK || st.Mode().Type() != os.ModeNamedPipe {
		t.Fatalf("exit %d, %q; then it is %v, %v", code, stderr, st.Mode(), err)
	}
	b := make([]byte, len("a report"))
	if _, err := io.ReadFull(reader, b); err != nil || string(b) != "a report" {
		t.Errorf("read %q, %v", b, err)
	}
}

// TestReportToADescriptor: what was written before it stays, and so does what comes after.
func TestReportToADescriptor(t *testing.T) {
	at := answers(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "report\n") })
	dir := t.TempDir()
	for name, path := range map[string]string{"by number": "/dev/fd/%d", "of the process": "/proc/self/fd/%d", "by a link": filepath.Join(dir, "link")} {
		f, err := os.Create(filepath.Join(dir, "out"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if strings.Contains(path, "%d") {
			path = fmt.Sprintf(path, f.Fd())
		} else if err := os.Symlink(fmt.Sprintf("fd/%d", f.Fd()), path); err != nil {
			t.Fatal(err)
		} else if err := os.Symlink("/dev/fd", filepath.Join(dir, "fd")); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(f, "before")
		code, _, stderr := lhsmctl(t, "archive", "report", "7", "-o", path, "--server", at)
		fmt.Fprintln(f, "after")
		b, err := os.ReadFile(f.Name())
		if err != nil || code != exitOK || string(b) != "before\nreport\nafter\n" {
			t.Errorf("%s: exit %d, %q; the file has %q, %v", name, code, stderr, b, err)
		}
	}
	if code, _, stderr := lhsmctl(t, "archive", "report", "7", "-o", "/dev/fd/99999", "--server", at); code != exitFailure || !strings.Contains(stderr, "bad file descriptor") {
		t.Errorf("to nothing: exit %d, %q", code, stderr)
	}
}

// umask is what new files lack.
func umask(t *testing.T) os.FileMode {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "f"), os.O_CREATE, 0o777)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return 0o777 &^ st.Mode()
}

func TestBars(t *testing.T) {
	j := httpapi.Job{
		ID: 7, State: jobs.InProgress, Prefixes: []string{"/data\x1b[2J"}, ETASeconds: 75, FilesPerSecond: 12.5, BytesPerSecond: 1 << 20, WaitsFor: "no copytool",
		Counters: jobs.Counters{FilesFound: 1200, FilesSkipped: 200, FilesExported: 500, FilesFailed: 1, BytesFound: 3 << 30, BytesExported: 1 << 30, BytesSkipped: 1 << 30},
	}
	want := []string{
		`Job 7  InProgress  /data\x1b[2J`,
		"files [###############----------------] 500/1,000  12/s",
		"data  [##########-----------] 1.0 GiB/2.0 GiB  1.0 MiB/s",
		"200 skipped, 1 failed, 1m15s left",
		"Waiting: no copytool",
	}
	if got := bars(j, 59); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := cut("ééééé", 3); got != "éé…" {
		t.Errorf("cut: %q", got)
	}
	for width := range 200 { // never a panic, however narrow
		bars(j, width)
		bars(httpapi.Job{}, width)
	}
}

// TestCompletion lets a real shell complete.
func TestCompletion(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", dir, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for words, want := range map[string]string{
		"lhsmctl ''":              "archive export explain serve completion",
		"lhsmctl archive c":       "create cancel",
		"lhsmctl completion z":    "zsh",
		"lhsmctl archive list --": "--limit --server",
	} {
		script := `source <(lhsmctl completion bash); COMP_WORDS=(` + words + `); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _lhsmctl; echo "${COMPREPLY[@]}"`
		cmd := exec.CommandContext(t.Context(), bash, "-c", script)
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
		out, err := cmd.Output()
		got := strings.Fields(string(out))
		for _, w := range strings.Fields(want) {
			if err != nil || !slices.Contains(got, w) {
				t.Errorf("%s completes to %q, %v, without %s", words, out, err, w)
			}
		}
	}
	for shell, want := range map[string]string{"zsh": "#compdef lhsmctl", "fish": "complete -c lhsmctl"} {
		if code, stdout, _ := lhsmctl(t, "completion", shell); code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("%s: exit %d, no %q", shell, code, want)
		}
	}
}
