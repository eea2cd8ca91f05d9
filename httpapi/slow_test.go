package httpapi

import (
	"bufio"
	"context"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lhsm-azblob/jobs"
)

// pipes is a listener without a network, so that a test's clock can be the connections'.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error {
	close(p.closed)
	return nil
}

func (pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// slowJobs takes its time.
type slowJobs struct {
	*fakeJobs
	takes time.Duration // each creation, and each result
	ended chan struct{} // closed when the results have
}

func (s slowJobs) Create(ctx context.Context, spec jobs.Spec) (jobs.Job, bool, error) {
	time.Sleep(s.takes)
	return s.fakeJobs.Create(ctx, spec)
}

func (s slowJobs) Results(ctx context.Context, id int64, onlyFailures bool) iter.Seq2[jobs.FileResult, error] {
	return func(yield func(jobs.FileResult, error) bool) {
		defer close(s.ended)
		for r, err := range s.fakeJobs.Results(ctx, id, onlyFailures) {
			time.Sleep(s.takes)
			if !yield(r, err) {
				return
			}
		}
	}
}

// inSlowTime serves a fake, with a job that runs and a failed one, in a bubble. dial
// connects and sends.
func inSlowTime(t *testing.T, test func(t *testing.T, dial func(text string) net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.put(jobs.InProgress)
		f.put(jobs.CompletedPartial, func(j *jobs.Job) { j.Counters.FilesFailed = 1 })
		connect := servePipes(t, f)
		test(t, func(text string) net.Conn {
			client := connect()
			if _, err := io.WriteString(client, text); err != nil {
				t.Fatal(err)
			}
			return client
		})
	})
}

// servePipes serves an engine, in HTTP/1.1 and HTTP/2.
func servePipes(t *testing.T, engine Jobs) (connect func() net.Conn) {
	t.Helper()
	s := New(Options{Jobs: engine, Log: slog.New(slog.DiscardHandler)})
	l := pipes{make(chan net.Conn), make(chan struct{})}
	server := &http.Server{
		Handler: s.Handler(Access{Token: testToken}), Protocols: new(http.Protocols), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan error)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close() // what is left are connections that the test has closed
		<-done
	})
	return func() net.Conn {
		client, conn := net.Pipe()
		l.conns <- conn
		return client
	}
}

// withSlowJobs is for what has to be the same in both protocols.
func withSlowJobs(t *testing.T, takes time.Duration, results int, test func(t *testing.T, s slowJobs, do func(*http.Request) (*http.Response, error))) {
	t.Helper()
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(protocol, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := slowJobs{newFake(), takes, make(chan struct{})}
				s.put(jobs.CompletedPartial, func(j *jobs.Job) { j.Counters.FilesFailed = int64(results) })
				s.results = slices.Repeat([]jobs.FileResult{{Path: "/" + strings.Repeat("x", 4000), Status: jobs.StatusFailed}}, results)
				connect := servePipes(t, s)
				client := &http.Transport{
					Protocols:   new(http.Protocols),
					DialContext: func(context.Context, string, string) (net.Conn, error) { return connect(), nil },
				}
				client.Protocols.SetHTTP1(protocol == "HTTP/1.1")
				client.Protocols.SetUnencryptedHTTP2(protocol == "HTTP/2.0")
				defer client.CloseIdleConnections()
				test(t, s, func(r *http.Request) (*http.Response, error) {
					r.Header.Set("Content-Type", "application/json")
					r.Header.Set("Authorization", "Bearer "+testToken)
					answer, err := client.RoundTrip(r)
					if err == nil && answer.Proto != protocol {
						t.Errorf("it was asked in %s", answer.Proto)
					}
					return answer, err
				})
			})
		})
	}
}

