package main

import (
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"lhsm-azblob/cmd/internal/manual"
)

// date is that of the manual, set by the linker.
var date string

func (p *program) manualCommand() *cli.Command {
	return &cli.Command{
		Name: "manual", Usage: "print the manual page: " + programName + " manual | man -l -",
		Action: func(c *cli.Context) error {
			_, err := io.WriteString(p.stdout, manualPage(c.App))
			return err
		},
	}
}

// manualPage is written from the commands themselves.
func manualPage(app *cli.App) string {
	p := manual.New(manual.Head{Name: programName, Section: 1, About: app.Usage, Date: date, Version: version})
	commands := leavesOf("", app.Commands)
	p.Section("Synopsis")
	for _, c := range commands {
		p.Usage(programName+" "+c.words, c.arguments())
	}
	p.Section("Description")
	p.Text(manualDescription)
	p.Section("Commands")
	for _, c := range commands {
		c.write(p)
	}
	p.Section("Options of what asks the service")
	writeFlags(p, clientFlags())
	p.Section("Options of the service")
	p.Text(serveIntroduction)
	table.ManualOptions(p)
	p.Section("Exit status")
	p.Text(exitHelp)
	p.Section("Files")
	for _, f := range manualFiles {
		p.Item(f.name, "", f.help)
	}
	p.Section("Examples")
	p.Example(manualExamples)
	p.Section("See also")
	p.Text("lhsmtool_azblob(8), lhsm-azblob.conf(5), lfs-hsm(1)")
	return p.String()
}

// A leaf is a command that does something.
type leaf struct {
	*cli.Command
	words string // by which it is called
}

func leavesOf(above string, commands []*cli.Command) []leaf {
	var all []leaf
	for _, c := range commands {
		if c.Hidden {
			continue
		}
		words := strings.TrimLeft(above+" "+c.Name, " ")
		if len(c.Subcommands) == 0 {
			all = append(all, leaf{c, words})
		}
		all = append(all, leavesOf(words, c.Subcommands)...)
	}
	return all
}

func (l leaf) arguments() string {
	if !slices.ContainsFunc(l.Flags, notHelp) {
		return l.ArgsUsage
	}
	return strings.TrimRight("[options] "+l.ArgsUsage, " ")
}

// notHelp tells whether a flag is not the one that package cli adds everywhere.
func notHelp(f cli.Flag) bool { return f.Names()[0] != cli.HelpFlag.Names()[0] }

func (l leaf) write(p *manual.Page) {
	p.Subsection(l.words)
	p.Text(l.Usage + ".")
	if l.Description != "" {
		p.Text(l.Description)
	}
	if l.Name != "serve" { // whose options have a section of their own
		writeFlags(p, l.own())
	}
}

// own are the flags that not every command has.
func (l leaf) own() []cli.Flag {
	var shared []string
	for _, f := range clientFlags() {
		shared = append(shared, f.Names()[0])
	}
	return slices.DeleteFunc(slices.Clone(l.Flags), func(f cli.Flag) bool { return slices.Contains(shared, f.Names()[0]) })
}

func writeFlags(p *manual.Page, flags []cli.Flag) {
	for _, f := range flags {
		documented, ok := f.(cli.DocGenerationFlag)
		if !ok || !notHelp(f) {
			continue
		}
		value, help := usageOf(documented)
		p.Item(strings.Join(dashed(f.Names()), ", "), value, help+".")
	}
}

func dashed(names []string) []string {
	var all []string
	for _, name := range names {
		dash := "--"
		if len(name) == 1 {
			dash = "-"
		}
		all = append(all, dash+name)
	}
	return all
}

// usageOf is what stands for a flag's value, and its help with what holds if it
// is not given.
func usageOf(f cli.DocGenerationFlag) (value, help string) {
	help = f.GetUsage()
	if !f.TakesValue() {
		return "", help
	}
	value = "VALUE"
	if before, rest, ok := strings.Cut(help, "`"); ok {
		word, after, _ := strings.Cut(rest, "`")
		value, help = word, before+word+after
	}
	if f.GetValue() != "" {
		help += "; default " + strings.Trim(f.GetDefaultText(), `"`)
	}
	for _, name := range f.GetEnvVars() {
		help += "; also $" + name
	}
	return value, help
}

const manualDescription = `
Archives trees of a Lustre file system to Azure Blob Storage by jobs, watches and cancels them, and explains what becomes of a file. lhsmctl serve is the service that
works on the jobs of a mount; the commands that ask it need neither root nor Lustre, only access to its socket, or to its address and a token.

PREFIX is a string and not a directory: /results chooses /results/x, /results2/x and /results.txt. Options may stand before and after arguments; -- ends them.`

var manualFiles = []struct{ name, help string }{
	{strings.TrimPrefix(defaultServer, "unix://"), "Where the service listens, and commands look for it."},
	{"/etc/lhsm-azblob/lhsmctl-INSTANCE.conf", "Configuration of the service lhsmctl-serve@INSTANCE, where INSTANCE is the mount point as systemd-escape --path writes it, in TOML: each option of lhsmctl serve is a key, with underscores. lhsmctl serve --sample-config prints one with all of them."},
	{"/var/lib/lhsm-azblob/jobs-FSNAME.db", "The jobs of a file system."},
}

const manualExamples = `
lhsmctl archive create /results --dry-run
lhsmctl archive create /results --wait
lhsmctl archive watch
lhsmctl archive report 7 -o failures.csv
lhsmctl explain /mnt/lustre/results/run1.dat
lhsmctl bench --config /etc/lhsm-azblob/mnt-lustre.conf`
