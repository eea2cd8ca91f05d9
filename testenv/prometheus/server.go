package prometheus

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lhsm-azblob/testenv"
)

// patience is how long an event may take that must come.
const patience = 2 * time.Minute

// interval is the time between two scrapes, and between two looks at the rules.
const interval = "500ms"

// A Target is something to scrape.
type Target struct {
	Job     string
	Address string // host:port
	Token   string // file with a bearer token; empty: none
}

// Options are what a [Server] is started with.
type Options struct {
	Targets []Target
	Rules   []string // files
	// NativeHistograms makes it ask for those, and keep no classic buckets of what has them.
	NativeHistograms bool
}

// A Server is a running Prometheus.
type Server struct {
	t    testing.TB
	base string
}

// Start starts a Prometheus that lasts as long as the test.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	config := filepath.Join(t.TempDir(), "prometheus.yml")
	if err := os.WriteFile(config, []byte(o.config(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--config.file=" + config, "--storage.tsdb.path=" + t.TempDir(), "--web.listen-address=127.0.0.1:0"}
	if o.NativeHistograms {
		args = append(args, "--enable-feature=native-histograms")
	}
	cmd := exec.CommandContext(context.Background(), program(t, "prometheus"), args...)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = w
	testenv.Run(t, cmd)
	w.Close()
	s := &Server{t, "http://" + address(t, r)}
	s.waitUntil("it is ready", func() bool { return s.get("/api/v1/rules", &struct{}{}) == nil })
	return s
}

// config is JSON, which is YAML as well.
func (o Options) config(t testing.TB) string {
	t.Helper()
	type object = map[string]any
	rules, scrapes := []string{}, []object{}
	for _, file := range o.Rules {
		absolute, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, absolute)
	}
	for _, target := range o.Targets {
		s := object{"job_name": target.Job, "static_configs": []object{{"targets": []string{target.Address}}}}
		if target.Token != "" {
			s["authorization"] = object{"credentials_file": target.Token}
		}
		scrapes = append(scrapes, s)
	}
	b, err := json.Marshal(object{
		"global":     object{"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
		"rule_files": rules, "scrape_configs": scrapes,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// address reads where the server listens, and then its log to the end.
func address(t testing.TB, log *os.File) string {
	t.Helper()
	found := make(chan string, 1)
	go func() { // ends with the server
		defer log.Close()
		defer close(found)
		for lines := bufio.NewScanner(log); lines.Scan(); {
			if _, at, ok := strings.Cut(lines.Text(), `msg="Listening on" address=`); ok {
				found <- at
			}
		}
	}()
	select {
	case at, ok := <-found:
		if !ok {
			t.Fatal("prometheus ended before it listened")
		}
		return at
	case <-time.After(patience):
		t.Fatal("prometheus does not listen")
		return ""
	}
}

// A Sample is one element of an answer.
type Sample struct {
	Metric map[string]string
}

// Query evaluates an expression for this moment.
func (s *Server) Query(expression string) ([]Sample, error) {
	var data struct{ Result json.RawMessage }
	if err := s.get("/api/v1/query?query="+url.QueryEscape(expression), &data); err != nil {
		return nil, err
	}
	var samples []Sample
	if json.Unmarshal(data.Result, &samples) != nil {
		samples = []Sample{{}} // a scalar, which is always there
	}
	return samples, nil
}

// Wait waits until an expression has a result.
func (s *Server) Wait(expression string) {
	s.t.Helper()
	s.waitUntil("it has something for "+expression, func() bool {
		samples, err := s.Query(expression)
		if err != nil {
			s.t.Fatal(err)
		}
		return len(samples) > 0
	})
}

func (s *Server) waitUntil(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(100 * time.Millisecond) {
		if ok() {
			return
		}
	}
	s.t.Fatalf("prometheus: waited until %s", what)
}

// A Rule is an alert as the server has read it.
type Rule struct {
	Name        string
	Query       string
	Health      string // "ok" when it could be evaluated
	LastError   string
	Labels      map[string]string
	Annotations map[string]string
}

// Rules are those of all files.
func (s *Server) Rules() (rules []Rule) {
	s.t.Helper()
	var data struct{ Groups []struct{ Rules []Rule } }
	if err := s.get("/api/v1/rules", &data); err != nil {
		s.t.Fatal(err)
	}
	for _, g := range data.Groups {
		rules = append(rules, g.Rules...)
	}
	return rules
}

// get reads the data of an answer of the API.
func (s *Server) get(path string, data any) error {
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.base+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("read the answer of prometheus: %w", err)
	}
	if answer.Status != "success" {
		return fmt.Errorf("prometheus refuses %s: %s", path, answer.Error)
	}
	return nil
}
