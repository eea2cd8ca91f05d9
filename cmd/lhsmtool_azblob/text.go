package main

import (
	"fmt"

	"lhsm-azblob/cmd/internal/mover"
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
	return mover.Table.Help(programName+" - Lustre HSM copytool for Azure Blob Storage", programName+" [options] MOUNT", helpIntroduction) +
		"\nOther:\n  --help, -h\n  --version, -v\n\n" + fmt.Sprintf("Exit status: %d done, %d failure, %d usage.\n", exitOK, exitFailure, exitUsage)
}

// sampleConfig is the file in packaging: every key with its default.
func sampleConfig() string { return mover.Table.Sample(sampleHead, sampleTail) }

const sampleHead = `# Configuration of lhsmtool_azblob, in TOML. Every key stands here with its default.
# Options on the command line and variables of the environment ($LHSM_AZBLOB_BLOCK_SIZE for
# block_size) come before this file. Put secrets into files of their own, or chmod 600 this one.
`

const sampleTail = `
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
`
