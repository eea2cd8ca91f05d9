package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"lhsm-azblob/copytool"
	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/azurite"
)

// started is the program while it runs in this process.
type started struct {
	t     *testing.T
	lines chan string // of its log
	code  chan int
}

// startProgram runs the program on a mount, with good settings before args.
func startProgram(t *testing.T, l *testenv.Lustre, args ...string) *started {
	t.Helper()
	r, w := io.Pipe()
	p := &started{t: t, lines: make(chan string, 1000), code: make(chan int, 1)}
	all := append(append([]string{programName}, goodSettings(t)...), append(args, l.Mount())...)
	go func() {
		p.code <- run(context.Background(), all, nil, io.Discard, w)
		w.Close()
	}()
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	return p
}

func goodSettings(t *testing.T) []string {
	t.Helper()
	server := azurite.Start(t)
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(server.AccountKey), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--container-url", server.NewContainer(t), "--account-key-file", key, "--run-dir", t.TempDir(), "--state-dir", t.TempDir()}
}

// line waits for a log line with a word in it.
func (p *started) line(word string) string {
	p.t.Helper()
	for line := range p.lines {
		if strings.Contains(line, word) {
			return line
		}
	}
	p.t.Fatalf("the program ended without %q", word)
	return ""
}

// signal makes the program end.
func (p *started) signal() {
	p.t.Helper()
	p.send(syscall.SIGTERM)
}

// send sends a signal that is heard by the program, which is this process.
func (p *started) send(sig syscall.Signal) {
	p.t.Helper()
	if err := syscall.Kill(os.Getpid(), sig); err != nil {
		p.t.Fatal(err)
	}
}

