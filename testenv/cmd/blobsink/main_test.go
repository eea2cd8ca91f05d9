package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"lhsm-azblob/testenv/blobsink"
)

func TestRunServesAndCounts(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r, w := io.Pipe()
	go func() { w.CloseWithError(run(ctx, nil, w)) }()
	lines := bufio.NewScanner(r)
	lines.Scan()
	_, endpoint, ok := strings.Cut(lines.Text(), "BLOBSINK_ENDPOINT=")
	lines.Scan()
	_, counts, _ := strings.Cut(lines.Text(), "BLOBSINK_STATS=")
	if lines.Scan(); !ok || lines.Text() != "ready" {
		t.Fatalf("said %q, then %q", endpoint, lines.Text())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, endpoint+"/data/a", strings.NewReader("abc"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if st, err := blobsink.FetchStats(ctx, counts); err != nil || st.Requests["put-blob"] != 1 {
		t.Errorf("counts so far are %v, %v", st, err)
	}
	stop()
	lines.Scan()
	var st blobsink.Stats
	if err := json.Unmarshal(lines.Bytes(), &st); err != nil || st.Requests["put-blob"] != 1 || st.BytesIn != 3 {
		t.Errorf("counts are %s, %v", lines.Text(), err)
	}
}

func TestMakeWritesWhatBlobsAreMadeOf(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-make", "3000000", "-fill", "pattern"}, &out); err != nil {
		t.Fatal(err)
	}
	want, _ := io.ReadAll(blobsink.Pattern.Reader(3_000_000))
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("%d bytes, and not the pattern", out.Len())
	}
}
