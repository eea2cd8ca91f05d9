// Command blobloop moves the files of a folder into a Blob service and back, by
// as little code as there can be around one client, and prints what that cost
// this process. hsmbench compares it with the copytool.
//
//	blobloop -via CLIENT -url CONTAINER -stats URL -dir DIR [-prefix NAME] [-transfers N] [-block BYTES] [-holes]
//
// The clients, the first of which is the product and the others are limits:
//
//	blobstore  package blobstore, which the copytool is built on, alone
//	sdk        the SDK's StageBlock and its like, with the CRC-64 of each block
//	nethttp    PUT and GET by net/http, without credential and checksum
//	sendfile   the same from the file into the socket, and from the socket into
//	           the file, without net/http; no TLS
//
// With -holes, blocks that are wholly in a hole of their file do not travel. What
// blobstore makes is the file all the same; the others send the blocks that are left,
// and get as many, so that they are the limit of that.
//
// On the way back the files are emptied and written anew. Output is JSON with a
// meter.Figures for "put" and one for "get". $SSL_CERT_FILE names the certificate
// to trust.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"

	"lhsm-azblob/testenv/meter"
)

// accountKey is for who signs requests. The sink does not look at it.
const accountKey = "bm8gc2lnbmF0dXJlIGlzIGNoZWNrZWQ="

type options struct {
	via, url, stats string
	dir, prefix     string
	transfers       int
	block           int64
	holes           bool
}

// A client moves whole sets of files.
type client interface {
	put(ctx context.Context, files []file) error
	get(ctx context.Context, files []file) error
}

// clients are by their names.
var clients = map[string]func(options) (client, error){
	"blobstore": newStore,
	"sdk":       func(o options) (client, error) { return inPieces(o, newSDK) },
	"nethttp":   func(o options) (client, error) { return inPieces(o, newBare) },
	"sendfile":  func(o options) (client, error) { return inPieces(o, newSockets) },
}

// garbage makes collections as rare as the copytool has them, for everyone: in percent
// of the few MiB that are in use.
const garbage = 400

func main() {
	debug.SetGCPercent(garbage)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "blobloop:", strings.ReplaceAll(err.Error(), "\n", "; "))
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var o options
	fs := flag.NewFlagSet("blobloop", flag.ExitOnError)
	fs.StringVar(&o.via, "via", "", "client: blobstore, sdk, nethttp or sendfile")
	fs.StringVar(&o.url, "url", "", "URL of the container")
	fs.StringVar(&o.stats, "stats", "", "URL of the sink's counts")
	fs.StringVar(&o.dir, "dir", "", "folder of the files")
	fs.StringVar(&o.prefix, "prefix", "", "folder of the blobs")
	fs.IntVar(&o.transfers, "transfers", 16, "requests in flight")
	fs.Int64Var(&o.block, "block", 8<<20, "bytes of a block, and of a file that goes in one request")
	fs.BoolVar(&o.holes, "holes", false, "pass over blocks that are holes")
	_ = fs.Parse(args) // exits by itself

	open, ok := clients[o.via]
	if !ok {
		return fmt.Errorf("there is no client %q; see -help", o.via)
	}
	files, err := filesIn(o.dir, o.prefix)
	if err != nil {
		return err
	}
	c, err := open(o)
	if err != nil {
		return err
	}
	figures, err := o.measure(ctx, c, files)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(figures)
}

// measure sends the files and gets them back.
func (o options) measure(ctx context.Context, c client, files []file) (map[string]meter.Figures, error) {
	put, err := o.timed(ctx, func() error { return c.put(ctx, files) })
	if err != nil {
		return nil, fmt.Errorf("put: %w", err)
	}
	if err := empty(files); err != nil {
		return nil, err
	}
	get, err := o.timed(ctx, func() error { return c.get(ctx, files) })
	if err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	return map[string]meter.Figures{"put": put, "get": get}, nil
}

func (o options) timed(ctx context.Context, work func() error) (meter.Figures, error) {
	m, err := meter.Start(ctx, os.Getpid(), o.stats)
	if err != nil {
		return meter.Figures{}, err
	}
	if err := work(); err != nil {
		return meter.Figures{}, err
	}
	return m.Stop()
}