// TestSlowAnswers: what takes long is a body that comes, the work for an answer, or for
// the next piece of one. None of it is the fault of a client who would read.
func TestSlowAnswers(t *testing.T) {
	withSlowJobs(t, 2*writeTime, 3, func(t *testing.T, _ slowJobs, do func(*http.Request) (*http.Response, error)) {
		body, writer := io.Pipe()
		sent := make(chan struct{})
		defer func() { <-sent }()
		go func() {
			defer close(sent)
			_, _ = io.WriteString(writer, "{")
			time.Sleep(bodyTime - time.Second)
			_, _ = io.WriteString(writer, "}")
			writer.Close()
		}()
		answer, err := do(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://x/v1/jobs", body))
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusCreated {
			t.Error(answer.Status)
		}
		report, err := do(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://x/v1/jobs/1/report", nil))
		if err != nil {
			t.Fatal(err)
		}
		defer report.Body.Close()
		if b, err := io.ReadAll(report.Body); err != nil || strings.Count(string(b), "\n") != 4 {
			t.Errorf("a report of %d bytes, %v", len(b), err)
		}
	})
}

// TestSlowReaders: who does not read is not waited for longer than writeTime.
func TestSlowReaders(t *testing.T) {
	const results = 5000 // more than what clients of HTTP/2 take without being asked
	withSlowJobs(t, 0, results, func(t *testing.T, s slowJobs, do func(*http.Request) (*http.Response, error)) {
		start := time.Now()
		report, err := do(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://x/v1/jobs/1/report", nil))
		if err != nil {
			t.Fatal(err)
		}
		defer report.Body.Close()
		<-s.ended
		if took := time.Since(start); took != writeTime {
			t.Errorf("it was waited for %v", took)
		}
	})
}

const asUser = " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer " + testToken + "\r\n"

// TestBodiesThatDoNotCome: whoever announces a body and sends none has an answer and no
// connection soon, whoever he is and whatever he asks for.
func TestBodiesThatDoNotCome(t *testing.T) {
	const anybody = " HTTP/1.1\r\nHost: x\r\n"
	for request, want := range map[string]struct {
		status string
		time   time.Duration
	}{
		"POST /v1/jobs/2/retry" + anybody:                            {"401", readTime},
		"GET /" + anybody:                                            {"200", readTime},
		"GET /v1/nothing" + anybody:                                  {"404", readTime},
		"POST /v1/jobs" + anybody + "Sec-Fetch-Site: cross-site\r\n": {"403", readTime},
		"POST /v1/jobs/2/retry" + asUser:                             {"201", readTime},
		"POST /v1/jobs" + asUser:                                     {"400", bodyTime},
		"GET /v1/jobs/2/events" + asUser:                             {"200", readTime},
	} {
		inSlowTime(t, func(t *testing.T, dial func(string) net.Conn) {
			start := time.Now()
			c := dial(request + "Content-Length: 10\r\n\r\n{")
			defer c.Close()
			b, err := io.ReadAll(c)
			if took := time.Since(start); took > want.time+time.Second { // in which net/http lets an answer arrive
				t.Errorf("%q: the connection was held for %v", request, took)
			}
			if err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 "+want.status+" ") {
				t.Errorf("%q: %.40q, %v; want %s", request, b, err, want.status)
			}
		})
	}
}

// TestSlowBodies: a body may take longer than other things, and its answer comes.
func TestSlowBodies(t *testing.T) {
	inSlowTime(t, func(t *testing.T, dial func(string) net.Conn) {
		c := dial("POST /v1/jobs" + asUser + "Content-Length: 2\r\n\r\n{")
		defer c.Close()
		time.Sleep(bodyTime - time.Second)
		if _, err := io.WriteString(c, "}"); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusCreated {
			t.Error(answer.Status)
		}
	})
}

// TestStreamsOutlastBodies: the time for a body is not one for the stream.
func TestStreamsOutlastBodies(t *testing.T) {
	for _, body := range []string{"\r\n", "Content-Length: 2\r\n\r\n{}"} {
		inSlowTime(t, func(t *testing.T, dial func(string) net.Conn) {
			c := dial("GET /v1/jobs/1/events" + asUser + body)
			defer c.Close()
			const beats = 50
			alive := 0
			for lines := bufio.NewScanner(c); alive < beats && lines.Scan(); {
				if lines.Text() == ": alive" {
					alive++
				}
			}
			if alive < beats {
				t.Errorf("%q: it ended after %v", body, time.Duration(alive)*heartbeat)
			}
		})
	}
}
