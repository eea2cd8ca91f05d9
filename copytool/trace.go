package copytool

import (
	"context"
	"sync"
	"time"

	"lhsm-azblob/blobstore"
)

// A Trace is an action from its start to its end, with what it asked of Blob storage.
type Trace struct {
	Op, FID, Cookie string
	Path            string
	Blob            string
	Code            Code
	Message         string        // why it failed; empty: it did not
	Bytes           int64         // moved
	Waited          time.Duration // for its start, since it was received
	Adopted         bool          // from a process that died
	Start, End      time.Time

	Requests        []blobstore.RequestEvent // the first ones, and those that failed
	RequestsLeftOut int                      // more of them
}

// Bounds of the requests of a trace: a file can take 50,000.
const (
	tracedRequests = 100
	tracedFailures = 100 // beyond those
)

// A recorder collects the requests of an action.
type recorder struct {
	mu       sync.Mutex // guards what follows
	requests []blobstore.RequestEvent
	leftOut  int
}

func (r *recorder) observe(e blobstore.RequestEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, failed := len(r.requests), e.Err != nil || e.Status >= 400 || e.Try > 1
	if n < tracedRequests || failed && n < tracedRequests+tracedFailures {
		r.requests = append(r.requests, e)
	} else {
		r.leftOut++
	}
}

// listen makes the job's requests known to it, if traces are wanted.
func (j *job) listen(ctx context.Context) context.Context {
	if j.o.Trace == nil {
		return ctx
	}
	if j.recorder == nil { // a job that still owes its end has one
		j.recorder = &recorder{}
	}
	return blobstore.Observed(ctx, j.recorder.observe)
}

// tell hands over the trace of a job that is over.
func (j *job) tell() {
	if j.o.Trace == nil {
		return
	}
	t := Trace{
		Op: j.t.item.Action.String(), FID: j.t.fid.String(), Cookie: cookieText(j.t.cookie), Path: j.path, Blob: string(j.blob),
		Code: j.verdict.Code, Bytes: j.bytes, Waited: j.start.Sub(j.t.received), Adopted: j.t.adopted, Start: j.start, End: time.Now(),
	}
	if j.err != nil {
		t.Message = j.err.Error()
	}
	j.recorder.mu.Lock()
	t.Requests, t.RequestsLeftOut = j.recorder.requests, j.recorder.leftOut
	j.recorder.mu.Unlock()
	j.o.Trace(t)
}
