package httpapi

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"lhsm-azblob/jobs"
)

func reported() *fakeJobs {
	f := newFake()
	f.results = []jobs.FileResult{
		{Path: "/data/a,b\"c", Status: jobs.StatusFailed, ErrorCode: jobs.CodeFileChanged, Message: "it changed", Attempts: 4, Time: moment2026},
		{Path: "/data/ok", Status: jobs.StatusExported, Size: 5, Attempts: 1, Time: moment2026},
		{Path: "/data/\xff\n", Status: jobs.StatusFailed, ErrorCode: "BlobExists", Message: "two\nlines", Time: moment2026},
	}
	f.put(jobs.CompletedPartial, func(j *jobs.Job) { j.Spec.ReportAll = true })
	return f
}

func TestReportCSV(t *testing.T) {
	server := serve(t, reported(), Access{})
	status, header, body := ask(t, "GET", server.URL+"/v1/jobs/1/report", "")
	if status != 200 || header.Get("Content-Disposition") != `attachment; filename="job-1-failures.csv"` || !strings.HasPrefix(header.Get("Content-Type"), "text/csv") {
		t.Errorf("%d %v", status, header)
	}
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil || len(rows) != 3 || rows[1][0] != `/data/a,b"c` || rows[1][2] != "FileChanged" || rows[2][0] != "/data/%FF%0A" {
		t.Errorf("%v %q", err, rows)
	}
}

func TestReportJSONL(t *testing.T) {
	server := serve(t, reported(), Access{})
	_, header, body := ask(t, "GET", server.URL+"/v1/jobs/1/report?format=jsonl&all=1", "")
	if want := `attachment; filename="job-1-files.jsonl"`; header.Get("Content-Disposition") != want {
		t.Errorf("%q, want %q", header.Get("Content-Disposition"), want)
	}
	lines := strings.Split(strings.TrimSpace(body), "\n")
	var r jobs.FileResult
	if err := json.Unmarshal([]byte(lines[1]), &r); err != nil || len(lines) != 3 || r.Path != "/data/ok" || r.Size != 5 {
		t.Errorf("%v, %d lines, %+v", err, len(lines), r)
	}
}

// TestReportThatBreaks: half a report must not look like a whole one.
func TestReportThatBreaks(t *testing.T) {
	f := reported()
	f.broken = errors.New("disk on fire")
	server := serve(t, f, Access{})
	for _, format := range []string{"csv", "jsonl"} {
		request, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/v1/jobs/1/report?format="+format, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			continue // cut off before the head, which tells as much
		}
		if b, err := io.ReadAll(answer.Body); err == nil {
			t.Errorf("%s: the client got %q and no error", format, b)
		}
		answer.Body.Close()
	}
}
