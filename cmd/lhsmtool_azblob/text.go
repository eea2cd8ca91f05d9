package main

import (
	"cmp"
	"fmt"
	"maps"
	"strconv"
	"strings"
)

// helpWidth is the number of columns that the help is made for.
const helpWidth = 100

const helpIntroduction = `
Serves the HSM actions of the Lustre file system mounted at MOUNT. Every option is also a key of the
configuration file, with underscores (block_size), and a variable of the environment
($LHSM_AZBLOB_BLOCK_SIZE). Flags come first, then environment, file, default. Secrets are no flags.
Several archives are [[archive]] tables in the file, each with an archive_id. Sizes are bytes, or
take KiB, MiB, GiB, TiB, KB, MB, GB, TB; times are like 90s or 5m. On the metadata server,
mdt.*.hsm.max_requests should be at least the sum of --archives and --restores of all movers.`

// helpText is what --help prints.
func helpText() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s - Lustre HSM copytool for Azure Blob Storage\n\nUsage: %s [options] MOUNT\n\n", programName, programName)
	b.WriteString(strings.Join(wrap(helpIntroduction, helpWidth), "\n") + "\n")
	for _, g := range groups {
		fmt.Fprintf(&b, "\n%s:\n", g.title)
		for _, o := range g.options {
			writeOption(&b, o)
		}
	}
	fmt.Fprintf(&b, "\nOther:\n  --help, -h\n  --version, -v\n\nExit status: 0 done, 1 failure, 2 usage.\n")
	return b.String()
}

func writeOption(b *strings.Builder, o *option) {
	head := strings.TrimRight("--"+o.name+" "+o.arg, " ")
	if !o.isFlag() {
		head = o.key() + " (file and environment only)"
	}
	tail := ""
	if o.def != "" && o.arg != "" {
		tail = "; default " + o.def
	}
	if allowed := allowedValues(o); allowed != "" {
		tail = "; one of " + allowed + tail
	}
	fmt.Fprintf(b, "  %s\n", head)
	for _, line := range wrap(o.help+tail, helpWidth-8) {
		fmt.Fprintf(b, "        %s\n", line)
	}
}

// allowedValues lists the values of options that have few.
func allowedValues(o *option) string {
	err := error(nil)
	if o.kind != nil {
		err = o.kind.set(&settings{}, []string{"\x00"})
	}
	if err == nil {
		return ""
	}
	_, list, _ := strings.Cut(err.Error(), " is none of ")
	return list
}

// wrap breaks a text into lines of a width.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimLeft(line+" "+word, " ")
	}
	return append(lines, line)
}

// sampleConfig is the file in packaging: every key with its default.
func sampleConfig() string {
	var b strings.Builder
	b.WriteString(`# Configuration of lhsmtool_azblob, in TOML. Every key stands here with its default.
# Options on the command line and variables of the environment ($LHSM_AZBLOB_BLOCK_SIZE for
# block_size) come before this file. Put secrets into files of their own, or chmod 600 this one.
`)
	for _, g := range groups {
		fmt.Fprintf(&b, "\n## %s\n", g.title)
		for _, o := range g.options {
			if o.inFile() {
				writeKey(&b, o, []string{o.def})
			}
		}
	}
	b.WriteString(`
## Several archives
# Each [[archive]] table is one, and needs an archive_id. What it leaves out it has from above, where
# archive_id does not count any more.
#
# [[archive]]
# archive_id = 1
# container_url = "https://fast.blob.core.windows.net/scratch"
#
# [[archive]]
# archive_id = [2, 3]
# container_url = "https://deep.blob.core.windows.net/records"
# access_tier = "Cool"
# auth = "managed-identity"
`)
	return b.String()
}

func writeKey(b *strings.Builder, o *option, texts []string) {
	tail := ""
	if allowed := allowedValues(o); allowed != "" {
		tail = "; one of " + allowed
	}
	for _, line := range wrap(o.help+tail, helpWidth-2) {
		fmt.Fprintf(b, "\n# %s", line)
	}
	fmt.Fprintf(b, "\n%s = %s\n", o.key(), literal(o, texts))
}

// literal writes a value as TOML.
func literal(o *option, texts []string) string {
	quoted := make([]string, len(texts))
	for i, t := range texts {
		quoted[i] = strconv.Quote(t)
		if _, err := strconv.ParseInt(t, 10, 64); err == nil {
			quoted[i] = t
		}
	}
	if isList(o) {
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	return quoted[0]
}

// effective is the configuration as it is used, as a file. Secrets are left out.
func (v *values) effective() string {
	var b strings.Builder
	writeTable(&b, v.byName, (*option).inFile)
	for _, table := range v.archives {
		b.WriteString("\n[[archive]]\n")
		own := maps.Clone(table)
		maps.DeleteFunc(own, func(name string, val value) bool { return val.origin == v.byName[name].origin })
		writeTable(&b, own, (*option).inArchive)
	}
	return b.String()
}

func writeTable(b *strings.Builder, table map[string]value, keep func(*option) bool) {
	for o := range options {
		v, ok := table[o.name]
		switch {
		case !ok || !keep(o):
		case o.scope == secret && v.texts[0] != "":
			fmt.Fprintf(b, "# %s is set by %s\n", o.key(), cmp.Or(v.origin, "default"))
		default:
			fmt.Fprintf(b, "%s = %s\n", o.key(), literal(o, v.texts))
		}
	}
}
