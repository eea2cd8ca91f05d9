package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

const programName = "lhsmtool_azblob"

// Exit statuses.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// A usageError is a mistake in what was asked for, as opposed to one in what
// was found.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run is the program. It returns the exit status.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	app := &cli.App{
		Name: programName, Version: version, HideHelpCommand: true,
		Flags: flags(), CustomAppHelpTemplate: strings.ReplaceAll(helpText(), "{{", "{{`{{`}}"),
		Writer: stdout, ErrWriter: stderr,
		OnUsageError:   func(_ *cli.Context, err error, _ bool) error { return usagef("%w; see %s --help", err, programName) },
		ExitErrHandler: func(*cli.Context, error) {},
		Action: func(c *cli.Context) error {
			return start(ctx, c, environ, stdout, stderr)
		},
	}
	err := app.Run(args)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "%s: %s\n", programName, oneLine(err.Error()))
	if errors.As(err, &usageError{}) {
		return exitUsage
	}
	return exitFailure
}

// oneLine keeps a message that came from elsewhere on one line.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

// start finds out what is asked for, and does it.
func start(ctx context.Context, c *cli.Context, environ []string, stdout, stderr io.Writer) error {
	if c.Bool("sample-config") {
		_, err := io.WriteString(stdout, sampleConfig())
		return err
	}
	v, err := resolve(c, environ)
	if err != nil {
		return err
	}
	if v.on("print-config") {
		_, err := io.WriteString(stdout, v.effective())
		return err
	}
	mount, err := mountOf(c)
	if err != nil {
		return err
	}
	s, err := settingsOf(v)
	if err != nil {
		return err
	}
	s.mount = mount
	return serve(ctx, s, stdout, stderr)
}

func mountOf(c *cli.Context) (string, error) {
	switch args := c.Args().Slice(); {
	case len(args) == 0:
		return "", usagef("MOUNT is missing: give the mount point of a Lustre file system; see %s --help", programName)
	case len(args) > 1 && strings.HasPrefix(args[1], "-"):
		return "", usagef("%s comes after MOUNT; options go before it", args[1])
	case len(args) > 1:
		return "", usagef("%d arguments, and one is wanted: MOUNT", len(args))
	default:
		return args[0], nil
	}
}
