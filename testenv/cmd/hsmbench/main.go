// Command hsmbench measures what archives and restores cost: through the whole
// path of the coordinator, the copytool, the blob server and back, beside the
// limits of the machine and a peer, on the same files and against the same
// server.
//
//	hsmbench [-cases NAMES] [-who NAMES] [-scale X] [-rounds N] [-json FILE] [-svg DIR] [-- COPYTOOL-OPTIONS]
//	hsmbench -list
//	hsmbench -from FILE [-svg DIR] [-doc FILE]
//
// For each case it starts a stand-in Lustre on memory, a blob server that counts
// and discards (package blobsink), and the copytool from the folder it lies in
// itself. In each round everyone of a case has its turn (A B A B, so that a noisy
// moment meets all), on files of its own; what is printed are medians. CPU is that
// of one process, user and system: of the copytool, or of the loop.
//
// The ones that are measured:
//
//	copytool   the whole path, with as many --transfers as the loops have
//	defaults   the whole path, with no option given
//	blobstore  package blobstore alone; with the next three by blobloop
//	sdk        a bare loop of the SDK, with CRC-64
//	nethttp    a bare loop of net/http, without checksum
//	sendfile   what the kernel can do, without checksum and TLS
//	library    the whole path without a store, by lustreloop; of small files
//	rclone     the peer, if -rclone names one
//
// With -json the figures of every round are kept. -from makes tables and plots of
// such a file again, and -doc puts them into a Markdown document (see document.go).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

type options struct {
	cases, who     string
	scale          float64
	rounds         int
	jsonFile, from string
	svgDir, doc    string
	back, peer     string
	list           bool
	copytool       []string // further options for it
}

func main() {
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		err = o.run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hsmbench:", strings.ReplaceAll(err.Error(), "\n", "; "))
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("hsmbench", flag.ContinueOnError)
	fs.StringVar(&o.cases, "cases", "*", "`names` of cases, with * and ?, separated by commas")
	fs.StringVar(&o.who, "who", "*", "`names` of those to measure, likewise")
	fs.Float64Var(&o.scale, "scale", 0.05, "`part` of the files of a case that is made; 1: all of them")
	fs.IntVar(&o.rounds, "rounds", 3, "`times` that everyone is measured")
	fs.StringVar(&o.jsonFile, "json", "", "`file` to write the figures of every round to; what it has of other cases stays")
	fs.StringVar(&o.from, "from", "", "`file` written by -json to report on; nothing is measured")
	fs.StringVar(&o.svgDir, "svg", "", "`folder` to write the plots to")
	fs.StringVar(&o.doc, "doc", "", "Markdown `document` to put the tables of -from into")
	fs.StringVar(&o.back, "back", "/dev/shm", "`folder` for all data; best in memory")
	fs.StringVar(&o.peer, "rclone", "", "`path` of rclone; empty: without it")
	fs.BoolVar(&o.list, "list", false, "list the cases, and measure nothing")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	o.copytool = fs.Args()
	if o.scale <= 0 || o.scale > 1 || o.rounds < 1 {
		return o, errors.New("-scale is more than 0 and at most 1, -rounds at least 1")
	}
	return o, nil
}

func (o options) run(ctx context.Context) error {
	cases, err := choose(o.cases, o.who)
	if err != nil {
		return err
	}
	if o.list {
		for _, c := range cases {
			fmt.Printf("%-20s %s\n", c.name, c)
		}
		return nil
	}
	if o.from != "" {
		r, err := readReport(o.from)
		if err != nil {
			return err
		}
		r.print()
		return o.publish(r)
	}
	r, err := o.measure(ctx, cases)
	if o.jsonFile != "" {
		err = errors.Join(err, r.keep(o.jsonFile))
	}
	return errors.Join(err, o.publish(r))
}

// publish writes what was asked for.
func (o options) publish(r *report) error {
	if o.jsonFile != "" {
		if err := r.write(o.jsonFile); err != nil {
			return err
		}
	}
	if o.svgDir != "" {
		if err := r.plot(o.svgDir); err != nil {
			return err
		}
	}
	if o.doc != "" {
		return r.refresh(o.doc)
	}
	return nil
}
