package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"lhsm-azblob/httpapi"
)

func (p *program) explainCommand() *cli.Command {
	return p.client(cli.Command{
		Name: "explain", Usage: "say all that is known of a file: its state, its copy, what happens to it, and what the next job would do with it", ArgsUsage: "PATH",
	}, (*session).explain)
}

func (s *session) explain() error {
	path, err := s.one("PATH")
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		if path, err = filepath.Abs(path); err != nil { // a relative one means what it means here
			return err
		}
	}
	var e httpapi.Explanation
	if err := s.call("GET", "/v1/explain?path="+url.QueryEscape(path), nil, &e); err != nil {
		return err
	}
	return s.print(e, func() { s.printExplanation(e) })
}

func (s *session) printExplanation(e httpapi.Explanation) {
	t := tabwriter.NewWriter(s.stdout, 0, 8, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(t, "%s:\t%s\n", name, fmt.Sprintf(format, args...))
	}
	line("file", "%s", printable(e.Path))
	line("fid", "%s", e.FID)
	line("size", "%s", sizeText(e.Size))
	line("state", "%s", e.State)
	line("now", "%s", e.Action)
	if c := e.Copy; c != nil {
		line("copy", "blob %s in container %s of account %s, %s, ETag %s, archived %s", printable(c.Blob), c.Container, c.Account, sizeText(c.Size), c.ETag, timeText(&c.Time))
	}
	if l := e.LastError; l != nil {
		line("last error", "%s: %s (%s on %s at %s)", l.Code, printable(l.Message), l.Op, l.Host, timeText(&l.Time))
	}
	verb := "skips it"
	if e.WouldArchive {
		verb = "archives it"
	}
	line("the next job", "%s: %s", verb, e.Why)
	t.Flush() //nolint:errcheck // who listens no more needs no explanation
}
