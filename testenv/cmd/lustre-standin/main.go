// Command lustre-standin is a Lustre file system with HSM for tests and for
// the demo: a daemon that mounts it, and the commands an administrator would
// type at the MDS.
//
//	lustre-standin serve --back DIR --mount MNT [--mount MNT2]   the daemon; SIGTERM ends it
//	lustre-standin run [--mounts N] -- CMD                       CMD in a private mount namespace that has one
//	lustre-standin get_param 'mdt.*.hsm.*'                       and set_param, as lctl has them
//	lustre-standin help                                          the rest
//
// The daemon works as root, and, with less speed, as any user who may open
// /dev/fuse and make a user namespace (run does so).
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

const usage = `usage: lustre-standin COMMAND [OPTION]...

  serve --back DIR --mount MNT [--mount MNT2]...   mount and serve until SIGTERM
        [--fsname NAME] [--param NAME=VALUE]... [--no-passthrough]
        [--ready-fd N] [--parent-death] [--debug]
  run [--back DIR] [--mounts N] [--param NAME=VALUE]... [--no-passthrough] [-- CMD [ARG]...]
        run CMD (or a shell) where $LUSTRE_MOUNT is such a mount, $LUSTRE_MOUNT2 the next

The others talk to the daemon of --mount MNT, of $LUSTRE_MOUNT, or of the only one mounted:

  get_param [-n] PATTERN...       set_param [-P] NAME=VALUE...      as lctl
  changelog_register [-n] [-m MASK] [-u NAME]     changelog_deregister ID
  wait-idle [--timeout DURATION]  wait until no request waits or runs
  restart-coordinator             as after a restart of the MDT
  evict [MOUNT|UUID]              the client is forgotten by the MDT; reconnect [MOUNT|UUID] undoes it
  shutdown-message [MOUNT]        tell the copytools that their registration has ended
  fault add OP [errno=EIO] [count=N] [skip=N] [delay=100ms] [path=PATH|fid=FID]
  fault clear [OP]                fault ops
  bulk-create DIR PREFIX FIRST COUNT SIZE    many files at once
`

// run carries out one command line and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	switch args[0] {
	case "help", "-h", "--help":
		fmt.Fprint(stdout, usage)
		return 0
	case "serve":
		return serve(ctx, args[1:], stdout, stderr)
	case "run":
		return runIn(ctx, args[1:], stderr)
	case insideCommand:
		return runInside(args[1:], stderr)
	}
	return ask(ctx, args, stdout, stderr)
}

// fail prints a one-line error and returns the exit status of a failure.
func fail(stderr io.Writer, err error) int {
	fmt.Fprintf(stderr, "lustre-standin: %v\n", err)
	return 1
}
