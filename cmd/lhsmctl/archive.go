package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"lhsm-azblob/httpapi"
)

// archiveCommand has what there is to do with jobs. The managed service calls
// the same an export.
func (p *program) archiveCommand() *cli.Command {
	return &cli.Command{
		Name: "archive", Aliases: []string{"export"}, Usage: "make, watch and cancel archive jobs", Action: noSuchCommand, HideHelpCommand: true,
		Subcommands: []*cli.Command{
			p.createCommand(),
			p.client(cli.Command{Name: "list", Usage: "list jobs, the newest first", Flags: []cli.Flag{
				&cli.IntFlag{Name: "limit", Value: 20, Usage: "at most `N` jobs; 0 is all"},
			}}, (*session).list),
			p.client(cli.Command{Name: "show", Usage: "show a job; without ID, the one that runs or ran last", ArgsUsage: "[ID]"}, (*session).show),
			p.client(cli.Command{Name: "watch", Usage: "show a job's progress until it is over, and exit by its result", ArgsUsage: "[ID]"}, (*session).watch),
			p.client(cli.Command{Name: "cancel", Usage: "cancel a job; without ID, the one that runs", ArgsUsage: "[ID]", Flags: []cli.Flag{
				&cli.BoolFlag{Name: "drain", Usage: "let running files end first"},
			}}, (*session).cancel),
			p.client(cli.Command{Name: "retry", Usage: "make a job of the failures of another", ArgsUsage: "ID", Flags: []cli.Flag{waitFlag()}}, (*session).retry),
			p.client(cli.Command{Name: "report", Usage: "print what became of a job's files", ArgsUsage: "ID", Flags: []cli.Flag{
				&cli.StringFlag{Name: "format", Usage: "`FORMAT` csv (without --output json) or jsonl"},
				&cli.BoolFlag{Name: "all", Usage: "every file, not only failures: of dry runs, and of jobs with --report all"},
				&cli.StringFlag{Name: "o", Usage: "write it to `FILE`, which is replaced when the new one is complete; a pipe or a device is written to"},
			}}, (*session).report),
		},
	}
}

func waitFlag() cli.Flag {
	return &cli.BoolFlag{Name: "wait", Usage: "wait for the end, show progress, and exit by the result"}
}

func (s *session) list() error {
	var found []httpapi.Job
	if s.c.NArg() > 0 {
		_, err := s.one("nothing")
		return err
	}
	err := s.eachJob(s.c.Int("limit"), func(j httpapi.Job) bool {
		found = append(found, j)
		return true
	})
	if err != nil {
		return err
	}
	return s.print(httpapi.JobList{Jobs: append([]httpapi.Job{}, found...)}, func() { printList(s.stdout, found) })
}

func (s *session) show() error {
	id, err := s.optionalOrLast()
	if err != nil {
		return err
	}
	var j httpapi.Job
	if err := s.call("GET", fmt.Sprintf("/v1/jobs/%d", id), nil, &j); err != nil {
		return err
	}
	return s.print(j, func() { printJob(s.stdout, j) })
}

func (s *session) cancel() error {
	id, err := s.optional()
	if err != nil {
		return err
	}
	var j httpapi.Job
	request := httpapi.CancelRequest{Drain: s.c.Bool("drain")}
	if err := s.call("POST", fmt.Sprintf("/v1/jobs/%d/cancel", id), request, &j); err != nil {
		return err
	}
	return s.print(j, func() { fmt.Fprintf(s.stdout, "job %d is %s\n", j.ID, j.State) })
}

func (s *session) retry() error {
	id, err := s.given()
	if err != nil {
		return err
	}
	var j httpapi.Job
	if err := s.call("POST", fmt.Sprintf("/v1/jobs/%d/retry", id), nil, &j); err != nil {
		return err
	}
	return s.created(j, s.c.Bool("wait"))
}
