package acceptance

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A span is what a collector needs to know of one.
type span struct {
	TraceID      string
	SpanID       string
	ParentSpanID string
	Name         string
	Attributes   []struct {
		Key   string
		Value struct{ StringValue, IntValue string }
	}
	Status struct {
		Code    int
		Message string
	}
}

func (s span) attribute(key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.StringValue + a.Value.IntValue
		}
	}
	return ""
}

// collector is an OpenTelemetry collector. It gives the spans that it gets.
func collector(t *testing.T) (address string, spans chan span) {
	t.Helper()
	spans = make(chan span, 1000)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var batch struct {
			ResourceSpans []struct{ ScopeSpans []struct{ Spans []span } }
		}
		if err := json.NewDecoder(r.Body).Decode(&batch); err != nil || r.URL.Path != "/v1/traces" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		for _, of := range batch.ResourceSpans {
			for _, in := range of.ScopeSpans {
				for _, s := range in.Spans {
					spans <- s
				}
			}
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, spans
}

// TestTraces: each action is a trace, with the request ids that both ends have logged.
func TestTraces(t *testing.T) {
	address, spans := collector(t)
	e, c := start(t, "--trace-endpoint", address)
	e.archived("dir/f", []byte("content"))
	e.putBlob("taken", []byte("somebody else's"))
	e.write("taken", []byte("ours"))
	e.hsm("archive", "taken")
	roots, children := map[string]span{}, map[string][]span{}
	for len(roots) < 2 {
		select {
		case s := <-spans:
			if s.ParentSpanID == "" {
				roots[s.attribute("lhsm.path")] = s
			} else {
				children[s.ParentSpanID] = append(children[s.ParentSpanID], s)
			}
		case <-time.After(patience):
			t.Fatalf("the collector has got %v and %v", roots, children)
		}
	}
	c.stop() // what is left is sent before the end
	close(spans)
	for s := range spans {
		children[s.ParentSpanID] = append(children[s.ParentSpanID], s)
	}
	good, bad := roots["dir/f"], roots["taken"]
	if good.Name != "ARCHIVE" || good.attribute("lhsm.code") != "OK" || good.attribute("lhsm.bytes") != "7" || good.Status.Code != 0 || bad.attribute("lhsm.code") != "BlobExists" || bad.Status.Code != 2 {
		t.Errorf("good %+v\nbad %+v", good, bad)
	}
	line := c.waitLog("action done", "path=dir/f")
	if !strings.Contains(line, "cookie="+good.attribute("lhsm.cookie")) || !strings.Contains(line, "fid="+good.attribute("lhsm.fid")) || good.attribute("lhsm.fid") == "" {
		t.Errorf("the trace %+v is not of the line %s", good, line)
	}
	logged := strings.Join(c.log(), "\n")
	puts, refused := 0, 0
	for _, root := range []span{good, bad} {
		for _, s := range children[root.SpanID] {
			id := s.attribute("az.service_request_id")
			if s.TraceID != root.TraceID || id == "" || !strings.Contains(logged, "request_id="+id) || !regexp.MustCompile(`^[0-9a-f-]{36}$`).MatchString(s.attribute("az.client_request_id")) {
				t.Errorf("request %+v of trace %s", s, root.TraceID)
			}
			if s.Name == "put-blob" && s.attribute("http.response.status_code") == "201" && s.attribute("http.request.body.size") == "7" {
				puts++
			}
			if s.attribute("error.type") == "BlobAlreadyExists" {
				refused++
			}
		}
	}
	if puts != 1 || refused != 1 {
		t.Errorf("%d uploads and %d refusals in the traces %+v", puts, refused, children)
	}
}
