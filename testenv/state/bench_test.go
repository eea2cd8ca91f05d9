package state

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"testing"
)

func BenchmarkCreate(b *testing.B) {
	w := openWorld(b, b.TempDir(), nil)
	for n := 0; b.Loop(); n++ {
		h, _, err := w.Create(RootFID, fmt.Sprint("f", n), 0o644, Root, os.O_WRONLY)
		w.ok(err)
		h.Release()
	}
}

// BenchmarkActions is the whole life of an archive: request, message, begin, end.
func BenchmarkActions(b *testing.B) {
	w := openWorld(b, b.TempDir(), with("mdt.*.hsm.max_requests", "100"))
	w.ok(w.BulkCreate(RootFID, "f", 0, b.N, 1, Root))
	agent, err := w.RegisterAgent(w.uuid, Root, nil)
	w.ok(err)
	c := &tool{w, agent}
	first := w.nextOID - uint64(b.N)
	b.ResetTimer()
	go func() {
		for n := range b.N {
			w.archiveReq(FIDFromIno(first + uint64(n)))
		}
	}()
	for done := 0; done < b.N; {
		l, err := agent.Recv(b.Context())
		w.ok(err)
		for _, it := range l.Items {
			dv := c.start(it)
			if err := c.end(it, dv, syscall.Errno(0)); err != nil {
				b.Fatal(err)
			}
			done++
		}
	}
}

// BenchmarkMillionInodes reports what a million files cost in memory.
func BenchmarkMillionInodes(b *testing.B) {
	const files = 1_000_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		w := openWorld(b, b.TempDir(), nil)
		w.ok(w.BulkCreate(RootFID, "file", 0, files, 4096, Root))
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/files, "B/inode")
		w.ok(w.Close())
	}
}
