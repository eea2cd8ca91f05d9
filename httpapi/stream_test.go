package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"lhsm-azblob/jobs"
)

// An eventClient reads an event stream.
type eventClient struct {
	t      *testing.T
	answer *http.Response
	lines  *bufio.Scanner
	close  func()
}

func listen(t *testing.T, url string, headers ...string) *eventClient {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultTransport.RoundTrip(request) //nolint:bodyclose // close does
	if err != nil {
		t.Fatal(err)
	}
	c := &eventClient{t: t, answer: answer, lines: bufio.NewScanner(answer.Body), close: func() { cancel(); answer.Body.Close() }}
	t.Cleanup(c.close)
	return c
}

// next returns the next event; all empty at the end of the stream.
func (c *eventClient) next() (kind, id, data string) {
	for c.lines.Scan() {
		name, value, _ := strings.Cut(c.lines.Text(), ": ")
		switch name {
		case "event":
			kind = value
		case "id":
			id = value
		case "data":
			data = value
		case "":
			if kind != "" {
				return kind, id, data
			}
		}
	}
	return "", "", ""
}

func (c *eventClient) nextJob() (Job, string) {
	c.t.Helper()
	kind, id, data := c.next()
	var j Job
	if err := json.Unmarshal([]byte(data), &j); err != nil || kind != "job" {
		c.t.Fatalf("event %q with data %q, want a job: %v", kind, data, err)
	}
	return j, id
}

func firstEvent(t *testing.T, url string, headers ...string) (int, http.Header, string) {
	t.Helper()
	c := listen(t, url, headers...)
	body := ""
	if c.answer.StatusCode == http.StatusOK {
		_, _, body = c.next()
	} else if c.lines.Scan() {
		body = c.lines.Text()
	}
	c.close()
	return c.answer.StatusCode, c.answer.Header, body
}

func TestFollowJob(t *testing.T) {
	f := newFake()
	id := f.put(jobs.InProgress)
	server := serve(t, f, Access{})
	c := listen(t, server.URL+"/v1/jobs/1/events")
	if j, _ := c.nextJob(); j.State != jobs.InProgress || !j.CanCancel {
		t.Errorf("first event: %+v", j)
	}
	f.change(id, func(j *jobs.Job) { j.PercentComplete = 50 })
	if j, _ := c.nextJob(); j.PercentComplete != 50 {
		t.Errorf("second event: %+v", j)
	}
	f.change(id, func(j *jobs.Job) { j.State = jobs.Completed })
	j, last := c.nextJob()
	if !j.Finished || j.CanCancel {
		t.Errorf("last event: %+v", j)
	}
	if kind, _, _ := c.next(); kind != "" {
		t.Errorf("an event %q after the end of the job", kind)
	}
	// An EventSource connects again after the end, and has to be told to stay away.
	if status, _, _ := ask(t, "GET", server.URL+"/v1/jobs/1/events", "", "Last-Event-ID", last); status != http.StatusNoContent {
		t.Errorf("connected again after the last event: %d, want 204", status)
	}
	f.waitIdle(t)
}

// TestReconnect: what the client has seen is not sent again, what it missed is.
func TestReconnect(t *testing.T) {
	f := newFake()
	id := f.put(jobs.InProgress)
	server := serve(t, f, Access{})
	c := listen(t, server.URL+"/v1/events")
	_, seen := c.nextJob()
	c.close()
	f.waitIdle(t)

	again := listen(t, server.URL+"/v1/events", "Last-Event-ID", seen)
	f.change(id, func(j *jobs.Job) { j.PercentComplete = 7 })
	if j, _ := again.nextJob(); j.PercentComplete != 7 {
		t.Errorf("the first event was %+v, which the client has seen", j)
	}
	again.close()
	f.change(id, func(j *jobs.Job) { j.PercentComplete = 9 })
	late := listen(t, server.URL+"/v1/events", "Last-Event-ID", seen)
	if j, _ := late.nextJob(); j.PercentComplete != 9 {
		t.Errorf("after a gap came %+v, want the present state", j)
	}
}

// TestCurrentEvents follows the end of one job, the gap, and the next one.
func TestCurrentEvents(t *testing.T) {
	f := newFake()
	server := serve(t, f, Access{})
	c := listen(t, server.URL+"/v1/events")
	if kind, _, _ := c.next(); kind != "idle" {
		t.Errorf("without a job: %q", kind)
	}
	id := f.put(jobs.InProgress)
	if j, _ := c.nextJob(); j.ID != id {
		t.Errorf("got job %d", j.ID)
	}
	f.change(id, func(j *jobs.Job) { j.State = jobs.Completed })
	if j, _ := c.nextJob(); !j.Finished {
		t.Errorf("got %+v, want the end", j)
	}
	if kind, _, data := c.next(); kind != "idle" || data != `{"lastJob":1}` {
		t.Errorf("after the job: %q %s", kind, data)
	}
	// One that nobody saw running is told all the same.
	f.put(jobs.Completed)
	if kind, _, data := c.next(); kind != "idle" || data != `{"lastJob":2}` {
		t.Errorf("after a quick job: %q %s", kind, data)
	}
}

// TestClientsThatGo leave nothing behind.
func TestClientsThatGo(t *testing.T) {
	f := newFake()
	f.put(jobs.InProgress)
	server := serve(t, f, Access{})
	for range 20 {
		c := listen(t, server.URL+"/v1/events")
		c.nextJob()
		c.close()
		d := listen(t, server.URL+"/v1/jobs/1/events")
		d.nextJob()
		d.close()
	}
	f.waitIdle(t)
}
