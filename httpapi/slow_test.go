package httpapi

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
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

// inSlowTime serves a fake, with a job that runs and a failed one, in a bubble. dial
// connects and sends.
func inSlowTime(t *testing.T, test func(t *testing.T, dial func(text string) net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.put(jobs.InProgress)
		f.put(jobs.CompletedPartial, func(j *jobs.Job) { j.Counters.FilesFailed = 1 })
		s := New(Options{Jobs: f, Log: slog.New(slog.DiscardHandler)})
		l := pipes{make(chan net.Conn), make(chan struct{})}
		server := &http.Server{Handler: s.Handler(Access{Token: testToken}), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
		done := make(chan error)
		go func() { done <- server.Serve(l) }()
		test(t, func(text string) net.Conn {
			client, conn := net.Pipe()
			l.conns <- conn
			if _, err := io.WriteString(client, text); err != nil {
				t.Fatal(err)
			}
			return client
		})
		_ = server.Close() // what is left are connections that the test has closed
		<-done
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
