package copytool

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
)

// series are the metrics by name and labels, as the text format has them.
func series(t *testing.T, m *Metrics) map[string]*dto.Metric {
	t.Helper()
	families, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*dto.Metric{}
	for _, f := range families {
		for _, x := range f.GetMetric() {
			labels := ""
			for _, l := range x.GetLabel() {
				labels += fmt.Sprintf(",%s=%q", l.GetName(), l.GetValue())
			}
			if labels != "" {
				labels = "{" + labels[1:] + "}"
			}
			all[f.GetName()+labels] = x
		}
	}
	return all
}

func wantSeries(t *testing.T, m *Metrics, want map[string]float64) {
	t.Helper()
	all := series(t, m)
	for name, value := range want {
		x, ok := all["lhsm_azblob_"+name]
		if !ok {
			t.Errorf("no %s", name)
			continue
		}
		if got := x.GetCounter().GetValue() + x.GetGauge().GetValue() + float64(x.GetHistogram().GetSampleCount()); got != value {
			t.Errorf("%s is %v, want %v", name, got, value)
		}
	}
}

func TestMetricsTellOutcomes(t *testing.T) {
	m := NewMetrics()
	m.Build("v1")
	r := newRig(t, func(o *Options) { o.Metrics = m })
	fid := r.write("f", "content")
	r.archive(fid)
	wantSeries(t, m, map[string]float64{"serving": 1})
	r.stop()
	wantSeries(t, m, map[string]float64{
		`actions_total{code="OK",op="ARCHIVE"}`: 1, `actions_total{code="OK",op="RESTORE"}`: 0, `actions_total{code="AuthFailed",op="ARCHIVE"}`: 0, `action_bytes_total{op="ARCHIVE"}`: 7,
		`action_duration_seconds{op="ARCHIVE"}`: 1, `action_duration_seconds{op="REMOVE"}`: 0, `actions_limit{op="ARCHIVE"}`: 64,
		`queue_depth{op="ARCHIVE"}`: 0, `actions_in_flight{op="ARCHIVE"}`: 0, "serving": 0,
	})
}

// TestMetricsOfRequests: what is counted of a request, whatever the other end says.
func TestMetricsOfRequests(t *testing.T) {
	m := NewMetrics()
	for _, e := range []blobstore.RequestEvent{
		{Op: "put-blob", Try: 1, Status: 503, Code: "ServerBusy", Sent: 10, Duration: time.Second},
		{Op: "put-blob", Try: 2, Status: 429, Code: "not a\xff code"},
		{Op: "put-blob", Try: 3, Status: 201, Sent: 10, Received: 3},
		{Op: "get-blob", Try: 1},
	} {
		m.ObserveRequest(e)
	}
	wantSeries(t, m, map[string]float64{
		`blob_requests_total{code="ServerBusy",op="put-blob",status="503"}`: 1,
		`blob_requests_total{code="other",op="put-blob",status="429"}`:      1,
		`blob_requests_total{code="",op="put-blob",status="201"}`:           1,
		`blob_requests_total{code="",op="get-blob",status="none"}`:          1,
		`blob_request_retries_total{op="put-blob"}`:                         2,
		`blob_request_retries_total{op="get-blob"}`:                         0,
		`blob_throttles_total{op="put-blob"}`:                               2,
		`blob_request_duration_seconds{op="put-blob"}`:                      3,
		`blob_bytes_total{direction="sent"}`:                                20,
		`blob_bytes_total{direction="received"}`:                            3,
	})
}

// TestHistogramsAreOfBothKinds: who knows native histograms gets them, and others
// find buckets as ever.
func TestHistogramsAreOfBothKinds(t *testing.T) {
	m := NewMetrics()
	m.actionDone(opArchive, OK, 300*time.Millisecond)
	h := series(t, m)[`lhsm_azblob_action_duration_seconds{op="ARCHIVE"}`].GetHistogram()
	if len(h.GetBucket()) == 0 || h.GetSchema() == 0 || len(h.GetPositiveSpan()) == 0 {
		t.Errorf("buckets %v, native schema %d with %v", h.GetBucket(), h.GetSchema(), h.GetPositiveSpan())
	}
}

// TestQueueAge follows the oldest action through what it can wait for.
func TestQueueAge(t *testing.T) {
	onStage(t, Limits{Archives: 1, Restores: 1, Removes: 1}, func(t *testing.T, st *stage) {
		want := func(ages ...time.Duration) {
			t.Helper()
			synctest.Wait()
			for i, l := range st.state() {
				if got := l.age(time.Now()); got != ages[i] {
					t.Errorf("the oldest %s has waited for %v, want %v", l.name, got, ages[i])
				}
			}
		}
		tasks := archiveTasks(2)
		st.submit(tasks, nil)
		want(0, 0, 0) // the second has just come
		time.Sleep(time.Minute)
		remove := testTask(llapi.ActionRemove, 1, 100) // of the file that the first works on
		st.submit([]*task{remove}, nil)
		time.Sleep(time.Minute)
		want(0, 2*time.Minute, time.Minute)
		st.finish(tasks[0].key)
		want(0, 0, 0)
	})
}

// TestUnreportedActions: those whose end nobody takes are in the queue, and told apart.
func TestUnreportedActions(t *testing.T) {
	onStage(t, Limits{Archives: 1, Restores: 1, Removes: 1}, func(t *testing.T, st *stage) {
		tasks := archiveTasks(1)
		k := tasks[0].key
		st.rests[k] = time.Minute
		st.submit(tasks, nil)
		synctest.Wait()
		st.finish(k)
		if l := st.state()[1]; l.resting != 1 || l.waiting != 1 || l.running != 0 {
			t.Errorf("lane at rest: %+v", l)
		}
		delete(st.rests, k)
		time.Sleep(2 * time.Minute)
		st.finishAll()
		if l := st.state()[1]; l.resting != 0 || l.waiting != 0 {
			t.Errorf("lane at the end: %+v", l)
		}
	})
}

// TestCountingMakesNoGarbage: it is done for every file and every request.
func TestCountingMakesNoGarbage(t *testing.T) {
	m := NewMetrics()
	request := blobstore.RequestEvent{Op: "put-blob", Try: 1, Status: 201, Sent: 10, Duration: 20 * time.Millisecond}
	perRequest := testing.AllocsPerRun(1000, func() { m.ObserveRequest(request) })
	perAction := testing.AllocsPerRun(1000, func() { m.actionDone(opArchive, OK, 20*time.Millisecond) })
	if perRequest > 0 || perAction > 0 {
		t.Errorf("%v allocations for a request, %v for an action", perRequest, perAction)
	}
}

func BenchmarkCounting(b *testing.B) {
	m := NewMetrics()
	request := blobstore.RequestEvent{Op: "put-blob", Try: 1, Status: 201, Sent: 10, Duration: 20 * time.Millisecond}
	b.ReportAllocs()
	for b.Loop() {
		m.ObserveRequest(request)
		m.actionDone(opArchive, OK, 20*time.Millisecond)
	}
}
