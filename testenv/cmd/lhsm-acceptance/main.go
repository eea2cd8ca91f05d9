// Command lhsm-acceptance proves an installation: that a copytool serves a Lustre
// file system and keeps its files in a container as it must.
//
//	lhsm-acceptance --mount /mnt/lustre --container-url https://ACCOUNT.blob.core.windows.net/CONTAINER
//
// It needs a mount whose archive id a copytool serves, lfs, and access to the
// container; best it is run as root. It works in a folder of its own below the
// mount, and removes that and its blobs when it is done. It touches nothing else.
//
// Exit status: 0 if nothing failed, 1 if something did, 2 for wrong options.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	"lhsm-azblob/testenv/acceptance/checks"
)

type options struct {
	mount, lfs, prefix string
	archiveID, uid     int
	credential         credential
	run                *regexp.Regexp
	timeout            time.Duration
	list, keep, asJSON bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "lhsm-acceptance:", err)
		return 2
	case o.list:
		for _, c := range o.chosen() {
			fmt.Fprintln(stdout, c.Name)
		}
		return 0
	}
	ok, err := prove(ctx, o, stdout)
	if err != nil {
		fmt.Fprintln(stderr, "lhsm-acceptance:", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if err != nil || !ok {
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	var pattern string
	fs := flag.NewFlagSet("lhsm-acceptance", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.mount, "mount", "", "root of the Lustre `mount`")
	fs.StringVar(&o.credential.url, "container-url", "", "`URL` of the container that the copytool writes to")
	fs.StringVar(&o.prefix, "prefix", "", "the copytool's --prefix: the `folder` in the container under which all blobs are")
	fs.IntVar(&o.archiveID, "archive", 1, "archive `id` that the copytool serves")
	fs.StringVar(&o.credential.sasFile, "sas-file", "", "`file` with a SAS token")
	fs.StringVar(&o.credential.accountName, "account-name", "", "storage account of a key; empty is the one in the URL")
	fs.StringVar(&o.credential.accountKeyFile, "account-key-file", "", "`file` with a key of the storage account")
	fs.StringVar(&o.credential.connectionStringFile, "connection-string-file", "", "`file` with a connection string of the storage account")
	fs.StringVar(&o.lfs, "lfs", "lfs", "the lfs `program`")
	fs.IntVar(&o.uid, "user", 65534, "`uid` of a plain user to act as")
	fs.StringVar(&pattern, "run", "", "run only checks whose names match the `regexp`; the first one always runs")
	fs.DurationVar(&o.timeout, "timeout", 5*time.Minute, "`time` that each check has")
	fs.BoolVar(&o.list, "list", false, "list the checks, and run none")
	fs.BoolVar(&o.keep, "keep", false, "keep the files and blobs that the checks have made")
	fs.BoolVar(&o.asJSON, "json", false, "print the results as JSON")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	var err error
	if o.run, err = regexp.Compile(pattern); err != nil {
		return o, fmt.Errorf("--run: %w", err)
	}
	switch {
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q; see --help", fs.Arg(0))
	case o.list:
	case o.mount == "":
		return o, errors.New("--mount is missing: give the root of a Lustre mount")
	case o.credential.url == "":
		return o, errors.New("--container-url is missing: give the one that the copytool has")
	}
	return o, nil
}

// chosen are the checks to run. The first one is always among them: without a
// copytool the others would only take time.
func (o *options) chosen() []checks.Check {
	chosen := checks.All[:1:1]
	for _, c := range checks.All[1:] {
		if o.run.MatchString(c.Name) {
			chosen = append(chosen, c)
		}
	}
	return chosen
}
