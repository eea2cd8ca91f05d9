package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"lhsm-azblob/httpapi"
)

const jobEvent = "job"

// silence is how long a stream may be quiet, heartbeats included, before its
// connection counts as dead.
const silence = time.Minute

// An event of the service.
type event struct {
	kind, id string
	job      httpapi.Job // of a jobEvent
}

// eventStream reads the service's events (server-sent events).
type eventStream struct {
	lines *bufio.Scanner
	quiet *time.Timer
	close func()
}

// listen opens a stream. last is the id of the last event that is known.
func (s *session) listen(ctx context.Context, path, last string) (*eventStream, error) {
	ctx, cancel := context.WithCancel(ctx)
	headers := []string{"Accept", "text/event-stream"}
	if last != "" {
		headers = append(headers, "Last-Event-ID", last)
	}
	answer, err := s.do(ctx, http.MethodGet, path, nil, headers...) //nolint:bodyclose // close does
	if err != nil {
		cancel()
		return nil, err
	}
	e := &eventStream{lines: bufio.NewScanner(answer.Body), quiet: time.AfterFunc(silence, cancel)}
	e.lines.Buffer(nil, 1<<20)
	e.close = func() {
		e.quiet.Stop()
		cancel()
		answer.Body.Close()
	}
	return e, nil
}

// errStreamEnded is the end of a connection.
var errStreamEnded = errors.New("the connection with the service ended")

// next waits for an event.
func (e *eventStream) next() (event, error) {
	var next event
	for e.lines.Scan() {
		e.quiet.Reset(silence)
		name, value, _ := strings.Cut(e.lines.Text(), ": ")
		switch name {
		case "event":
			next.kind = value
		case "id":
			next.id = value
		case "data":
			if err := json.Unmarshal([]byte(value), &next.job); err != nil {
				return event{}, fmt.Errorf("read an event: %w", err)
			}
		case "":
			if next.kind != "" {
				return next, nil
			}
		}
	}
	if err := e.lines.Err(); err != nil {
		return event{}, unreachable{fmt.Errorf("%w: %w", errStreamEnded, err)}
	}
	return event{}, unreachable{errStreamEnded}
}

// reconnectPause is the time between two tries to connect again.
const reconnectPause = time.Second

// follow shows a job until it is over. When the service goes away it connects
// again: jobs survive a restart, and so do those who watch them.
func (s *session) follow(id int64, show func(httpapi.Job), away func(error)) (httpapi.Job, error) {
	var last event
	seen := time.Now()
	for {
		err := s.followOnce(id, &last, func() { seen = time.Now() }, show)
		switch {
		case last.job.Finished:
			return last.job, nil
		case s.ctx.Err() != nil:
			return last.job, s.ctx.Err()
		case !errors.As(err, &unreachable{}):
			return last.job, err
		case last.id == "", time.Since(seen) > s.waiting:
			return last.job, err
		}
		away(err)
		select {
		case <-time.After(reconnectPause):
		case <-s.ctx.Done():
		}
	}
}

func (s *session) followOnce(id int64, last *event, alive func(), show func(httpapi.Job)) error {
	events, err := s.listen(s.ctx, fmt.Sprintf("/v1/jobs/%d/events", id), last.id)
	if err != nil {
		return err
	}
	defer events.close()
	for {
		e, err := events.next()
		if err != nil {
			return err
		}
		alive()
		if e.kind == jobEvent {
			*last = e
			show(e.job)
		}
	}
}
