package fusefs_test

import (
	"fmt"
	"os"
	"testing"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/lioc"
)

func BenchmarkCreate4KiB(b *testing.B) {
	l := testenv.StartLustre(b, testenv.Options{})
	content := make([]byte, 4096)
	n := 0
	for b.Loop() {
		n++
		if err := os.WriteFile(l.Path(fmt.Sprint("f", n)), content, 0o644); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenRead4KiB(b *testing.B) {
	l := testenv.StartLustre(b, testenv.Options{})
	if err := os.WriteFile(l.Path("f"), make([]byte, 4096), 0o644); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := os.ReadFile(l.Path("f")); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStateGet(b *testing.B) {
	l := testenv.StartLustre(b, testenv.Options{})
	if err := os.WriteFile(l.Path("f"), nil, 0o644); err != nil {
		b.Fatal(err)
	}
	f, err := os.Open(l.Path("f"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 32)
	for b.Loop() {
		if _, err := ioctl(f, lioc.HSMStateGet, buf); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkArchive is a request, its message, start and end, without data.
func BenchmarkArchive(b *testing.B) {
	l := testenv.StartLustre(b, testenv.Options{Params: map[string]string{"mdt.*.hsm.max_requests": "10000"}})
	c := register(b, l.Mount())
	root, err := os.Open(l.Mount())
	if err != nil {
		b.Fatal(err)
	}
	defer root.Close()
	if r := l.Command("bulk-create", "/", "f", "0", fmt.Sprint(b.N), "0"); r.Code != 0 {
		b.Fatal(r.Stderr)
	}
	var fids []lioc.FID
	for i := range b.N {
		fids = append(fids, fidOf(b, l.Path(fmt.Sprint("f", i))))
	}
	b.ResetTimer()
	go func() { // as the user: ends with the last request
		for len(fids) > 0 {
			k := min(50, len(fids))
			r := lioc.Request{Action: lioc.UserArchive}
			for _, fid := range fids[:k] {
				r.Items = append(r.Items, lioc.UserItem{FID: fid, Extent: lioc.Extent{Length: ^uint64(0)}})
			}
			if _, err := ioctl(root, lioc.HSMRequest, r.Encode()); err != nil {
				b.Error(err)
				return
			}
			fids = fids[k:]
		}
	}()
	for done := 0; done < b.N; {
		list := c.recv()
		for _, it := range list.Items {
			if err := c.end(c.begin(it), 0); err != nil {
				b.Fatal(err)
			}
		}
		done += len(list.Items)
	}
}

func BenchmarkWrite1GiB(b *testing.B) { benchData(b, false, true) }

func BenchmarkRead1GiB(b *testing.B) { benchData(b, false, false) }

func BenchmarkDirectWrite1GiB(b *testing.B) { benchData(b, true, true) }

func BenchmarkDirectRead1GiB(b *testing.B) { benchData(b, true, false) }

func benchData(b *testing.B, direct, write bool) {
	const size = 1 << 30
	l := testenv.StartLustre(b, testenv.Options{NoPassthrough: direct})
	f, err := os.Create(l.Path("f"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 1<<20)
	pass := func(op func([]byte, int64) (int, error)) {
		for off := int64(0); off < size; off += int64(len(buf)) {
			if _, err := op(buf, off); err != nil {
				b.Fatal(err)
			}
		}
	}
	pass(f.WriteAt)
	op := f.ReadAt
	if write {
		op = f.WriteAt
	}
	b.SetBytes(size)
	for b.Loop() {
		pass(op)
	}
}
