package jobs_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lhsm-azblob/jobs"
	"lhsm-azblob/llapi"
	"lhsm-azblob/testenv"
)

// benchFiles is how many files the benchmark has: $JOBS_BENCH_FILES, or a few.
func benchFiles(b *testing.B) int {
	text := os.Getenv("JOBS_BENCH_FILES")
	if text == "" {
		return 20_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1000 {
		b.Fatalf("JOBS_BENCH_FILES=%q: want a number from 1000 on", text)
	}
	return n
}

// A nullCopytool ends archives at once, or holds them until they are cancelled.
type nullCopytool struct {
	ct   *llapi.Copytool
	work chan llapi.ActionItem
	wg   sync.WaitGroup
	stop context.CancelFunc
	hold bool
}

func startNull(b *testing.B, l *testenv.Lustre, hold bool) *nullCopytool {
	b.Helper()
	ct, err := llapi.Register(l.Mount(), 1)
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &nullCopytool{ct: ct, work: make(chan llapi.ActionItem, 1<<17), stop: stop, hold: hold}
	c.wg.Go(func() { c.receive(ctx) })
	for range 4 {
		c.wg.Go(c.end)
	}
	return c
}

func (c *nullCopytool) receive(ctx context.Context) {
	defer close(c.work)
	for {
		list, err := c.ct.Recv(ctx)
		if err != nil {
			return
		}
		for _, item := range list.Items {
			if c.hold == (item.Action == llapi.ActionCancel) {
				c.work <- item
			}
		}
	}
}

func (c *nullCopytool) end() {
	for item := range c.work {
		if c.hold {
			_ = c.ct.Fail(item, 0, syscall.ECANCELED) // an end with the cookie of the target
			continue
		}
		if a, err := c.ct.Begin(item, -1, 0); err == nil {
			_ = a.End(llapi.Extent{}, 0, 0)
		}
	}
}

func (c *nullCopytool) close(b *testing.B) {
	c.stop()
	c.wg.Wait()
	if err := c.ct.Close(); err != nil {
		b.Errorf("close the copytool: %v", err)
	}
}

// resident is the peak of this process's resident memory, in MiB, since the last call.
func resident(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // resets the peak; where that is not allowed it is one for all
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		b.Fatal(err)
	}
	return float64(kib) / 1024
}

// BenchmarkJob is one story, told once (-benchtime 1x): a tree of new files is
// listed, archived by a copytool that does nothing, looked at again when there is
// nothing to do, and with one file in a hundred changed; then cancelled with
// everything at the coordinator.
func BenchmarkJob(b *testing.B) {
	files := benchFiles(b)
	l := testenv.StartLustre(b, testenv.Options{Params: map[string]string{"mdt.*.hsm.max_requests": "2000", "mdt.*.hsm.grace_delay": "1", "mdt.*.hsm.loop_period": "1"}})
	const perDir = 10_000
	for i := 0; i < files; i += perDir {
		dir := fmt.Sprintf("d%d", i/perDir)
		if err := os.Mkdir(l.Path(dir), 0o755); err != nil {
			b.Fatal(err)
		}
		l.Command("bulk-create", "/"+dir, "file", "0", strconv.Itoa(min(perDir, files-i)), "4096")
	}
	m, err := jobs.Open(jobs.Options{Mount: l.Mount(), Path: filepath.Join(b.TempDir(), "jobs.db"), MaxUnfinished: 200_000})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = m.Run(ctx) })
	defer func() { stop(); wg.Wait(); m.Close() }()

	one := func(name string, spec jobs.Spec) {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				benchOne(b, m, spec)
			}
		})
	}
	resident(b)
	one("list-all", jobs.Spec{DryRun: true})
	c := startNull(b, l, false)
	one("archive-all", jobs.Spec{})
	one("nothing-to-do", jobs.Spec{})
	b.Run("one-percent", func(b *testing.B) {
		for i := 0; i < files; i += 100 {
			if err := llapi.SetState(l.Path(fmt.Sprintf("d%d/file%d", i/perDir, i%perDir)), llapi.HSDirty, 0, 0); err != nil {
				b.Fatal(err)
			}
		}
		for range b.N {
			benchOne(b, m, jobs.Spec{})
		}
	})
	c.close(b)
	b.Run("cancel", func(b *testing.B) {
		for range b.N {
			benchCancel(b, l, m, min(files, 100_000))
		}
	})
}

func benchOne(b *testing.B, m *jobs.Manager, spec jobs.Spec) {
	start := time.Now()
	job, _, err := m.Create(b.Context(), spec)
	if err != nil {
		b.Fatal(err)
	}
	var first, scanned, slowest time.Duration
	for tick := time.NewTicker(time.Millisecond); !job.State.Finished(); <-tick.C {
		asked := time.Now()
		if job, err = m.Job(b.Context(), job.ID); err != nil {
			b.Fatal(err)
		}
		slowest = max(slowest, time.Since(asked))
		if first == 0 && job.Counters.FilesSubmitted > 0 {
			first = time.Since(start)
		}
		if scanned == 0 && job.State != jobs.FSScanInProgress && job.State != jobs.Queued {
			scanned = time.Since(start)
		}
	}
	n := job.Counters
	if job.State != jobs.Completed {
		b.Fatalf("job: %+v", job)
	}
	b.ReportMetric(float64(n.FilesFound)/scanned.Seconds(), "scanned/s")
	b.ReportMetric(float64(n.FilesExported)/time.Since(start).Seconds(), "archived/s")
	b.ReportMetric(first.Seconds()*1000, "ms-to-first")
	b.ReportMetric(slowest.Seconds()*1000, "ms-slowest-status")
	b.ReportMetric(resident(b), "MiB-peak")
	b.ReportMetric(0, "ns/op")
}

// benchCancel cancels a job when the coordinator has all its files.
func benchCancel(b *testing.B, l *testenv.Lustre, m *jobs.Manager, files int) {
	l.SetParam("mdt.*.hsm.max_requests", "1000000")
	if err := os.Mkdir(l.Path("held"), 0o755); err != nil {
		b.Fatal(err)
	}
	l.Command("bulk-create", "/held", "file", "0", strconv.Itoa(files), "4096")
	c := startNull(b, l, true)
	defer c.close(b)
	job, _, err := m.Create(b.Context(), jobs.Spec{Prefixes: []string{"/held/"}})
	if err != nil {
		b.Fatal(err)
	}
	for tick := time.NewTicker(time.Millisecond); job.Counters.FilesSubmitted < int64(files); <-tick.C {
		if job, err = m.Job(b.Context(), job.ID); err != nil {
			b.Fatal(err)
		}
	}
	start := time.Now()
	if _, err := m.Cancel(b.Context(), job.ID, false); err != nil {
		b.Fatal(err)
	}
	for tick := time.NewTicker(time.Millisecond); !job.State.Finished(); <-tick.C {
		if job, err = m.Job(b.Context(), job.ID); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(time.Since(start).Seconds(), "s-to-canceled")
	b.ReportMetric(float64(job.Counters.FilesLeft), "left")
	b.ReportMetric(0, "ns/op")
	b.Log(job.ErrorMessage)
}
