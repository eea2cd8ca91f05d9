package otlp

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestAddress(t *testing.T) {
	for in, want := range map[string]string{
		"http://localhost:4318": "http://localhost:4318/v1/traces", "https://c/": "https://c/v1/traces", "http://c/otlp/v1/traces": "http://c/otlp/v1/traces",
	} {
		if got, err := Address(in); err != nil || got != want {
			t.Errorf("Address(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "localhost:4318", "grpc://c:4317", "http://", "http://user:secret@c", "http://c?key=secret", "://"} {
		if got, err := Address(in); err == nil {
			t.Errorf("Address(%q) = %q", in, got)
		}
	}
}

// start is an exporter to a collector that does with each request what take does.
func start(t *testing.T, log *slog.Logger, take http.HandlerFunc) *Exporter {
	t.Helper()
	collector := httptest.NewServer(take)
	t.Cleanup(collector.Close)
	address, err := Address(collector.URL)
	if err != nil {
		t.Fatal(err)
	}
	return Start(Options{Address: address, Name: "program", Version: "v1", Resource: []Attribute{{"host.name", "h"}}, Log: log})
}

// TestWire is the form that the protocol prescribes, letter by letter.
func TestWire(t *testing.T) {
	var path, kind string
	var body bytes.Buffer
	e := start(t, slog.New(slog.DiscardHandler), func(_ http.ResponseWriter, r *http.Request) {
		path, kind = r.URL.Path, r.Header.Get("Content-Type")
		_, _ = body.ReadFrom(r.Body)
	})
	e.Export([]Span{{
		TraceID: "5b8efff798038103d269b633813fc60c", ID: "eee19b7ec3c1b174", Parent: "eee19b7ec3c1b173", Name: "put-blob", Kind: Client,
		Start: time.Unix(1, 5), End: time.Unix(2, 0), Error: "it failed", Attributes: []Attribute{{"text", "\xff"}, {"number", int64(1) << 60}, {"truth", true}},
	}})
	e.Close()
	const want = `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"program"}},{"key":"service.version","value":{"stringValue":"v1"}},
		{"key":"host.name","value":{"stringValue":"h"}}]},"scopeSpans":[{"scope":{"name":"program","version":"v1"},"spans":[{
		"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","parentSpanId":"eee19b7ec3c1b173","name":"put-blob","kind":3,
		"startTimeUnixNano":"1000000005","endTimeUnixNano":"2000000000",
		"attributes":[{"key":"text","value":{"stringValue":"\ufffd"}},{"key":"number","value":{"intValue":"1152921504606846976"}},{"key":"truth","value":{"boolValue":true}}],
		"status":{"code":2,"message":"it failed"}}]}]}]}`
	var got, wanted any
	if err := json.Unmarshal(body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, wanted) || path != "/v1/traces" || kind != "application/json" {
		t.Errorf("%s %s\n%s", path, kind, body.String())
	}
	if a, b := NewTraceID(), NewTraceID(); a == b || len(a) != 32 || len(NewSpanID()) != 16 {
		t.Errorf("ids %s and %s", a, b)
	}
}

// TestCollectorFails: what it does not take is counted, and said once.
func TestCollectorFails(t *testing.T) {
	var log bytes.Buffer
	var calls atomic.Int32
	answered := make(chan struct{})
	e := start(t, slog.New(slog.NewTextHandler(&log, nil)), func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		answered <- struct{}{}
	})
	for range 3 {
		e.Export([]Span{{Name: "x"}})
		<-answered // one batch each
	}
	e.Close()
	if n := e.Dropped(); n != 2 {
		t.Errorf("%d traces were dropped, want 2", n)
	}
	if text := log.String(); strings.Count(text, "does not take traces") != 1 || strings.Count(text, "takes traces again") != 1 {
		t.Errorf("the log says\n%s", text)
	}
}

// TestNobodyWaits: a collector that hangs holds up nobody who exports.
func TestNobodyWaits(t *testing.T) {
	hold := make(chan struct{})
	var calls atomic.Int32
	e := start(t, slog.New(slog.DiscardHandler), func(http.ResponseWriter, *http.Request) {
		calls.Add(1)
		<-hold
	})
	const more = 10
	for range queueSize + 2*batchSize + more {
		e.Export([]Span{{Name: "x"}})
	}
	if n := e.Dropped(); n < more {
		t.Errorf("%d traces were dropped, want %d or more", n, more)
	}
	if n := calls.Load(); n > 1 {
		t.Errorf("the collector was called %d times meanwhile: somebody waited for it", n)
	}
	close(hold)
	e.Close()
}
