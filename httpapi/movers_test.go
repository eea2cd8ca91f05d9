package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"lhsm-azblob/jobs"
)

const moverMetrics = `# TYPE lhsm_azblob_actions_in_flight gauge
lhsm_azblob_actions_in_flight{op="ARCHIVE"} 3
lhsm_azblob_actions_in_flight{op="RESTORE"} 1
lhsm_azblob_actions_in_flight{op="refuse"} 9
# TYPE lhsm_azblob_queue_depth gauge
lhsm_azblob_queue_depth{op="ARCHIVE"} 40
# TYPE lhsm_azblob_actions_total counter
lhsm_azblob_actions_total{code="OK",op="ARCHIVE"} 1e+03
lhsm_azblob_actions_total{code="OK",op="REMOVE"} 5
lhsm_azblob_actions_total{code="FileChanged",op="ARCHIVE"} 2
# TYPE lhsm_azblob_action_bytes_total counter
lhsm_azblob_action_bytes_total{op="ARCHIVE"} 4096
lhsm_azblob_action_bytes_total{op="RESTORE"} 100
# TYPE lhsm_azblob_build_info gauge
lhsm_azblob_build_info{version="v1"} 1
# TYPE lhsm_azblob_memory_in_use_bytes gauge
lhsm_azblob_memory_in_use_bytes 7
# TYPE lhsm_azblob_memory_limit_bytes gauge
lhsm_azblob_memory_limit_bytes 8
# TYPE go_goroutines gauge
go_goroutines 12
`

func statusOf(t *testing.T, url string) Status {
	t.Helper()
	_, _, body := ask(t, "GET", url+"/v1/status", "")
	var st Status
	if err := json.Unmarshal([]byte(body), &st); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return st
}

func TestMovers(t *testing.T) {
	var asked atomic.Int32
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		fmt.Fprint(w, moverMetrics)
	}))
	defer good.Close()
	wrong := httptest.NewServer(http.NotFoundHandler())
	defer wrong.Close()
	noise := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>\xff{") }))
	defer noise.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()

	f := newFake()
	f.put(jobs.InProgress, func(j *jobs.Job) { j.Counters = jobs.Counters{FilesSubmitted: 10, FilesExported: 3, FilesFailed: 1} })
	secret := strings.Replace(gone.URL, "http://", "http://user:secret@", 1)
	server := serve(t, f, Access{}, good.URL, wrong.URL, noise.URL, secret)
	st := statusOf(t, server.URL)
	want := Mover{
		URL: good.URL, Reachable: true, Version: "v1", Running: Operations{Archive: 3, Restore: 1}, Waiting: Operations{Archive: 40},
		Succeeded: 1005, Failed: 2, BytesArchived: 4096, BytesRestored: 100, MemoryInUse: 7, MemoryLimit: 8,
	}
	if !reflect.DeepEqual(st.Movers[0], want) {
		t.Errorf("the mover is %+v, want %+v", st.Movers[0], want)
	}
	for _, m := range st.Movers[1:] {
		if m.Reachable || m.Error == "" || strings.Contains(m.URL+m.Error, "secret") {
			t.Errorf("a mover that does not answer: %+v", m)
		}
	}
	if want := (Coordinator{JobRequests: 6, Running: 4, Waiting: 40}); st.Coordinator != want {
		t.Errorf("coordinator: %+v, want %+v", st.Coordinator, want)
	}
	statusOf(t, server.URL)
	if n := asked.Load(); n != 1 {
		t.Errorf("the mover was asked %d times within a moment, want once", n)
	}
}

// FuzzMetrics: whatever answers at a mover's address, the service lives on.
func FuzzMetrics(f *testing.F) {
	f.Add([]byte(moverMetrics))
	f.Add([]byte("# TYPE lhsm_azblob_queue_depth histogram\nlhsm_azblob_queue_depth_bucket{le=\"x\"} NaN\n"))
	f.Add([]byte("<html>\xff{"))
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
	f.Cleanup(server.Close)
	m := newMovers([]string{server.URL})
	f.Fuzz(func(t *testing.T, answer []byte) {
		body = answer
		mover := m.scrape(t.Context(), server.URL)
		if _, err := json.Marshal(mover); err != nil || mover.Reachable == (mover.Error != "") {
			t.Errorf("%+v, %v", mover, err)
		}
	})
}
