package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"lhsm-azblob/cmd/internal/options"
)

const programName = "lhsmctl"

// A program is one run of lhsmctl.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	environ        []string
	moverTime      time.Duration // that a look at movers takes at most; 0: as in the service
}

// run returns the exit status.
func (p *program) run(ctx context.Context, args []string) int {
	app := p.app()
	err := app.RunContext(ctx, arrange(app.Commands, args))
	if err != nil && !errors.As(err, &jobEnd{}) && !errors.As(err, &worst{}) {
		fmt.Fprintf(p.stderr, "%s: %s\n", programName, options.OneLine(err.Error()))
	}
	return exitStatus(err)
}

func (p *program) app() *cli.App {
	usage := func(_ *cli.Context, err error, _ bool) error {
		return options.Usagef("%w; see %s --help", err, programName)
	}
	app := &cli.App{
		Name: programName, Version: version, Usage: "archive jobs of a Lustre file system, and a look at what they depend on", Description: exitHelp,
		HideHelpCommand: true, EnableBashCompletion: true, Writer: p.stdout, ErrWriter: p.stderr,
		OnUsageError:              usage,
		ExitErrHandler:            func(*cli.Context, error) {},
		DisableSliceFlagSeparator: true, // a comma is part of a path
		Commands:                  []*cli.Command{p.archiveCommand(), p.explainCommand(), p.topCommand(), p.verifyCommand(), p.importCommand(), p.doctorCommand(), p.examineCommand(), p.benchCommand(), p.serveCommand(), p.completionCommand(), p.manualCommand()},
		Action:                    noSuchCommand,
	}
	for _, c := range leaves(app.Commands) {
		c.OnUsageError = usage
		c.HideHelpCommand = true
	}
	return app
}

// noSuchCommand is what a command with sub-commands does by itself.
func noSuchCommand(c *cli.Context) error {
	if c.NArg() == 0 {
		return cli.ShowSubcommandHelp(c)
	}
	return options.Usagef("there is no command %q; see %s --help", c.Args().First(), programName)
}

// leaves are the commands that do something.
func leaves(commands []*cli.Command) []*cli.Command {
	var all []*cli.Command
	for _, c := range commands {
		if len(c.Subcommands) == 0 {
			all = append(all, c)
		}
		all = append(all, leaves(c.Subcommands)...)
	}
	return all
}

// client makes a command that asks the service.
func (p *program) client(c cli.Command, do func(s *session) error) *cli.Command {
	c.Flags = append(c.Flags, clientFlags()...)
	c.Action = func(cc *cli.Context) error {
		s, err := p.connect(cc)
		if err != nil {
			return err
		}
		return do(s)
	}
	return &c
}
