// Lhsmtool_azblob is a Lustre HSM copytool for Azure Blob Storage: it serves
// the archive, restore and remove actions of one mount. One process runs on
// each data mover, for each file system.
//
// This package only wires. What an option is called, means, defaults to and
// may be, stands once, in the table of options.go; flags, environment,
// configuration file, help and sample all come from it. The work is done by
// packages copytool, blobstore and llapi.
package main

import (
	"context"
	"os"
)

// version is set by the linker.
var version = "unknown"

func main() {
	os.Exit(run(context.Background(), os.Args, os.Environ(), os.Stdout, os.Stderr))
}
