package main

import (
	"fmt"
	"strings"

	"lhsm-azblob/cmd/internal/manual"
	"lhsm-azblob/cmd/internal/mover"
	"lhsm-azblob/cmd/internal/options"
)

// date is that of the manual, set by the linker.
var date string

const (
	about     = "Lustre HSM copytool for Azure Blob Storage"
	usageLine = "[options] MOUNT"
	fileName  = "lhsm-azblob.conf"
)

// manualPage is one of the pages about the copytool.
func manualPage(section string) (string, error) {
	switch section {
	case "8":
		return programPage(), nil
	case "5":
		return filePage(), nil
	}
	return "", options.Usagef("--manual: %q is none of %s", section, strings.Join(mover.ManualSections, ", "))
}

func programPage() string {
	p := manual.New(manual.Head{Name: programName, Section: 8, About: about, Date: date, Version: version})
	p.Section("Synopsis")
	p.Usage(programName, usageLine)
	p.Section("Description")
	p.Text(helpIntroduction)
	p.Section("Options")
	mover.Table.ManualOptions(p)
	p.Subsection("Other")
	for _, o := range options.Standard {
		p.Item("--"+o.Name+", -"+o.Name[:1], "", o.Help+".")
	}
	p.Section("Signals")
	for _, s := range signalTexts {
		p.Item(s.name, "", s.help)
	}
	p.Section("Exit status")
	for _, e := range exitTexts {
		p.Item(fmt.Sprint(e.status), "", e.help+".")
	}
	p.Section("Files")
	for _, f := range fileTexts {
		p.Item(f.name, "", f.help)
	}
	p.Section("Examples")
	p.Text("Check a configuration, and what it leads to, before the service is started; then start it:")
	p.Example(exampleStart)
	p.Section("See also")
	p.Text("lhsm-azblob.conf(5), lhsmctl(1), lfs-hsm(1), systemd-escape(1)")
	return p.String()
}

func filePage() string {
	p := manual.New(manual.Head{Name: fileName, Section: 5, About: "configuration of the Lustre HSM copytool lhsmtool_azblob", Date: date, Version: version})
	p.Section("Description")
	p.Text(fileDescription)
	p.Section("Keys")
	mover.Table.ManualKeys(p)
	p.Section("Several archives")
	p.Text(severalArchives)
	p.Example(exampleArchives)
	p.Section("Secrets")
	p.Text(secretsText)
	p.Section("See also")
	p.Text("lhsmtool_azblob(8), lhsmctl(1)")
	return p.String()
}

type namedText struct{ name, help string }

var exitTexts = []struct {
	status int
	help   string
}{
	{exitOK, "done"},
	{exitFailure, "failure; the line on standard error says which, and what to do"},
	{exitUsage, "usage: an option, or the configuration, is wrong; another start does not mend it"},
}

var signalTexts = []namedText{
	{"SIGTERM, SIGINT", `Take no more actions, and let those that run and wait come to their end within --drain-timeout.
A second one ends them at once: they are reported so that they can be asked for again.`},
	{"SIGHUP", `Read the configuration file, and the files with credentials, again (systemctl reload). Log level, limits and credentials change at once, and actions
go on; lhsm-azblob.conf(5) calls such keys reloadable. What needs a restart is named in the log. A configuration with a mistake in it, or a credential that the
account refuses, changes nothing, and is a line at level ERROR.`},
}

var fileTexts = []namedText{
	{"/etc/lhsm-azblob/INSTANCE.conf", "Configuration of the service lhsmtool_azblob@INSTANCE, where INSTANCE is the mount point as systemd-escape --path writes it. See lhsm-azblob.conf(5)."},
	{"/etc/lhsm-azblob/INSTANCE.env", "Variables of the environment of that service; need not be there."},
	{"/var/lib/lhsm-azblob", "Journals of actions in flight (--state-dir)."},
	{"/run/lhsm-azblob", "Locks of mounts (--run-dir)."},
}

const exampleStart = `lhsmtool_azblob --config /etc/lhsm-azblob/mnt-lustre.conf --check /mnt/lustre
systemctl enable --now lhsmtool_azblob@mnt-lustre`

const fileDescription = `
The file that lhsmtool_azblob(8) reads with --config, in TOML: key = value, a line each. Texts stand in quotes, numbers do not; # begins a comment. A key that is
not listed here is an error, and so is a value that is out of bounds: a line on standard error names the file, the line, the key, and what is allowed. Check a file with
lhsmtool_azblob --config FILE --check MOUNT.

Each key is also an option of the command line, with dashes (--block-size for block_size), and a variable of the environment ($LHSM_AZBLOB_BLOCK_SIZE). Options come before
variables, those before the file, the file before the defaults. lhsmtool_azblob --print-config shows what is in force; --sample-config prints a file with every key and its default.

Keys that are called reloadable take effect with systemctl reload (SIGHUP) while actions go on; the others need a restart, and the log names those that wait for one.

Sizes are bytes, or take KiB, MiB, GiB, TiB, KB, MB, GB, TB; times are like 90s, 5m or 1h30m.`

const secretsText = `
A file with a secret in it must be readable by root and the user of the service alone (chmod 600), and so must the files that the keys ending in _file name. Secrets are never printed.`
