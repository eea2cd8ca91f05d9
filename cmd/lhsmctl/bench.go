package main

import (
	"context"
	"fmt"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"lhsm-azblob/cmd/internal/bench"
	"lhsm-azblob/cmd/internal/mover"
	"lhsm-azblob/cmd/internal/options"
)

const benchHelp = `Writes scratch blobs of several sizes with several numbers of requests in flight, reads them again, and deletes them, by the code
that the copytool moves files with; then says which settings of the copytool that suggests. Best run on a data mover, when nothing
else uses its network. The container and the credential are those of --config, or are given as the copytool's options and
variables. It moves as many bytes as the network allows: mind what they cost, and that versioning and soft delete keep what was
deleted for as long as they are set to.`

func (p *program) benchCommand() *cli.Command {
	return &cli.Command{
		Name: "bench", Usage: "measure how fast a container takes blobs and gives them back", Description: benchHelp,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "config", Usage: "a copytool's configuration `FILE`"},
			&cli.StringFlag{Name: "sizes", Value: "64KiB,8MiB,256MiB", Usage: "sizes of blobs, as a `LIST` with commas"},
			&cli.StringFlag{Name: "requests", Value: "8,32,96", Usage: "numbers of requests in flight, as a `LIST` with commas"},
			&cli.StringFlag{Name: "time", Value: "3s", Usage: "`TIME` to write, and then to read, for each of both"},
			&cli.BoolFlag{Name: "json", Usage: "print JSON"},
		}, mover.ContainerFlags()...),
		Action: p.bench,
	}
}

// bench measures, and prints each result as it comes.
func (p *program) bench(c *cli.Context) error {
	o, err := p.benchOptions(c)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(c.Context, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal has its usual effect
	b := bench.New(o)
	show := p.benchTable
	if c.Bool("json") {
		show = func(bench.Result) {}
	} else {
		fmt.Fprintf(p.stdout, "scratch blobs are below %s/ and are deleted\n%s\n", b.Scratch(), benchHead)
	}
	var results []bench.Result
	err = b.Run(ctx, func(r bench.Result) {
		results = append(results, r)
		show(r)
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("interrupted: %w", err)
	case err != nil:
		return err
	}
	s := bench.Suggest(results, runtime.NumCPU(), o.Container.BlockSize)
	if c.Bool("json") {
		return p.printJSON(map[string]any{"results": results, "suggestion": s})
	}
	p.printSuggestion(s)
	return nil
}

// benchOptions are of the container that the copytool's options name, and ours.
func (p *program) benchOptions(c *cli.Context) (o bench.Options, err error) {
	if c.NArg() > 0 {
		return o, options.Usagef("%q is one argument too many; see %s bench --help", c.Args().First(), programName)
	}
	v, err := mover.Table.Resolve(c, p.environ)
	if err != nil {
		return o, err
	}
	s, err := mover.SettingsOf(v)
	if err != nil {
		return o, err
	}
	if len(s.Archives) != 1 {
		return o, options.Usagef("%s has %d containers, and one is measured at a time: give it with --container-url and its credential in place of --config", c.String("config"), len(s.Archives))
	}
	a := s.Archives[0]
	o = bench.Options{Container: a.Container, Pool: s.Pool, Prefix: a.Prefix}
	o.Pool.UserAgent = programName + "/" + version
	return o, readLists(c, &o)
}

// Bounds of what may be asked for. The numbers of requests are those of --transfers.
const (
	mostSize     = 1 << 40
	mostRequests = 1000
	mostTime     = 10 * time.Minute
)

func readLists(c *cli.Context, o *bench.Options) (err error) {
	o.Sizes, err = list(c, "sizes", func(text string) (int64, error) {
		n, err := options.ParseSize(text)
		if err == nil && (n < 1 || n > mostSize) {
			err = fmt.Errorf("%s is out of range: 1 byte to 1 TiB", text)
		}
		return n, err
	})
	if err != nil {
		return err
	}
	o.Requests, err = list(c, "requests", func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > mostRequests {
			err = fmt.Errorf("%q is not a number from 1 to %d", text, mostRequests)
		}
		return n, err
	})
	if err != nil {
		return err
	}
	o.Time, err = time.ParseDuration(c.String("time"))
	if err != nil || o.Time <= 0 || o.Time > mostTime {
		return options.Usagef("--time: %q is not a time of up to %s; write it like 10s", c.String("time"), mostTime)
	}
	return nil
}

// list reads values between commas, each of which counts once.
func list[T comparable](c *cli.Context, name string, parse func(string) (T, error)) (values []T, err error) {
	for text := range strings.SplitSeq(c.String(name), ",") {
		v, err := parse(strings.TrimSpace(text))
		if err != nil {
			return nil, options.Usagef("--%s: %w", name, err)
		}
		if !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	return values, nil
}

var benchColumns = "%10s %9s  %-6s %9s %9s %9s %9s %9s %10s %6s\n"

var benchHead = strings.TrimRight(fmt.Sprintf(benchColumns, "size", "in flight", "", "blobs/s", "GiB/s", "p50 ms", "p99 ms", "requests", "CPU s/GiB", "busy"), "\n")

func (p *program) benchTable(r bench.Result) {
	fmt.Fprintf(p.stdout, benchColumns, options.FormatSize(r.Size), strconv.Itoa(r.Requests), r.Op,
		fmt.Sprintf("%.1f", float64(r.Blobs)/r.Seconds), fmt.Sprintf("%.3f", r.GiBPerSecond()),
		fmt.Sprintf("%.1f", r.P50*1e3), fmt.Sprintf("%.1f", r.P99*1e3),
		strconv.Itoa(r.Sent), fmt.Sprintf("%.2f", r.CPUPerGiB()), strconv.Itoa(r.Busy))
}

func (p *program) printSuggestion(s bench.Suggestion) {
	fmt.Fprintf(p.stdout, "\nsuggested for a copytool here, with the least that was within 5 %% of the best:\n")
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "  --transfers %d\trequests in flight\n", s.Transfers)
	fmt.Fprintf(w, "  --archives %d --restores %d\tor more, so that small files, with one request each, use them\n", s.Actions, s.Actions)
	fmt.Fprintf(w, "  --memory %s\tor more, a block for each\n", options.FormatSize(s.Memory))
	w.Flush() //nolint:errcheck // standard output that is gone has nobody to read it
	fmt.Fprintf(p.stdout, "the %d cores of this machine allow about %.1f GiB/s of large files\n", runtime.NumCPU(), s.GiBPerSecond)
	if s.Busy {
		fmt.Fprintf(p.stdout, "the service refused requests as too many even so: raise the account's limits, or set --bandwidth\n")
	}
}
