package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"lhsm-azblob/httpapi"
)

// terminalWidth is the number of columns of a terminal, and 0 of anything else.
func terminalWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	switch {
	case err != nil:
		return 0
	case size.Col == 0: // a terminal that does not know
		return 80
	}
	return int(size.Col)
}

// barViewer draws over what it drew before.
type barViewer struct {
	p     *program
	width func() int
	lines int // drawn so far
}

// Control sequences of terminals.
const (
	lineUp    = "\x1b[A"
	eraseLine = "\r\x1b[K"
)

func (v *barViewer) job(j httpapi.Job) { v.draw(bars(j, v.width())...) }

func (v *barViewer) away(error) {
	v.draw("The service does not answer; trying again…")
}

func (v *barViewer) done() { v.draw() }

func (v *barViewer) draw(lines ...string) {
	var b strings.Builder
	for range v.lines {
		b.WriteString(lineUp + eraseLine)
	}
	for _, l := range lines {
		b.WriteString(cut(l, v.width()-1) + "\n")
	}
	v.lines = len(lines)
	io.WriteString(v.p.stdout, b.String()) //nolint:errcheck // a terminal that is gone has nobody to tell
}

// bars are the lines of a job on a terminal.
func bars(j httpapi.Job, width int) []string {
	c := j.Counters
	files, bytes := toGo(j)
	lines := []string{fmt.Sprintf("Job %d  %s  %s", j.ID, j.State, pathText(j))}
	if !j.DryRun {
		lines = append(lines,
			bar("files", c.FilesExported, files, fmt.Sprintf("%s/%s  %s/s", countText(c.FilesExported), countText(files), rateText(j.FilesPerSecond)), width),
			bar("data", c.BytesExported, bytes, fmt.Sprintf("%s/%s  %s/s", sizeText(c.BytesExported), sizeText(bytes), sizeText(int64(j.BytesPerSecond))), width))
	}
	last := fmt.Sprintf("%s skipped, %s failed", countText(c.FilesSkipped), countText(c.FilesFailed))
	if j.ETASeconds > 0 {
		last += ", " + secondsText(j.ETASeconds) + " left"
	}
	lines = append(lines, last)
	if j.WaitsFor != "" {
		lines = append(lines, "Waiting: "+printable(j.WaitsFor))
	}
	return lines
}

// bar draws a part of a whole in the space that a label and a text leave.
func bar(label string, part, whole int64, text string, width int) string {
	return fmt.Sprintf("%-5s %s %s", label, gauge(part, whole, max(10, min(60, width-len(label)-len(text)-8))), text)
}

// gauge is a part of a whole in so many characters and two brackets.
func gauge(part, whole int64, room int) string {
	full := 0
	if whole > 0 {
		full = int(float64(room) * float64(min(max(part, 0), whole)) / float64(whole))
	}
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", room-full) + "]"
}
