package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// arrange puts flags before arguments, which is the order that package cli wants
// and that nobody types: `archive create /data --wait`. What comes after "--"
// is arguments, whatever it looks like.
func arrange(commands []*cli.Command, args []string) []string {
	if len(args) == 0 || slices.Contains(args, completionFlag) {
		return args
	}
	a := arranger{commands: commands, known: clientFlags()}
	rest := args[1:]
	for len(rest) > 0 {
		rest = rest[a.take(rest):]
	}
	out := append([]string{args[0]}, a.words...)
	out = append(out, a.flags...)
	if len(a.arguments) > 0 {
		out = append(append(out, "--"), a.arguments...)
	}
	return out
}

// completionFlag is how a shell asks package cli for completions.
const completionFlag = "--generate-bash-completion"

type arranger struct {
	commands                []*cli.Command // that the next word may name
	known                   []cli.Flag
	words, flags, arguments []string
}

// take sorts in the first of args, and tells how many it took.
func (a *arranger) take(args []string) int {
	first := args[0]
	switch {
	case first == "--":
		a.arguments = append(a.arguments, args[1:]...)
		return len(args)
	case strings.HasPrefix(first, "-") && first != "-":
		n := 1
		if a.takesValue(first) && len(args) > 1 {
			n = 2
		}
		a.flags = append(a.flags, args[:n]...)
		return n
	}
	i := slices.IndexFunc(a.commands, func(c *cli.Command) bool { return c.HasName(first) })
	if i < 0 || len(a.arguments) > 0 {
		a.arguments = append(a.arguments, first)
		return 1
	}
	a.words = append(a.words, first)
	a.known = append(a.known, a.commands[i].Flags...)
	a.commands = a.commands[i].Subcommands
	return 1
}

// takesValue tells whether the next argument belongs to a flag.
func (a *arranger) takesValue(flag string) bool {
	name := strings.TrimLeft(flag, "-")
	if strings.Contains(name, "=") {
		return false
	}
	for _, f := range a.known {
		if _, toggle := f.(*cli.BoolFlag); slices.Contains(f.Names(), name) {
			return !toggle
		}
	}
	return false
}
