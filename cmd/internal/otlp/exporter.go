package otlp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// Bounds of what waits for a collector.
const (
	queueSize = 1024 // traces
	batchSize = 128  // traces in one request
	batchTime = time.Second
	sendTime  = 10 * time.Second
)

// Options are what an [Exporter] is made of.
type Options struct {
	Address  string      // of [Address]
	Name     string      // of the program
	Version  string      // of the program
	Resource []Attribute // of the process
	Log      *slog.Logger
}

// An Exporter sends traces.
type Exporter struct {
	o       Options
	client  http.Client
	queue   chan []Span
	done    chan struct{}
	dropped atomic.Int64
	failing bool // the last batch; of the sending goroutine
	closing atomic.Bool
}

// Start makes an exporter, which sends until Close.
func Start(o Options) *Exporter {
	e := &Exporter{
		o: o, client: http.Client{Timeout: sendTime},
		queue: make(chan []Span, queueSize), done: make(chan struct{}),
	}
	e.o.Resource = append([]Attribute{{"service.name", o.Name}, {"service.version", o.Version}}, o.Resource...)
	go e.run() // ends with Close
	return e
}

// Address is where the collector at an endpoint takes traces: a URL with a path is
// taken as it is, and one without means /v1/traces.
func Address(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return "", fmt.Errorf("%q is no address of a collector; write it like http://localhost:4318", endpoint)
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/traces"
	}
	return u.String(), nil
}

// Export takes the spans of a trace. It never waits.
func (e *Exporter) Export(trace []Span) {
	select {
	case e.queue <- trace:
	default:
		e.dropped.Add(1)
	}
}

// Dropped is the number of traces that no collector has got.
func (e *Exporter) Dropped() int64 { return e.dropped.Load() }

// Close sends what is left, as long as the collector takes it. Nobody may export any
// more.
func (e *Exporter) Close() {
	e.closing.Store(true)
	close(e.queue)
	<-e.done
	e.client.CloseIdleConnections()
}

func (e *Exporter) run() {
	defer close(e.done)
	for first := range e.queue {
		if e.failing && e.closing.Load() { // then a hanging one must not hold up the end
			e.dropped.Add(1)
			continue
		}
		e.send(e.batch(first))
	}
}

// batch waits a moment for more.
func (e *Exporter) batch(first []Span) [][]Span {
	traces := [][]Span{first}
	timer := time.NewTimer(batchTime)
	defer timer.Stop()
	for len(traces) < batchSize {
		select {
		case trace, more := <-e.queue:
			if !more {
				return traces
			}
			traces = append(traces, trace)
		case <-timer.C:
			return traces
		}
	}
	return traces
}

func (e *Exporter) send(traces [][]Span) {
	err := e.post(traces)
	if err != nil {
		e.dropped.Add(int64(len(traces)))
	}
	switch failing := err != nil; {
	case failing && !e.failing:
		e.o.Log.Warn("the collector does not take traces; they are dropped until it does", "endpoint", e.o.Address, "err", err)
	case !failing && e.failing:
		e.o.Log.Info("the collector takes traces again", "endpoint", e.o.Address)
	}
	e.failing = err != nil
}

func (e *Exporter) post(traces [][]Span) error {
	var spans []wireSpan
	for _, trace := range traces {
		for i := range trace {
			spans = append(spans, trace[i].wire())
		}
	}
	body, err := json.Marshal(request{[]resourceSpans{{
		Resource:   resource{keyValues(e.o.Resource)},
		ScopeSpans: []scopeSpans{{Scope: scope{e.o.Name, e.o.Version}, Spans: spans}},
	}}})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, e.o.Address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", e.o.Name+"/"+e.o.Version)
	answer, err := e.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection is kept
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("it answers %s", answer.Status)
	}
	return nil
}
