package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"time"

	"lhsm-azblob/jobs"
)

// Intervals of event streams. The heartbeat keeps proxies from closing a quiet
// connection, and finds clients that are gone; lookout is how often a stream
// with nothing to follow looks for a job.
const (
	heartbeat = 15 * time.Second
	lookout   = time.Second
	// reconnect is what a client is told to wait before it connects again.
	reconnect = time.Second
)

// A stream is an answer of server-sent events.
type stream struct {
	w    http.ResponseWriter
	seen string // id of the last event that the client has
	beat *time.Ticker
}

// startStream answers with the head of a stream. Call end when it is over.
func startStream(w http.ResponseWriter, r *http.Request) (*stream, error) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would keep events back
	w.WriteHeader(http.StatusOK)
	s := &stream{w: w, seen: r.Header.Get("Last-Event-ID"), beat: time.NewTicker(heartbeat)}
	return s, s.write("retry: %d\n\n", reconnect.Milliseconds())
}

func (s *stream) end() { s.beat.Stop() }

func (s *stream) write(format string, args ...any) error {
	if _, err := fmt.Fprintf(s.w, format, args...); err != nil {
		return err
	}
	return http.NewResponseController(s.w).Flush()
}

// send sends an event, unless it is the one that the client has.
func (s *stream) send(kind string, v any) error {
	data, id := event(v)
	if id == s.seen {
		return nil
	}
	s.seen = id
	return s.write("event: %s\nid: %s\ndata: %s\n\n", kind, id, data)
}

// event is a value as JSON, and an id that is the same for the same value.
func event(v any) (data []byte, id string) {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("httpapi: an event that is no JSON: %v", err)) // our own types always are
	}
	sum := fnv.New64a()
	sum.Write(data)
	return data, fmt.Sprintf("%016x", sum.Sum64())
}

// follow sends a job whenever it changes, until it is finished.
func (s *stream) follow(ctx context.Context, changes <-chan jobs.Job) error {
	for {
		select {
		case j, ok := <-changes:
			if !ok {
				return ctx.Err()
			}
			if err := s.send("job", wireJob(j)); err != nil {
				return err
			}
		case <-s.beat.C:
			if err := s.write(": alive\n\n"); err != nil {
				return err
			}
		}
	}
}

// rest waits for the next look, and keeps the connection alive meanwhile.
func (s *stream) rest(ctx context.Context, next <-chan time.Time) error {
	for {
		select {
		case <-next:
			return nil
		case <-s.beat.C:
			if err := s.write(": alive\n\n"); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// jobEvents follows one job. A client that has seen its end is told 204, upon
// which an EventSource stays away.
func (s *Server) jobEvents(w http.ResponseWriter, r *http.Request) error {
	j, err := s.jobAsked(r)
	if err != nil {
		return err
	}
	if _, id := event(wireJob(j)); j.State.Finished() && id == r.Header.Get("Last-Event-ID") {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	out, err := startStream(w, r)
	if err != nil {
		return nil // the client is gone, and nobody is left to tell
	}
	defer out.end()
	_ = out.follow(ctx, s.o.Jobs.Watch(ctx, j.ID)) // as above
	return nil
}

// events follows whatever job is current.
func (s *Server) events(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	out, err := startStream(w, r)
	if err != nil {
		return nil // the client is gone, and nobody is left to tell
	}
	defer out.end()
	look := time.NewTicker(lookout)
	defer look.Stop()
	for err == nil {
		if err = s.followCurrent(ctx, out); err == nil {
			err = out.rest(ctx, look.C)
		}
	}
	if ctx.Err() == nil {
		s.o.Log.Debug("an event stream ended", "err", err)
	}
	return nil
}

func (s *Server) followCurrent(ctx context.Context, out *stream) error {
	j, ok, err := s.o.Jobs.Current(ctx)
	switch {
	case err != nil:
		return err
	case !ok:
		return s.sendIdle(ctx, out)
	}
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	return out.follow(watching, s.o.Jobs.Watch(watching, j.ID))
}

// Idle is the event of a service with nothing to do. LastJob is there for jobs
// that began and ended between two looks; 0: there has been none.
type Idle struct {
	LastJob int64 `json:"lastJob"`
}

func (s *Server) sendIdle(ctx context.Context, out *stream) error {
	var idle Idle
	newest, err := s.o.Jobs.Jobs(ctx, 0, 1)
	if err != nil {
		return err
	}
	if len(newest) > 0 {
		idle.LastJob = newest[0].ID
	}
	return out.send("idle", idle)
}
