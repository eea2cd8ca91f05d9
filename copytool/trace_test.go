package copytool

import (
	"testing"

	"lhsm-azblob/blobstore"
)

// TestTraceIsBounded: of the requests of a huge file the first are kept, and failures.
func TestTraceIsBounded(t *testing.T) {
	var r recorder
	for i := range 50_000 {
		e := blobstore.RequestEvent{Status: 201, Try: 1}
		if i >= 10_000 && i < 10_050 {
			e.Status = 503
		}
		r.observe(e)
	}
	failed := 0
	for _, e := range r.requests {
		if e.Status == 503 {
			failed++
		}
	}
	if len(r.requests) != tracedRequests+50 || failed != 50 || r.leftOut != 50_000-tracedRequests-50 {
		t.Errorf("%d requests, %d of them failed, %d left out", len(r.requests), failed, r.leftOut)
	}
	for range 1000 {
		r.observe(blobstore.RequestEvent{Try: 2})
	}
	if len(r.requests) != tracedRequests+tracedFailures {
		t.Errorf("%d requests with failures only", len(r.requests))
	}
}

// TestTracesAreWanted: each action is one trace when it is over; nobody records for nobody.
func TestTracesAreWanted(t *testing.T) {
	var traces []Trace
	r := newRig(t, func(o *Options) { o.Trace = func(t Trace) { traces = append(traces, t) } })
	fid := r.write("f", "content")
	r.archive(fid)
	r.stop()
	if len(traces) != 1 {
		t.Fatalf("%d traces", len(traces))
	}
	if got := traces[0]; got.Op != "ARCHIVE" || got.Code != OK || got.Path != "f" || got.FID != fid.String() || got.Bytes != 7 || !got.End.After(got.Start) || got.Waited < 0 || got.Message != "" {
		t.Errorf("%+v", got)
	}
	silent := &job{Agent: &Agent{}}
	if ctx := silent.listen(t.Context()); ctx != t.Context() || silent.recorder != nil {
		t.Error("requests are recorded, and nobody wants them")
	}
}
