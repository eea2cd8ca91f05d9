// Command blobsink runs the counting and discarding Blob service of package
// blobsink for benchmarks.
//
// It prints its URL and that of its counts, then "ready", and serves until SIGTERM
// or SIGINT; then it prints its counts as JSON. With -make N
// it writes N bytes of what its blobs are made of to standard output instead, to
// be the input of a benchmark that checks sums.
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
	"syscall"
	"time"

	"lhsm-azblob/testenv/blobsink"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "blobsink:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("blobsink", flag.ExitOnError)
	port := flags.Int("port", 0, "port to listen on; 0: a free one")
	secure := flags.Bool("tls", false, "serve HTTPS; needs -ca")
	caFile := flags.String("ca", "", "file to write the certificate to that clients must trust")
	latency := flags.Duration("latency", 0, "time to hold every answer back")
	content := flags.String("fill", "zeros", "what blobs are made of: zeros, pattern, sparse, which is a MiB of pattern at the start of every 100 MiB, or dotted, which is 4 KiB of it at that of every 64 KiB")
	size := flags.Int64("make", 0, "write so many bytes of blob to standard output, and end")
	_ = flags.Parse(args) // exits by itself

	fill, err := blobsink.ParseFill(*content)
	if err != nil {
		return err
	}
	if *size > 0 {
		_, err := io.Copy(out, fill.Reader(*size))
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return serve(ctx, out, fill, *latency, *port, *secure, *caFile)
}

func serve(ctx context.Context, out io.Writer, fill blobsink.Fill, latency time.Duration, port int, secure bool, caFile string) error {
	debug.SetGCPercent(1000) // there is little to keep, and CPU is what must not be used
	sink, err := blobsink.New(fill, latency)
	if err != nil {
		return err
	}
	server, err := sink.Listen(port, secure)
	if err != nil {
		return err
	}
	defer server.Close()
	if secure {
		if err := os.WriteFile(caFile, server.CA, 0o644); err != nil {
			return fmt.Errorf("write the certificate: %w", err)
		}
	}
	// Whoever asks for the counts need not trust the certificate.
	counts, err := sink.Listen(0, false)
	if err != nil {
		return err
	}
	defer counts.Close()
	fmt.Fprintf(out, "BLOBSINK_ENDPOINT=%s\nBLOBSINK_STATS=%s\nready\n", server.URL, counts.StatsURL())
	<-ctx.Done()
	return json.NewEncoder(out).Encode(sink.Stats())
}
