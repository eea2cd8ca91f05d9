// Lhsmtool_azblob is a Lustre HSM copytool for Azure Blob Storage: it serves
// the archive, restore and remove actions of one mount. One process runs on
// each data mover, for each file system.
//
// This package only wires. What an option is called, means, defaults to and
// may be, stands once, in the table of package mover; flags, environment,
// configuration file, help and sample all come from it. The work is done by
// packages copytool, blobstore and llapi.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"lhsm-azblob/copytool"
)

// version is set by the linker.
var version = "unknown"

func main() {
	if len(os.Args) > 1 && os.Args[1] == copytool.KeeperCommand {
		os.Exit(keep(os.Args[2:], os.Stderr))
	}
	if err := copytool.Confine(copytool.AgentCapabilities); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", programName, err)
		os.Exit(exitFailure)
	}
	os.Exit(run(context.Background(), os.Args, os.Environ(), os.Stdout, os.Stderr))
}

// keep is the program when it is the keeper of another one's unread actions. It
// ends with that one, not with a signal that is meant for both.
func keep(args []string, stderr io.Writer) int {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	log := slog.New(slog.NewTextHandler(stderr, nil))
	err := copytool.Confine(copytool.KeeperCapabilities)
	if err == nil {
		err = copytool.RunKeeper(args, log)
	}
	if err != nil {
		log.Error("keeper of unread actions", "err", err)
		return exitFailure
	}
	return exitOK
}
