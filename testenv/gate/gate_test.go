package gate

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

func newGate(t *testing.T, server http.HandlerFunc) *Gate {
	t.Helper()
	s := httptest.NewServer(server)
	t.Cleanup(s.Close)
	g, err := New(s.URL, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

func put(ctx context.Context, g *Gate) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, g.URL, strings.NewReader("body"))
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	return answer.StatusCode, answer.Body.Close()
}

// TestCut: what the server has got it does to its end, though the client is told nothing,
// and Cut waits for that. After it nothing arrives, until Mend.
func TestCut(t *testing.T) {
	var arrived, done atomic.Int32
	begun, goOn := make(chan struct{}, 10), make(chan struct{})
	g := newGate(t, func(_ http.ResponseWriter, r *http.Request) {
		arrived.Add(1)
		begun <- struct{}{}
		select {
		case <-goOn:
			done.Add(1)
		case <-r.Context().Done():
			t.Error("the server was told that nobody waits")
		}
	})
	client := make(chan error)
	go func() { // ends with the cut
		_, err := put(t.Context(), g)
		client <- err
	}()
	<-begun
	cut := make(chan struct{})
	go func() { // ends when the server has answered
		g.Cut()
		close(cut)
	}()
	if err := <-client; err == nil {
		t.Error("a client that was cut off got an answer")
	}
	select {
	case <-cut:
		t.Error("Cut did not wait for the server")
	default:
	}
	close(goOn)
	<-cut
	if n := done.Load(); n != 1 {
		t.Errorf("when Cut has returned, the server has done %d requests", n)
	}
	if _, err := put(t.Context(), g); err == nil || arrived.Load() != 1 {
		t.Errorf("after Cut: %v, and %d requests have arrived", err, arrived.Load())
	}
	g.Mend()
	if status, err := put(t.Context(), g); err != nil || status != http.StatusOK {
		t.Errorf("after Mend: %d, %v", status, err)
	}
}

// TestHalfABody: of a request that does not arrive whole, the server never hears.
func TestHalfABody(t *testing.T) {
	g := newGate(t, func(http.ResponseWriter, *http.Request) {})
	var asked atomic.Int32
	g.backend.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		asked.Add(1)
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	hold := g.Hold(func(*http.Request) bool { return true })
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nfirst")
	<-hold.Caught
	conn.Close()
	hold.Release()
	g.server.Close() // when nothing goes on any more
	if n := asked.Load(); n != 0 {
		t.Errorf("the server was asked %d times", n)
	}
}