func (p *started) wantExit(code int) {
	p.t.Helper()
	for range p.lines { // until it has said all it had to say
	}
	if got := <-p.code; got != code {
		p.t.Errorf("exit %d, want %d", got, code)
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// TestServe goes through a life: it registers, archives a file, shows it in
// its metrics, is healthy, and drains on SIGTERM.
func TestServe(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	p := startProgram(t, l, "--http", "127.0.0.1:0", "--log-format", "json")
	var listening struct{ Address string }
	if err := json.Unmarshal([]byte(p.line("serving HTTP")), &listening); err != nil {
		t.Fatal(err)
	}
	p.line(`"msg":"serving"`)
	p.archive(l, "f")
	var done struct {
		Op, Code, Path, FID, Cookie string
		Bytes                       int
	}
	if err := json.Unmarshal([]byte(p.line("action done")), &done); err != nil {
		t.Fatal(err)
	}
	if done.Op != "ARCHIVE" || done.Code != "OK" || done.Path != "f" || done.Bytes != 7 || done.FID == "" || done.Cookie == "" {
		t.Errorf("line about the archive: %+v", done)
	}
	_, metrics := get(t, "http://"+listening.Address+"/metrics")
	for _, want := range []string{
		`lhsm_azblob_actions_total{code="OK",op="ARCHIVE"} 1`, `lhsm_azblob_action_bytes_total{op="ARCHIVE"} 7`, `lhsm_azblob_blob_requests_total{code="",op="put-blob",status="201"} 1`,
		`lhsm_azblob_queue_depth{op="ARCHIVE"} 0`, `lhsm_azblob_actions_in_flight{op="RESTORE"} 0`, "lhsm_azblob_memory_in_use_bytes ", "lhsm_azblob_build_info{",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	code, body := get(t, "http://"+listening.Address+"/healthz")
	var st copytool.Status
	if err := json.Unmarshal([]byte(body), &st); err != nil || code != http.StatusOK || !st.Serving {
		t.Errorf("/healthz: %d, %s, %v", code, body, err)
	}
	p.signal()
	p.wantExit(exitOK)
	if agents := l.GetParam("mdt.*.hsm.agents"); strings.Contains(agents, "uuid=") {
		t.Errorf("agents after the end: %s", agents)
	}
}

func TestCheckRegistersNothing(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	code, stdout, stderr := program(t, nil, append(goodSettings(t), "--check", "--archive-id", "any", l.Mount())...)
	if code != exitOK || stderr != "" || !strings.Contains(stdout, "archive any: container ") {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
}

func TestHTTPAddressInUse(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	code, _, stderr := program(t, nil, append(goodSettings(t), "--http", busy.Addr().String(), l.Mount())...)
	if code != exitFailure || !strings.Contains(stderr, "--http "+busy.Addr().String()) {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

// TestNotify is what systemd hears.
func TestNotify(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "200000")
	l := testenv.StartLustre(t, testenv.Options{})
	p := startProgram(t, l)
	said := heard(conn)
	next := func() string {
		t.Helper()
		select {
		case s := <-said:
			return s
		case <-time.After(5 * time.Minute):
			t.Fatal("systemd hears nothing")
			return ""
		}
	}
	// hear waits until all words were said, in whatever order.
	hear := func(words ...string) {
		t.Helper()
		for len(words) > 0 {
			s := next()
			words = slices.DeleteFunc(words, func(word string) bool { return strings.Contains(s, word) })
		}
	}
	hear("READY=1", "WATCHDOG=1\nSTATUS=serving: archives 0 running")
	for range 3 {
		if got := next(); got != "WATCHDOG=1" {
			t.Errorf("systemd hears %q of a copytool that has nothing to do", got)
		}
	}
	p.send(syscall.SIGHUP)
	hear("RELOADING=1\nMONOTONIC_USEC=")
	hear("READY=1")
	p.line("the configuration is taken over")
	p.signal()
	hear("STOPPING=1")
	p.wantExit(exitOK)
}

// heard hands on what comes by a socket, until that is closed. It never lets the other
// side wait: only a few datagrams fit into a socket.
func heard(conn net.Conn) <-chan string {
	said := make(chan string, 1000)
	go func() {
		for buf := make([]byte, 4096); ; {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			select {
			case said <- string(buf[:n]):
			default: // nobody has listened for minutes
			}
		}
	}()
	return said
}

// TestCoordinatorOff: one line, also of the library's.
func TestCoordinatorOff(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	l.SetParam("mdt.*.hsm_control", "shutdown")
	code, stdout, stderr := program(t, nil, append(goodSettings(t), l.Mount())...)
	if code != exitFailure || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "lctl set_param -P mdt.*.hsm_control=enabled") {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
}

// archive writes a file and asks for its archive.
func (p *started) archive(l *testenv.Lustre, name string) {
	p.t.Helper()
	path := filepath.Join(l.Mount(), name)
	if err := os.WriteFile(path, []byte("content"), 0o644); err != nil {
		p.t.Fatal(err)
	}
	if r := l.Lfs("hsm_archive", path); r.Code != 0 {
		p.t.Fatal(r)
	}
}

// TestServesOn loses lists and registrations, and serves on.
func TestServesOn(t *testing.T) {
	for _, tt := range []struct {
		name string
		lose func(l *testenv.Lustre, p *started)
	}{
		{"shutdown message", func(l *testenv.Lustre, p *started) {
			if r := l.Command("shutdown-message", l.Mount()); r.Code != 0 {
				p.t.Fatal(r)
			}
			p.line("registered again")
		}},
		{"pipe closed", func(l *testenv.Lustre, p *started) {
			l.Fault("pipe-close", "count=1")
			p.archive(l, "a")
			p.line("registered again")
		}},
		{"stream out of step", func(l *testenv.Lustre, p *started) {
			l.Fault("pipe-garbage", "count=1")
			p.archive(l, "a")
			p.line("a list of actions was lost")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := testenv.StartLustre(t, testenv.Options{})
			p := startProgram(t, l)
			p.line("msg=serving")
			tt.lose(l, p)
			p.archive(l, "last")
			p.line("path=last")
			p.signal()
			p.wantExit(exitOK)
		})
	}
}
