// Command hsmbench measures the whole path of an archive and of a restore: the
// coordinator, the copytool, the blob server and back.
//
// It starts the stand-in Lustre on memory, a blob server and the copytool from
// the folder it lies in itself, moves one large file and many small ones, and
// prints for each case the seconds, the rate, and what the copytool alone used:
// CPU seconds (user and system) and its peak memory.
//
//	hsmbench [-server sink|azurite] [-large BYTES] [-files N] [-size BYTES] [-back DIR] [-- COPYTOOL-OPTIONS]
//
// Figures of one run are noisy on a shared machine; repeat, and compare medians.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"time"

	"lhsm-azblob/testenv"
)

type options struct {
	server   string
	large    int64
	files    int
	size     int64
	back     string
	copytool []string // further options for the copytool
}

func main() {
	var o options
	flag.StringVar(&o.server, "server", "sink", "blob server: sink (counts and discards) or azurite")
	flag.Int64Var(&o.large, "large", 4<<30, "bytes of the large file; 0: leave it out")
	flag.IntVar(&o.files, "files", 5000, "number of small files; 0: leave them out")
	flag.Int64Var(&o.size, "size", 64<<10, "bytes of a small file")
	flag.StringVar(&o.back, "back", "/dev/shm", "folder for the data of the stand-in; best in memory")
	flag.Parse()
	o.copytool = flag.Args()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "hsmbench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	b, err := newBench(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	fmt.Printf("server %s, %d cores visible to the copytool, data in %s\n", o.server, b.cores(), o.back)
	fmt.Printf("%-28s %9s %14s %18s %10s\n", "case", "seconds", "rate", "copytool CPU", "peak MiB")
	if o.large > 0 {
		if err := b.measure("large", 1, o.large); err != nil {
			return err
		}
	}
	if o.files > 0 {
		return b.measure("small", o.files, o.size)
	}
	return nil
}

// measure makes n files, archives them, releases them and restores them.
func (b *bench) measure(name string, n int, size int64) error {
	files, err := b.makeFiles(name, n, size)
	if err != nil {
		return err
	}
	total := int64(n) * size
	if err := b.timed("archive "+describe(n, size), n, total, func() error { return b.lfs("hsm_archive", files) }); err != nil {
		return err
	}
	if err := b.lfs("hsm_release", files); err != nil {
		return err
	}
	if err := b.timed("restore "+describe(n, size), n, total, func() error { return b.lfs("hsm_restore", files) }); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(b.mount, name))
}

// timed runs what asks for the work, waits until the coordinator has no more
// of it, and prints one line.
func (b *bench) timed(name string, n int, total int64, ask func() error) error {
	before, err := cpuSeconds(b.copytool.Process.Pid)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := ask(); err != nil {
		return err
	}
	if err := b.waitIdle(); err != nil {
		return err
	}
	seconds := time.Since(began).Seconds()
	after, err := cpuSeconds(b.copytool.Process.Pid)
	if err != nil {
		return err
	}
	peak, err := testenv.PeakMemory(b.copytool.Process.Pid)
	if err != nil {
		return err
	}
	rate, cpu := figures(n, total, seconds, after-before)
	fmt.Printf("%-28s %9.2f %14s %18s %10d\n", name, seconds, rate, cpu, peak>>20)
	return nil
}

// figures are per GiB where one file is moved and per file where many are.
func figures(n int, total int64, seconds, cpu float64) (rate, cost string) {
	if n == 1 {
		gib := float64(total) / (1 << 30)
		return fmt.Sprintf("%.2f GiB/s", gib/seconds), fmt.Sprintf("%.2f s/GiB", cpu/gib)
	}
	return fmt.Sprintf("%.0f files/s", float64(n)/seconds), fmt.Sprintf("%.0f us/file", cpu/float64(n)*1e6)
}

func describe(n int, size int64) string {
	unit, div := "KiB", int64(1<<10)
	if size >= 1<<30 {
		unit, div = "GiB", 1<<30
	}
	return strconv.Itoa(n) + " x " + strconv.FormatInt(size/div, 10) + " " + unit
}
