package acceptance

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
)

// A gate is a reverse proxy before the blob server. It lets a test stop a
// request on its way, spoil it or its answer, and see which requests were made.
type gate struct {
	URL string

	mu     sync.Mutex // guards all below
	holds  []*hold
	faults []*fault
	seen   []seenRequest
}

type seenRequest struct{ method, path, query string }

// A hold catches requests until it is released.
type hold struct {
	match    func(*http.Request) bool
	answers  bool          // the server has done what was asked, and its answer waits
	caught   chan struct{} // one value for each request that arrived
	released chan struct{}
	once     sync.Once
	lost     bool // set before released is closed: what waited goes no further
}

func newGate(t *testing.T, backend string) *gate {
	t.Helper()
	target, err := url.Parse(backend)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.FlushInterval = -1
	// A copytool that is cancelled hangs up; that is no error of the proxy.
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	proxy.ModifyResponse = func(r *http.Response) error {
		g.waitFor(r.Request, true)
		return nil
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.pass(r) {
			g.serverFor(r, proxy).ServeHTTP(w, r)
		}
	}))
	g.URL = server.URL
	t.Cleanup(func() {
		g.releaseAll()
		server.CloseClientConnections()
		server.Close()
	})
	return g
}

// pass waits at every hold that matches. It reports false if the client hung
// up meanwhile: such a request must not reach the server any more.
func (g *gate) pass(r *http.Request) bool {
	g.mu.Lock()
	g.seen = append(g.seen, seenRequest{r.Method, r.URL.Path, r.URL.RawQuery})
	g.mu.Unlock()
	return g.waitFor(r, false)
}

// waitFor waits at the holds of requests, or of answers.
func (g *gate) waitFor(r *http.Request, answers bool) bool {
	g.mu.Lock()
	holds := append([]*hold(nil), g.holds...)
	g.mu.Unlock()
	for _, h := range holds {
		if h.answers != answers || h.isOver() || !h.match(r) {
			continue
		}
		h.caught <- struct{}{}
		select {
		case <-h.released:
			if h.lost {
				return false
			}
		case <-r.Context().Done():
			return false
		}
	}
	return true
}

// hold stops every request that match accepts, from now on.
func (g *gate) hold(match func(*http.Request) bool) *hold { return g.add(match, false) }

// holdAnswer stops the answers to such requests.
func (g *gate) holdAnswer(match func(*http.Request) bool) *hold { return g.add(match, true) }

func (g *gate) add(match func(*http.Request) bool, answers bool) *hold {
	h := &hold{match: match, answers: answers, caught: make(chan struct{}, 1000), released: make(chan struct{})}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holds = append(g.holds, h)
	return h
}

func (h *hold) release() { h.once.Do(func() { close(h.released) }) }

// lose lets what was caught never arrive, and the rest pass.
func (h *hold) lose() {
	h.once.Do(func() {
		h.lost = true
		close(h.released)
	})
}

func (h *hold) isOver() bool {
	select {
	case <-h.released:
		return true
	default:
		return false
	}
}

func (g *gate) releaseAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, h := range g.holds {
		h.release()
	}
}

// A spoiler answers a request in place of the server, which is next.
type spoiler func(w http.ResponseWriter, r *http.Request, next http.Handler)

// A fault spoils requests until none is left to spoil.
type fault struct {
	match func(*http.Request) bool
	left  int // guarded by the gate's mu, as hits is; negative: without end
	hits  int
	do    spoiler
}

// fault spoils the next requests that match accepts: so many times, or until heal.
func (g *gate) fault(match func(*http.Request) bool, times int, do spoiler) *fault {
	f := &fault{match: match, left: times, do: do}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults = append(g.faults, f)
	return f
}

// heal ends all faults.
func (g *gate) heal() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults = nil
}

func (g *gate) hits(f *fault) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return f.hits
}

// serverFor is who answers the request: the server, or the first fault that it meets.
func (g *gate) serverFor(r *http.Request, server http.Handler) http.Handler {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range g.faults {
		if f.left != 0 && f.match(r) {
			f.left--
			f.hits++
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.do(w, r, server) })
		}
	}
	return server
}

// count says how many requests that match accepts have been seen.
func (g *gate) count(match func(seenRequest) bool) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, r := range g.seen {
		if match(r) {
			n++
		}
	}
	return n
}

func isCommit(r *http.Request) bool {
	comp := r.URL.Query().Get("comp")
	return r.Method == http.MethodPut && (comp == "" || comp == "blocklist")
}

// isPutOf accepts what makes the named blob visible: Put Blob and Put Block List.
func isPutOf(name string) func(*http.Request) bool {
	return func(r *http.Request) bool { return isCommit(r) && pathIs(r.URL.Path, name) }
}

func isGetOf(name string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == http.MethodGet && pathIs(r.URL.Path, name) }
}

func pathIs(path, name string) bool {
	return len(path) > len(name) && path[len(path)-len(name):] == name && path[len(path)-len(name)-1] == '/'
}
