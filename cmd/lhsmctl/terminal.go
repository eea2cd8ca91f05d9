package main

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"unicode"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
	"golang.org/x/text/width"
)

// Control sequences of full-screen programs: plain ANSI, which every terminal has
// that somebody may sit at, over however many hops.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l" // another screen, without a cursor
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	eraseRest   = "\x1b[K" // of the line
	eraseBelow  = "\x1b[J"
	bold        = "\x1b[1m"
	plain       = "\x1b[0m"
)

// A screen is a terminal of which every key is read, and all lines are ours.
type screen struct {
	in, out *os.File
	before  *term.State
	end     *os.File  // ends the reading of keys
	keys    chan byte // closed when no more can come
	resized chan os.Signal
}

// openScreen takes over the terminal that in and out are; nil where they are none.
func openScreen(in io.Reader, out io.Writer) (*screen, error) {
	i, isFile := in.(*os.File)
	if !isFile || terminalWidth(out) == 0 || !term.IsTerminal(int(i.Fd())) {
		return nil, nil
	}
	before, err := term.MakeRaw(int(i.Fd()))
	if err != nil {
		return nil, err
	}
	ended, end, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, term.Restore(int(i.Fd()), before))
	}
	s := &screen{in: i, out: out.(*os.File), before: before, end: end, keys: make(chan byte, 16), resized: make(chan os.Signal, 1)}
	go s.readKeys(ended) // close waits for it
	signal.Notify(s.resized, syscall.SIGWINCH)
	_, err = io.WriteString(s.out, enterScreen)
	return s, err
}

// close gives the terminal back as it was.
func (s *screen) close() {
	signal.Stop(s.resized)
	_ = s.end.Close()
	for range s.keys { // until its reader has ended
	}
	_, _ = io.WriteString(s.out, leaveScreen) // a terminal that is gone needs neither
	_ = term.Restore(int(s.in.Fd()), s.before)
}

// readKeys reads until the other end of ended is closed: a read of a terminal cannot be
// interrupted, so it waits for both.
func (s *screen) readKeys(ended *os.File) {
	defer close(s.keys)
	defer ended.Close()
	buf := make([]byte, 1)
	for {
		fds := []unix.PollFd{{Fd: int32(s.in.Fd()), Events: unix.POLLIN}, {Fd: int32(ended.Fd()), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil {
			if errors.Is(err, unix.EINTR) {
				continue
			}
			return
		}
		if fds[1].Revents != 0 {
			return
		}
		if n, err := unix.Read(int(s.in.Fd()), buf); err != nil || n == 0 {
			return // the terminal is gone
		}
		select {
		case s.keys <- buf[0]:
		default: // nobody looks; there will be other keys
		}
	}
}

// size is that of the terminal now.
func (s *screen) size() (columns, rows int) {
	columns, rows, err := term.GetSize(int(s.out.Fd()))
	if err != nil || columns == 0 || rows == 0 { // it does not know
		return 80, 24
	}
	return columns, rows
}

// draw shows the lines in one write, over what was there, so that nothing flickers.
// Those that do not fit are left out; the first is a title.
func (s *screen) draw(lines []string) {
	columns, rows := s.size()
	var b strings.Builder
	b.WriteString(home)
	for i, line := range lines[:min(len(lines), rows)] {
		if i > 0 {
			b.WriteString("\r\n")
		}
		if line = cut(line, columns); i == 0 {
			line = bold + line + plain
		}
		b.WriteString(line + eraseRest)
	}
	b.WriteString(eraseBelow)
	_, _ = io.WriteString(s.out, b.String()) // a terminal that is gone has nobody to tell
}

// cells is how many columns a rune takes.
func cells(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me) { // goes onto the one before
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

func textWidth(s string) (n int) {
	for _, r := range s {
		n += cells(r)
	}
	return n
}

// cut shortens a line so that the terminal does not break it in two.
func cut(s string, columns int) string {
	if columns < 1 || textWidth(s) <= columns {
		return s
	}
	room := columns - 1
	for i, r := range s {
		if room -= cells(r); room < 0 {
			return s[:i] + "…"
		}
	}
	return s
}

// cutFront is cut for paths, of which the end tells more than the beginning.
func cutFront(s string, columns int) string {
	if columns < 1 || textWidth(s) <= columns {
		return s
	}
	room, runes := columns-1, []rune(s)
	i := len(runes)
	for i > 0 && room >= cells(runes[i-1]) {
		i--
		room -= cells(runes[i])
	}
	return "…" + string(runes[i:])
}
