package httpapi

import (
	"errors"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"lhsm-azblob/jobs"
)

// TestMetrics: the service's own numbers, for those who have access.
func TestMetrics(t *testing.T) {
	f := newFake()
	f.put(jobs.InProgress, func(j *jobs.Job) { j.PercentComplete, j.WaitsFor = 40, "no copytool" })
	f.totals = jobs.Totals{
		Jobs:         map[jobs.State]int64{jobs.InProgress: 1, jobs.Queued: 2, jobs.Failed: 0},
		OldestQueued: time.Now().Add(-time.Hour),
		Since:        jobs.Since{Ended: map[jobs.State]int64{jobs.Failed: 3, jobs.Completed: 0}, FilesExported: 10, BytesExported: 1000, FilesFailed: 2, FilesRetried: 4},
	}
	server := serve(t, f, Access{Token: testToken})
	code, _, body := ask(t, http.MethodGet, server.URL+"/metrics", "", "Authorization", "Bearer "+testToken)
	if code != http.StatusOK {
		t.Fatalf("%d: %s", code, body)
	}
	for _, want := range []string{
		`lhsmctl_jobs{state="InProgress"} 1`, `lhsmctl_jobs{state="Queued"} 2`, `lhsmctl_jobs{state="Failed"} 0`,
		`lhsmctl_jobs_ended_total{state="Failed"} 3`, `lhsmctl_jobs_ended_total{state="Completed"} 0`,
		`lhsmctl_job_files_total{result="exported"} 10`, `lhsmctl_job_files_total{result="failed"} 2`,
		"lhsmctl_job_exported_bytes_total 1000", "lhsmctl_job_file_retries_total 4", "lhsmctl_job_waiting 1", "lhsmctl_job_progress_ratio 0.4",
		"lhsmctl_queue_oldest_age_seconds 360", `lhsmctl_build_info{goversion="go1.`, "go_goroutines ", "process_open_fds ",
	} {
		if !strings.Contains(body, "\n"+want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	if t.Failed() {
		t.Log(body)
	}
	if code, _, _ := ask(t, http.MethodGet, server.URL+"/metrics", ""); code != http.StatusUnauthorized {
		t.Errorf("without the token: %d", code)
	}
	f.totalsErr = errors.New("the database is away")
	if code, _, _ = ask(t, http.MethodGet, server.URL+"/metrics", "", "Authorization", "Bearer "+testToken); code != http.StatusInternalServerError {
		t.Errorf("without a database: %d", code)
	}
}

// TestManualExplainsMetrics holds docs/monitoring.md against what the service says.
func TestManualExplainsMetrics(t *testing.T) {
	f := newFake()
	f.totals = jobs.Totals{Jobs: map[jobs.State]int64{jobs.Queued: 0}, Since: jobs.Since{Ended: map[jobs.State]int64{jobs.Failed: 0}}}
	_, _, metrics := ask(t, http.MethodGet, serve(t, f, Access{}).URL+"/metrics", "")
	manual, err := os.ReadFile("../docs/monitoring.md")
	if err != nil {
		t.Fatal(err)
	}
	found := func(pattern, text string) (list []string) {
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			list = append(list, m[1]+" "+m[2])
		}
		slices.Sort(list)
		return list
	}
	explained := found(`(?m)^\| .(lhsmctl_\w+). \| (counter|gauge) \|`, string(manual))
	if served := found(`(?m)^# TYPE (lhsmctl_\w+) (\w+)`, metrics); !slices.Equal(explained, served) {
		t.Errorf("docs/monitoring.md explains %v,\nthe service has %v", explained, served)
	}
}

// TestNoJobNoProgress: an idle service waits for nothing.
func TestNoJobNoProgress(t *testing.T) {
	server := serve(t, newFake(), Access{})
	_, _, body := ask(t, http.MethodGet, server.URL+"/metrics", "")
	for _, want := range []string{"lhsmctl_queue_oldest_age_seconds 0\n", "lhsmctl_job_waiting 0\n", "lhsmctl_job_progress_ratio 0\n"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in the metrics:\n%s", want, body)
		}
	}
}
