package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"lhsm-azblob/cmd/internal/options"
	"lhsm-azblob/httpapi"
	"lhsm-azblob/jobs"
)

func (p *program) createCommand() *cli.Command {
	return p.client(cli.Command{
		Name: "create", Usage: "archive every new or changed file whose path begins with PREFIX; without one, all of them", ArgsUsage: "[PREFIX…]",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "filesystem-path", Usage: "`PREFIX`, as the managed service's tools spell it"},
			&cli.StringFlag{Name: "files-from", Usage: "archive the files that `LIST` names, a path a line, in place of prefixes; - is standard input"},
			&cli.BoolFlag{Name: "null", Aliases: []string{"0"}, Usage: "paths of --files-from end with NUL, as find -print0 writes them"},
			&cli.BoolFlag{Name: "dry-run", Usage: "count and list what would be archived, submit nothing; implies --wait"},
			waitFlag(),
			&cli.StringFlag{Name: "request-id", Usage: "`TEXT` that makes it safe to ask again: the same one gives the same job"},
			&cli.StringFlag{Name: "if-busy", Value: string(jobs.BusyQueue), Usage: "while another job has the file system: queue or fail (`HOW`)"},
			&cli.UintFlag{Name: "archive-id", Usage: "archive `ID` to put files into; 0 is each file's own, or the default"},
			&cli.StringFlag{Name: "report", Value: "failures", Usage: "what to record for the report: failures or all (`WHAT`)"},
			&cli.IntFlag{Name: "retries", Value: -1, DefaultText: "3", Usage: "try a file that changes meanwhile `N` times more"},
		},
	}, (*session).create)
}

func (s *session) create() error {
	request, err := s.request()
	if err != nil {
		return err
	}
	var j httpapi.Job
	if err := s.call("POST", "/v1/jobs", request, &j); err != nil {
		return err
	}
	return s.created(j, s.c.Bool("wait") || request.DryRun)
}

// created says that a job was made, and waits for it if it should.
func (s *session) created(j httpapi.Job, wait bool) error {
	if wait {
		return s.watchJob(j.ID)
	}
	return s.print(j, func() {
		fmt.Fprintf(s.stdout, "job %d is %s; %s archive watch %d shows its progress\n", j.ID, j.State, programName, j.ID)
	})
}

func (s *session) request() (*httpapi.JobRequest, error) {
	id, err := archiveID(s.c, "archive-id")
	if err != nil {
		return nil, err
	}
	q := &httpapi.JobRequest{
		DryRun: s.c.Bool("dry-run"), RequestID: s.c.String("request-id"), IfBusy: jobs.Busy(s.c.String("if-busy")), ArchiveID: id,
	}
	if n := s.c.Int("retries"); s.c.IsSet("retries") {
		q.Retries = &n
	}
	switch what := s.c.String("report"); what {
	case "failures":
	case "all":
		q.ReportAll = true
	default:
		return nil, options.Usagef("--report: %q is neither failures nor all", what)
	}
	prefixes := append(s.c.StringSlice("filesystem-path"), s.c.Args().Slice()...)
	from := s.c.String("files-from")
	switch {
	case !s.c.IsSet("files-from"):
		q.Prefixes, q.PathsEscaped = httpapi.EscapePaths(prefixes)
		return q, nil
	case from == "":
		return nil, options.Usagef(`--files-from: "" is no file`)
	case len(prefixes) > 0:
		return nil, options.Usagef("give prefixes or --files-from, not both; make two jobs")
	}
	files, err := s.readList(from)
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("--files-from: %s names no file", from)
	}
	q.Files, q.PathsEscaped = httpapi.EscapePaths(files)
	return q, err
}

// readList reads the paths of a list.
func (s *session) readList(from string) ([]string, error) {
	in := s.stdin
	if from != "-" {
		f, err := os.Open(from)
		if err != nil {
			return nil, fmt.Errorf("--files-from: %w", err)
		}
		defer f.Close()
		in = f
	}
	end := byte('\n')
	if s.c.Bool("null") {
		end = 0
	}
	var files []string
	for r := bufio.NewReader(in); ; {
		line, err := r.ReadBytes(end)
		if line = bytes.TrimSuffix(line, []byte{end}); len(line) > 0 {
			files = append(files, string(line))
		}
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("--files-from: %w", err)
		}
	}
}
