package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"lhsm-azblob/testenv"
)

// TestSmoke runs a small case of each kind from start to end.
func TestSmoke(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("the stand-in needs root")
	}
	bin := t.TempDir()
	link := func(path, name string) {
		if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, pkg := range []string{"cmd/lhsmtool_azblob", "testenv/cmd/lustre-standin", "testenv/cmd/blobsink", "testenv/cmd/blobloop", "testenv/cmd/lustreloop"} {
		link(testenv.PlainBinary(t, "./"+pkg), filepath.Base(pkg))
	}
	link(testenv.Library(t), "liblustreapi.so.1")
	out := filepath.Join(bin, "results.json")
	bench := filepath.Join(bin, "hsmbench")
	text, err := os.ReadFile(testenv.PlainBinary(t, "./testenv/cmd/hsmbench"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bench, text, 0o755); err != nil { // it looks for the others beside itself
		t.Fatal(err)
	}
	r, err := testenv.Output(exec.CommandContext(t.Context(), bench, "-cases", "files-16MiB/https,small-4KiB/http+20ms,mixed/http,queue-long/http,sparse/http",
		"-scale", "0.002", "-rounds", "1", "-json", out))
	if err != nil || r.Code != 0 {
		t.Fatalf("hsmbench: exit %d, %v\n%s%s", r.Code, err, r.Stdout, r.Stderr)
	}
	found, err := readReport(out)
	if err != nil {
		t.Fatal(err)
	}
	if q := found.find("mixed/http").find(archive, copytool); q.median(count) < 1 || q.median(p99) < q.median(p50) || q.median(p50) <= 0 {
		t.Errorf("small files behind large ones took %+v", q)
	}
	if q := found.find("queue-long/http"); q.Batch != q.Files || q.find(archive, copytool).median(requests) < float64(q.Files) {
		t.Errorf("the queue is %+v", q)
	}
	// Of the sparse file two pieces of 100 MiB are left, each with data in one block: those,
	// that of zeros or the list of blocks, and what is asked besides.
	if s := found.find("sparse/http"); s.find(archive, copytool).median(requests) > 8 || s.find(restore, copytool).median(requests) > 4 {
		t.Errorf("the sparse file's zeros have travelled: %+v", s)
	}
	for _, op := range []string{archive, restore} {
		if s := found.find("small-4KiB/http+20ms").find(op, library); s.median(seconds) <= 0 || s.median(cpu) <= 0 || s.median(requests) != 0 {
			t.Errorf("%s by the library alone: %+v", op, s)
		}
	}
	for _, name := range []string{"files-16MiB/https", "small-4KiB/http+20ms"} {
		c := found.find(name)
		if c == nil {
			t.Fatalf("no case %s in\n%s", name, r.Stdout)
		}
		for _, op := range []string{archive, restore} {
			for _, who := range []string{copytool, defaults, "blobstore", sdkLoop, httpLoop} {
				got := c.find(op, who)
				if got.median(seconds) <= 0 || got.median(cpu) <= 0 || got.median(peak) < mib || got.median(requests) < float64(c.Files) {
					t.Errorf("%s, %s by %s: %+v", name, op, who, got)
				}
			}
		}
	}
}
