// Command lfs has those commands of Lustre's lfs that an HSM user types, for
// machines without Lustre. Its output, its messages and its exit status are
// those of lfs 2.17, down to how it takes its arguments: scripts and tests that
// work with it shall work with the real one.
//
// It is also what drives package llapi in every test that runs a command.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"lhsm-azblob/llapi"
)

// version is the release whose behaviour this program has.
const version = "2.17.0"

func main() {
	l := &lfs{
		prog: filepath.Base(os.Args[0]), stdout: os.Stdout, stderr: os.Stderr,
		fidOf: llapi.PathToFID, send: llapi.SendRequestOnce,
	}
	os.Exit(l.run(os.Args))
}

// lfs is one run of the program.
type lfs struct {
	prog           string // its name in messages
	stdout, stderr io.Writer

	// What the request commands need of Lustre.
	fidOf func(path string) (llapi.FID, error)
	send  func(path string, r llapi.Request) error
}

// Commands return 0, a negative errno, or help: print the usage and exit so.
const help = 4

type command struct {
	name string
	run  func(l *lfs, argv []string) int // argv[0] is the name
	help string
}

// run runs a command line and returns the exit status.
func (l *lfs) run(argv []string) int {
	if len(argv) < 2 {
		l.errorf("%s: interactive mode is not part of this lfs\n", l.prog)
		return 1
	}
	argv = argv[1:]
	switch argv[0] {
	case "help", "--help":
		return l.help(argv[1:])
	case "list-commands", "--list-commands":
		l.list()
		return 0
	case "version", "--version":
		l.printf("%s %s\n", l.prog, version)
		return 0
	}
	cmd, ok := find(argv[0])
	if !ok {
		l.errorf("%s: '%s' is not a valid command. See '%s --list-commands'.\n", l.prog, argv[0], l.prog)
		return 1
	}
	rc := cmd.run(l, argv)
	if rc == help {
		l.printf("%s\n", cmd.help)
	}
	return max(rc, -rc)
}

func find(name string) (command, bool) {
	for _, c := range commands() {
		if c.name == name {
			return c, true
		}
	}
	return command{}, false
}

func (l *lfs) help(topics []string) int {
	if len(topics) == 0 {
		l.printf("usage: %s [COMMAND] [OPTIONS]... [ARGS]\n"+
			"Without any parameters, interactive mode is invoked\n"+
			"Try '%s help <COMMAND>', or '%s --list-commands' for a list of commands.\n", l.prog, l.prog, l.prog)
		return 0
	}
	topic := strings.Join(topics, "")
	if c, ok := find(topic); ok {
		l.errorf("%s: %s\n", topic, c.help)
	} else {
		l.errorf("%s: '%s' is not a valid command. See '%s --list-commands'.\n", l.prog, topic, l.prog)
	}
	return 0
}

// list prints the commands in the four columns of the real one.
func (l *lfs) list() {
	names := []string{"help", "--help", "version", "--version", "list-commands", "--list-commands"}
	for _, c := range commands() {
		names = append(names, c.name)
	}
	for i, name := range names {
		l.printf("%-19s ", name)
		if i%4 == 3 || i == len(names)-1 {
			l.printf("\n")
		}
	}
}

// load loads liblustreapi for a command, and tells it the command's name for
// its own messages.
func (l *lfs) load(name string) bool {
	err := llapi.SetCommandName(name)
	if err != nil {
		l.errorf("%s: %v\n", l.prog, err)
	}
	return err == nil
}

func (l *lfs) printf(format string, args ...any) { fmt.Fprintf(l.stdout, format, args...) }
func (l *lfs) errorf(format string, args ...any) { fmt.Fprintf(l.stderr, format, args...) }

// errnoOf returns the errno within err, as a command returns it.
func errnoOf(err error) int {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return -int(errno)
	}
	return -int(syscall.EIO)
}

// strerror is the C library's text for the errno within err. Go's begins with
// a small letter, and is the same otherwise.
func strerror(err error) string {
	text := syscall.Errno(-errnoOf(err)).Error()
	return strings.ToUpper(text[:1]) + text[1:]
}
