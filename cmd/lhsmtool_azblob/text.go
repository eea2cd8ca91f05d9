package main

import (
	"fmt"
	"strings"

	"lhsm-azblob/cmd/internal/mover"
	"lhsm-azblob/cmd/internal/options"
)

const helpIntroduction = `
Serves the HSM actions of the Lustre file system mounted at MOUNT. Every option is also a key of the
configuration file, with underscores (block_size), and a variable of the environment
($LHSM_AZBLOB_BLOCK_SIZE). Flags come first, then environment, file, default. Secrets are no flags.
Several archives are [[archive]] tables in the file, each with an archive_id. Sizes are bytes, or
take KiB, MiB, GiB, TiB, KB, MB, GB, TB; times are like 90s or 5m. On the metadata server,
mdt.*.hsm.max_requests should be at least the sum of --archives and --restores of all movers.`

// helpText is what --help prints.
func helpText() string {
	text := mover.Table.Help(programName+" - "+about, programName+" "+usageLine, helpIntroduction) + "\nOther:\n"
	for _, o := range options.Standard {
		text += fmt.Sprintf("  --%s, -%s\n        %s\n", o.Name, o.Name[:1], o.Help)
	}
	return text + fmt.Sprintf("\nExit status: %d done, %d failure, %d usage.\n", exitOK, exitFailure, exitUsage)
}

// sampleConfig is the file in packaging: every key with its default.
func sampleConfig() string {
	tail := "\n## Several archives\n"
	for _, line := range options.Wrap(severalArchives, options.HelpWidth-2) {
		tail += "# " + line + "\n"
	}
	for line := range strings.SplitSeq(exampleArchives, "\n") {
		tail += strings.TrimRight("# "+line, " ") + "\n"
	}
	return mover.Table.Sample(sampleHead, tail)
}

const sampleHead = `# Configuration of lhsmtool_azblob, in TOML. Every key stands here with its default.
# Options on the command line and variables of the environment ($LHSM_AZBLOB_BLOCK_SIZE for
# block_size) come before this file. Put secrets into files of their own, or chmod 600 this one.
`

const severalArchives = `
Each [[archive]] table is one, and needs an archive_id. What it leaves out it has from above, where
archive_id does not count any more.`

const exampleArchives = `
[[archive]]
archive_id = 1
container_url = "https://fast.blob.core.windows.net/scratch"

[[archive]]
archive_id = [2, 3]
container_url = "https://deep.blob.core.windows.net/records"
access_tier = "Cool"
auth = "managed-identity"`
