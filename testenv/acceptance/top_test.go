package acceptance

import (
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv"
)

// A pty is a terminal that a program runs on, and the one who sits there.
type pty struct {
	t       *testing.T
	ours    *os.File
	theirs  *os.File
	process *testenv.Process

	mu   sync.Mutex // guards text
	text []byte     // all that was shown
}

// onTerminal starts a command on a terminal of that size.
func onTerminal(t *testing.T, columns, rows uint16, name string, args ...string) *pty {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(ours.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &pty{t: t, ours: ours, theirs: theirs}
	p.resize(columns, rows)
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	cmd.Env = append(os.Environ(), "TERM=xterm")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	p.process = testenv.Run(t, cmd)
	read := make(chan struct{})
	go func() { // ends when both ends are closed
		defer close(read)
		for buf := make([]byte, 64<<10); ; {
			n, err := ours.Read(buf)
			if err != nil {
				return
			}
			p.mu.Lock()
			p.text = append(p.text, buf[:n]...)
			p.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		theirs.Close()
		ours.Close()
		<-read
	})
	return p
}

func (p *pty) resize(columns, rows uint16) {
	p.t.Helper()
	if err := unix.IoctlSetWinsize(int(p.ours.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows}); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pty) press(keys string) {
	p.t.Helper()
	if _, err := p.ours.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pty) shown() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.text)
}

// wait waits until what was shown after the first so many bytes has the text in it.
func (p *pty) wait(after int, text string) {
	p.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
		if strings.Contains(p.shown()[after:], text) {
			return
		}
	}
	p.t.Fatalf("the terminal does not show %q, but %q", text, p.shown()[after:])
}

func (p *pty) modes() unix.Termios {
	p.t.Helper()
	m, err := unix.IoctlGetTermios(int(p.theirs.Fd()), unix.TCGETS)
	if err != nil {
		p.t.Fatal(err)
	}
	return *m
}

// TestTop watches a mover from a terminal: an archive on its way, a window that is
// made smaller, and each way to leave.
func TestTop(t *testing.T) {
	e, c := start(t, "--http", "127.0.0.1:0", "--block-size", "256KiB")
	_, address, _ := strings.Cut(c.waitLog("serving HTTP"), "address=")
	hold := e.gate.Hold(isCommit)
	name := "dir/evil\x1b[2J\n"
	e.write(name, faultFiles["blocks"])
	e.lfs("hsm_archive", e.path(name))
	<-hold.Caught
	lhsmctl := testenv.Binary(t, "./cmd/lhsmctl")
	for _, tt := range []struct {
		name  string
		leave func(p *pty)
	}{
		{"q", func(p *pty) { p.press("q") }},
		{"Ctrl-C", func(p *pty) { p.press("\x03") }},
		{"SIGTERM", func(p *pty) { p.process.Signal(syscall.SIGTERM) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := onTerminal(t, 160, 40, lhsmctl, "top", "--mover", "http://"+address, "--interval", "200ms")
			before := p.modes() // it may have begun, and is only compared with when it has not
			p.wait(0, "["+strings.Repeat("#", 20)+"]  100 %")
			for _, want := range []string{"\x1b[?1049h", "lustre", "serving", `dir/evil\x1b[2J\n`} {
				p.wait(0, want)
			}
			p.resize(100, 24)
			p.wait(0, "["+strings.Repeat("#", 10)+"]  100 %")
			if strings.Contains(p.shown(), "\x1b[2J") {
				t.Error("the name of a file has cleared the screen")
			}
			tt.leave(p)
			if code := p.process.Wait(); code != 0 {
				t.Errorf("exit %d", code)
			}
			p.wait(0, "\x1b[?25h\x1b[?1049l")
			after := p.modes()
			if after.Lflag&unix.ECHO == 0 || after.Lflag&unix.ICANON == 0 || after.Iflag&unix.ICRNL == 0 {
				t.Errorf("the terminal is left as %+v", after)
			}
			if before.Lflag&unix.ECHO != 0 && !reflect.DeepEqual(before, after) {
				t.Errorf("the terminal was %+v and is left as %+v", before, after)
			}
		})
	}
	hold.Release()
	e.lustre.WaitIdle()
}

// TestTopThroughTheService: who has no way to the movers asks the service, which has
// their token.
func TestTopThroughTheService(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	token := e.file("mover-token", "fedcba9876543210")
	c := e.startCopytool(e.lustre.Mount(), "--http", "127.0.0.1:0", "--http-token-file", token)
	_, address, _ := strings.Cut(c.waitLog("serving HTTP"), "address=")
	s := e.startService("--mover", "http://"+address+"/metrics", "--mover", "http://"+closedPort(t)+"/metrics", "--mover-token-file", token)
	e.putBlob("taken", []byte("somebody else's"))
	e.write("taken", []byte("ours"))
	e.hsm("archive", "taken")
	s.shows([]string{"lustre  1 of 2 movers", "serving", "is not reached", "BlobExists  taken"}, "top")
	s.shows([]string{`"code": "BlobExists"`, `"reachable": false`}, "top", "--json")
	wrong := e.file("wrong-token", "0000000000000000")
	s.shows([]string{"is not reached: it does not know the token"}, "top", "--mover", "http://"+address, "--mover-token-file", wrong)
}

// shows repeats a command until its answer has all the words in it: a mover that takes
// its time for once is not reached.
func (s *service) shows(words []string, args ...string) {
	s.e.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		stdout, _ := s.want(0, args...)
		missing := slices.IndexFunc(words, func(word string) bool { return !strings.Contains(stdout, word) })
		if missing < 0 {
			return
		}
		if time.Now().After(deadline) {
			s.e.t.Fatalf("lhsmctl %q shows no %q:\n%s", args, words[missing], stdout)
		}
	}
}
