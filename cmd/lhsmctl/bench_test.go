package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/cmd/internal/bench"
	"lhsm-azblob/testenv/azurite"
)

// benchContainer is an empty container of Azurite, and the options that lead to it.
func benchContainer(t *testing.T) (c *blobstore.Container, args []string) {
	t.Helper()
	s := azurite.Start(t)
	url := s.NewContainer(t)
	c, err := blobstore.Open(blobstore.ContainerOptions{
		URL: url, Credential: blobstore.Credential{Mode: blobstore.ModeSharedKey, AccountKey: blobstore.Secret(s.AccountKey)},
	}, blobstore.NewPool(blobstore.PoolOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(s.AccountKey), 0o600); err != nil {
		t.Fatal(err)
	}
	return c, []string{"bench", "--container-url", url, "--account-key-file", key}
}

// wantOnly makes sure that nothing but one blob is in the container.
func wantOnly(t *testing.T, c *blobstore.Container, name blobstore.Name) {
	t.Helper()
	for info, err := range c.List(context.Background(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if info.Name != name {
			t.Errorf("%s is left behind", info.Name)
		}
	}
}

// TestBench: every combination is measured both ways, and only scratch is touched.
func TestBench(t *testing.T) {
	c, args := benchContainer(t)
	if _, err := c.Upload(t.Context(), "data/precious", strings.NewReader("x"), 1, blobstore.UploadOptions{}); err != nil {
		t.Fatal(err)
	}
	args = append(args, "--prefix", "data", "--sizes", "4KiB,3MiB", "--requests", "1,4", "--time", "50ms", "--block-size", "1MiB")
	code, stdout, stderr := lhsmctl(t, append(args, "--json")...)
	if code != exitOK || stderr != "" {
		t.Fatalf("exit %d, %s", code, stderr)
	}
	wantOnly(t, c, "data/precious")
	var got struct {
		Results    []bench.Result
		Suggestion bench.Suggestion
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	for i, want := range []bench.Result{
		{Op: "write", Size: 4 << 10, Requests: 1},
		{Op: "read", Size: 4 << 10, Requests: 1},
		{Op: "write", Size: 4 << 10, Requests: 4},
		{Op: "read", Size: 4 << 10, Requests: 4},
		{Op: "write", Size: 3 << 20, Requests: 1},
		{Op: "read", Size: 3 << 20, Requests: 1},
		{Op: "write", Size: 3 << 20, Requests: 4},
		{Op: "read", Size: 3 << 20, Requests: 4},
	} {
		r := got.Results[i]
		if r.Op != want.Op || r.Size != want.Size || r.Requests != want.Requests || r.Blobs < 1 || r.Sent < r.Blobs ||
			r.Seconds <= 0 || r.CPU <= 0 || r.P50 <= 0 || r.P99 < r.P50 {
			t.Errorf("result %d is %+v", i, r)
		}
	}
	if s := got.Suggestion; s.Transfers != 1 && s.Transfers != 4 || s.Memory < 1<<30 || s.GiBPerSecond <= 0 {
		t.Errorf("suggestion is %+v", s)
	}

	code, stdout, stderr = lhsmctl(t, args...)
	if code != exitOK || stderr != "" || strings.Count(stdout, "\n") != 2+8+1+5 || !strings.Contains(stdout, "--transfers ") {
		t.Errorf("exit %d, %q, and\n%s", code, stderr, stdout)
	}
	wantOnly(t, c, "data/precious")
}

// watched calls a function when a text is written.
type watched struct {
	bytes.Buffer
	text string
	do   func()
}

func (w *watched) Write(p []byte) (int, error) {
	if strings.Contains(string(p), w.text) {
		w.do()
	}
	return w.Buffer.Write(p)
}

// TestBenchLeavesNothing when it is interrupted in the middle.
func TestBenchLeavesNothing(t *testing.T) {
	c, args := benchContainer(t)
	ctx, cancel := context.WithCancel(t.Context())
	out := &watched{text: bench.Write + " ", do: cancel} // what was written is there now
	var errs bytes.Buffer
	p := &program{stdout: out, stderr: &errs}
	code := p.run(ctx, append([]string{programName}, append(args, "--sizes", "4KiB", "--requests", "4", "--time", "100ms")...))
	if code != exitFailure || strings.Count(errs.String(), "\n") != 1 || !strings.Contains(errs.String(), "interrupted") {
		t.Errorf("exit %d, %q", code, errs.String())
	}
	wantOnly(t, c, "")
}

// TestBenchRefusals: one line, before anything is asked of the network.
func TestBenchRefusals(t *testing.T) {
	two := filepath.Join(t.TempDir(), "two.conf")
	text := "[[archive]]\narchive_id = 1\ncontainer_url = \"https://a.blob.core.windows.net/a\"\n[[archive]]\narchive_id = 2\ncontainer_url = \"https://a.blob.core.windows.net/b\"\n"
	if err := os.WriteFile(two, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	url := []string{"--container-url", "https://a.blob.core.windows.net/a"}
	for _, tt := range []struct {
		want string
		args []string
	}{
		{"the container is missing", nil},
		{`"x" is one argument too many`, append(url, "x")},
		{"has 2 containers", []string{"--config", two}},
		{`--sizes: "big" is not a size`, append(url, "--sizes", "big")},
		{"--sizes: 0 is out of range", append(url, "--sizes", "4KiB,0")},
		{"--sizes: 2TiB is out of range", append(url, "--sizes", "2TiB")},
		{`--requests: "0" is not a number from 1 to 1000`, append(url, "--requests", "8,0")},
		{`--requests: "" is not a number`, append(url, "--requests", "")},
		{`--time: "soon" is not a time`, append(url, "--time", "soon")},
		{`--time: "1h" is not a time of up to 10m`, append(url, "--time", "1h")},
		{"credentials of several kinds", append(url, "--account-key-file", "k", "--sas-file", "s")},
		{"not defined: -transfers", append(url, "--transfers", "8")},
	} {
		code, stdout, stderr := lhsmctl(t, append([]string{"bench"}, tt.args...)...)
		if code != exitUsage || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, tt.want) {
			t.Errorf("bench %q: exit %d, %q, %q; want %q", tt.args, code, stdout, stderr, tt.want)
		}
	}
}
