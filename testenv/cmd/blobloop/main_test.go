package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lhsm-azblob/testenv/blobsink"
	"lhsm-azblob/testenv/meter"
)

// TestLoopsMoveFiles: what comes back is what was sent, with as many requests as
// there are pieces.
func TestLoopsMoveFiles(t *testing.T) {
	for via := range clients {
		t.Run(via, func(t *testing.T) {
			s := blobsink.Start(t, blobsink.Pattern, false)
			dir := t.TempDir()
			sizes := map[string]int64{"large": 5<<20 + 5, "small": 4096}
			for name, size := range sizes {
				write(t, filepath.Join(dir, name), size)
			}
			var out bytes.Buffer
			err := run(t.Context(), []string{
				"-via", via, "-url", s.URL + "/data", "-stats", s.StatsURL(),
				"-dir", dir, "-prefix", "p", "-transfers", "3", "-block", "2097152",
			}, &out)
			if err != nil {
				t.Fatal(err)
			}
			for name, size := range sizes {
				same(t, filepath.Join(dir, name), size)
			}
			var got map[string]meter.Figures
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Fatalf("%s: %v", out.Bytes(), err)
			}
			put, get := got["put"], got["get"]
			if put.Requests["put-block"] != 3 || put.Requests["put-block-list"] != 1 || put.Requests["put-blob"] != 1 ||
				get.Total() != 4 || put.CPU <= 0 || put.Seconds <= 0 || put.Peak <= 0 {
				t.Errorf("figures are %s", out.Bytes())
			}
		})
	}
}

// TestHolesArePassedOver: the product makes the file of them all the same, and the
// limit sends and gets what has data.
func TestHolesArePassedOver(t *testing.T) {
	for via, more := range map[string]int64{"blobstore": 1, "sdk": 0} { // the block of zeros, and the list of blocks
		s := blobsink.Start(t, blobsink.Sparse, false)
		path := filepath.Join(t.TempDir(), "f")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		const size = 3*blobsink.SparsePeriod - 1<<20
		if err := blobsink.Sparse.WriteTo(f, size); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		err = run(t.Context(), []string{
			"-via", via, "-url", s.URL + "/data", "-stats", s.StatsURL(), "-dir", filepath.Dir(path), "-block", "4194304", "-holes",
		}, &out)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]meter.Figures
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatalf("%s: %v", out.Bytes(), err)
		}
		// The last block is shorter, and no block of zeros for the product.
		if n := got["put"].Requests["put-block"]; n != 3+2*more {
			t.Errorf("%s: %d blocks were sent, want those with data", via, n)
		}
		if n := got["get"]; n.Requests["get-blob"] != 3+more || n.Requests["get-block-list"] != more {
			t.Errorf("%s: requests on the way back are %v", via, n.Requests)
		}
		back := make([]byte, 4096)
		want, _ := io.ReadAll(io.NewSectionReader(blobsink.Sparse.Content(), 2*blobsink.SparsePeriod, int64(len(back))))
		if _, err := f.ReadAt(back, 2*blobsink.SparsePeriod); via == "blobstore" && (err != nil || !bytes.Equal(back, want)) {
			t.Errorf("other bytes came back, %v", err)
		}
	}
}

func write(t *testing.T, path string, size int64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := blobsink.Pattern.WriteTo(f, size); err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, path string, size int64) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := io.ReadAll(blobsink.Pattern.Reader(size))
	if !bytes.Equal(got, want) {
		t.Errorf("%s came back as %d other bytes", filepath.Base(path), len(got))
	}
}

func TestRefusals(t *testing.T) {
	for _, tt := range []struct {
		want string
		args []string
	}{
		{`no client "ftp"`, []string{"-via", "ftp"}},
		{"there is no file", []string{"-via", "sdk", "-dir", t.TempDir()}},
		{"without TLS only", []string{"-via", "sendfile", "-dir", ".", "-url", "https://127.0.0.1:1/a"}},
	} {
		if err := run(t.Context(), tt.args, io.Discard); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.args, err, tt.want)
		}
	}
}
