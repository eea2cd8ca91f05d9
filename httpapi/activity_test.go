package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestStatusAddress(t *testing.T) {
	for in, want := range map[string]string{
		"http://m:9/metrics": "http://m:9/status", "http://m:9": "http://m:9/status", "http://m:9/": "http://m:9/status", "https://m/p/metrics/": "https://m/p/status", "http://m:9/status": "http://m:9/status",
	} {
		if got := statusAddress(in); got != want {
			t.Errorf("statusAddress(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestAskMovers: one that is away, or is none, is said to be so, and hides no other.
func TestAskMovers(t *testing.T) {
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/status" || r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"version":"v1","serving":true,"actions":[{"op":"ARCHIVE","path":"f"}],"url":"http://elsewhere","error":"none","news":1}`)
	}))
	defer good.Close()
	noise := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>\xff{") }))
	defer noise.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	missing := httptest.NewServer(http.NotFoundHandler())
	defer missing.Close()
	password := strings.Replace(gone.URL, "http://", "http://user:hidden@", 1)
	movers := AskMovers(t.Context(), []string{good.URL + "/metrics", noise.URL, password, missing.URL}, "secret")
	if m := movers[0]; !m.Reachable || m.Version != "v1" || !m.Serving || len(m.Actions) != 1 || m.Actions[0].Path != "f" || m.URL != good.URL+"/metrics" {
		t.Errorf("%+v", m)
	}
	for _, m := range movers[1:] {
		if m.Reachable || m.Error == "" || strings.Contains(m.URL+m.Error, "hidden") {
			t.Errorf("a mover that does not answer: %+v", m)
		}
		if b, err := json.Marshal(m); err != nil || strings.Contains(string(b), "null") {
			t.Errorf("%s, %v", b, err)
		}
	}
	if m := AskMovers(t.Context(), []string{good.URL}, "wrong")[0]; !strings.Contains(m.Error, "--http-token-file") {
		t.Errorf("with a wrong token: %+v", m)
	}
}

func FuzzActivity(f *testing.F) {
	f.Add([]byte(`{"version":"v1","lanes":[{"op":"ARCHIVE","running":1e99}],"actions":null}`))
	f.Add([]byte("<html>\xff{"))
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
	f.Cleanup(server.Close)
	f.Fuzz(func(t *testing.T, answer []byte) {
		body = answer
		m := AskMovers(t.Context(), []string{server.URL}, "")[0]
		if _, err := json.Marshal(m); err != nil || m.Reachable == (m.Error != "") {
			t.Errorf("%+v, %v", m, err)
		}
	})
}
