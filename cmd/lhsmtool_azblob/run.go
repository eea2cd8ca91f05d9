package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"lhsm-azblob/cmd/internal/mover"
	"lhsm-azblob/cmd/internal/options"
)

const programName = mover.Program

// Exit statuses. A mistake in the usage is the one that the service manager must not
// answer with another start. It is 64, as in sysexits.h, and not 2: with that a Go
// program ends that panics, or that the watchdog aborts.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 64
)

// run is the program. It returns the exit status.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	app := &cli.App{
		Name: programName, Version: version, HideHelpCommand: true,
		Flags: mover.Table.Flags(), CustomAppHelpTemplate: strings.ReplaceAll(helpText(), "{{", "{{`{{`}}"),
		Writer: stdout, ErrWriter: stderr,
		OnUsageError: func(_ *cli.Context, err error, _ bool) error {
			return options.Usagef("%w; see %s --help", err, programName)
		},
		ExitErrHandler:            func(*cli.Context, error) {},
		DisableSliceFlagSeparator: true, // as in lhsmctl
		Action: func(c *cli.Context) error {
			return start(ctx, c, environ, stdout, stderr)
		},
	}
	err := app.Run(args)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "%s: %s\n", programName, options.OneLine(err.Error()))
	if errors.As(err, &options.UsageError{}) {
		return exitUsage
	}
	return exitFailure
}

// start finds out what is asked for, and does it.
func start(ctx context.Context, c *cli.Context, environ []string, stdout, stderr io.Writer) error {
	if text, ok, err := printed(c); ok || err != nil {
		_, werr := io.WriteString(stdout, text)
		return cmp.Or(err, werr)
	}
	v, err := mover.Table.Resolve(c, environ)
	if err != nil {
		return err
	}
	if v.On("print-config") {
		_, err := io.WriteString(stdout, mover.Table.Effective(v))
		return err
	}
	mount, err := mountOf(c)
	if err != nil {
		return err
	}
	read := func() (configuration, error) { return readConfiguration(c, environ, mount) }
	now, err := read()
	if err != nil {
		return err
	}
	return serve(ctx, now, read, stdout, stderr)
}

// A configuration is what flags, environment and file say together.
type configuration struct {
	values   *options.Values
	settings *mover.Settings
}

func readConfiguration(c *cli.Context, environ []string, mount string) (configuration, error) {
	v, err := mover.Table.Resolve(c, environ)
	if err != nil {
		return configuration{}, err
	}
	s, err := mover.SettingsOf(v)
	if err != nil {
		return configuration{}, err
	}
	s.Mount = mount
	return configuration{v, s}, nil
}

// printed is a text that is asked for and needs no configuration.
func printed(c *cli.Context) (text string, ok bool, err error) {
	switch {
	case c.Bool("sample-config"):
		return sampleConfig(), true, nil
	case c.IsSet("completion"):
		text, err = mover.Table.Completion(c.String("completion"))
		return text, true, err
	case c.IsSet("manual"):
		text, err = manualPage(c.String("manual"))
		return text, true, err
	}
	return "", false, nil
}

func mountOf(c *cli.Context) (string, error) {
	switch args := c.Args().Slice(); {
	case len(args) == 0, len(args) == 1 && args[0] == "":
		return "", options.Usagef("MOUNT is missing: give the mount point of a Lustre file system; see %s --help", programName)
	case len(args) > 1 && strings.HasPrefix(args[1], "-"):
		return "", options.Usagef("%s comes after MOUNT; options go before it", args[1])
	case len(args) > 1:
		return "", options.Usagef("%d arguments, and one is wanted: MOUNT", len(args))
	default:
		return args[0], nil
	}
}
