// Package gate is a reverse proxy before a blob server, at which a test decides
// what becomes of a request.
//
// A [Hold] stops requests, or the answers to them, so that "while the archive
// runs" is an event and not a guess. A [Fault] spoils them in the way of a
// [Spoiler]: refusals, lost connections, damaged bytes. What neither concerns
// passes as it is.
package gate

import (
	"context"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
)

// A Gate is a running proxy.
type Gate struct {
	URL string // where it listens: scheme, host and port

	server   *httptest.Server
	backend  *backend
	end      context.CancelFunc // of the contexts of all requests
	remember bool

	mu     sync.Mutex // guards all below
	holds  []*Hold
	faults []*Fault
	seen   []Request
}

// Options of [New].
type Options struct {
	Remember bool // every request, for Count; what runs for hours had better not
	TLS      bool // with a certificate for TLSName, see Certificate; spoilers cannot reset such connections
}

// TLSName is what a gate with TLS is called.
const TLSName = "example.com"

// A Request is what the gate remembers of a request.
type Request struct {
	Method, Path, Query string
	From                string // address of the client, one for each connection
}

// A Hold catches requests until it is released.
type Hold struct {
	Caught chan struct{} // one value for each request that arrived

	match    func(*http.Request) bool
	answers  bool // the server has done what was asked, and its answer waits
	released chan struct{}
	once     sync.Once
	lost     bool // set before released is closed: what waited goes no further
}

// redirect lets the server hear its own name, whatever the client calls the gate. Of a
// copy it hears the gate's: Azurite wants that to be the name in the source's URL.
func redirect(r *httputil.ProxyRequest, target *url.URL) {
	r.SetURL(target)
	if r.In.Header.Get("X-Ms-Copy-Source") != "" {
		r.Out.Host = r.In.Host
	}
}

// New starts a gate before the server at a URL.
func New(server string, o Options) (*Gate, error) {
	target, err := url.Parse(server)
	if err != nil {
		return nil, fmt.Errorf("start a gate: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	g := &Gate{backend: &backend{transport: http.DefaultTransport.(*http.Transport).Clone(), ctx: ctx}, end: cancel, remember: o.Remember}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { redirect(r, target) }, Transport: g.backend}
	proxy.FlushInterval = -1
	// A copytool that is cancelled hangs up; that is no error of the proxy.
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	proxy.ModifyResponse = func(r *http.Response) error {
		g.waitFor(r.Request, true)
		return nil
	}
	g.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case g.backend.cutOff():
			reset(w)
		case g.pass(r):
			g.serverFor(r, proxy).ServeHTTP(w, r)
		}
	}))
	g.server.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	if o.TLS {
		g.server.StartTLS()
	} else {
		g.server.Start()
	}
	g.URL = g.server.URL
	return g, nil
}

// Certificate is what a client of a gate with TLS has to trust, as PEM.
func (g *Gate) Certificate() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.server.Certificate().Raw})
}

// Close lets everything go that is held, and ends the gate.
func (g *Gate) Close() {
	g.releaseAll()
	g.end()
	g.server.CloseClientConnections()
	g.server.Close()
	g.backend.transport.CloseIdleConnections()
}

// HangUp closes the connections of all clients, idle or not.
func (g *Gate) HangUp() { g.server.CloseClientConnections() }

// Cut breaks all connections and lets no request pass until Mend. When it returns, the
// server has answered all that it has got, and nobody is connected to it: it may be
// stopped. Azurite, stopped in the middle of a request, can be left with a blob without
// its bytes.
func (g *Gate) Cut() {
	g.backend.setCut(true)
	g.server.CloseClientConnections()
	g.backend.settle()
}

// Mend undoes Cut.
func (g *Gate) Mend() { g.backend.setCut(false) }

// pass waits at every hold that matches. It reports false if the client hung
// up meanwhile: such a request must not reach the server any more.
func (g *Gate) pass(r *http.Request) bool {
	if g.remember {
		g.mu.Lock()
		g.seen = append(g.seen, Request{r.Method, r.URL.Path, r.URL.RawQuery, r.RemoteAddr})
		g.mu.Unlock()
	}
	return g.waitFor(r, false)
}

// waitFor waits at the holds of requests, or of answers.
func (g *Gate) waitFor(r *http.Request, answers bool) bool {
	g.mu.Lock()
	holds := append([]*Hold(nil), g.holds...)
	g.mu.Unlock()
	for _, h := range holds {
		if h.answers != answers || h.isOver() || !h.match(r) {
			continue
		}
		h.Caught <- struct{}{}
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

// Hold stops every request that match accepts, from now on.
func (g *Gate) Hold(match func(*http.Request) bool) *Hold { return g.add(match, false) }

// HoldAnswer stops the answers to such requests.
func (g *Gate) HoldAnswer(match func(*http.Request) bool) *Hold { return g.add(match, true) }

func (g *Gate) add(match func(*http.Request) bool, answers bool) *Hold {
	h := &Hold{match: match, answers: answers, Caught: make(chan struct{}, 1000), released: make(chan struct{})}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holds = append(g.holds, h)
	return h
}

// Release lets what was caught pass, and the rest.
func (h *Hold) Release() { h.once.Do(func() { close(h.released) }) }

// Lose lets what was caught never arrive, and the rest pass.
func (h *Hold) Lose() {
	h.once.Do(func() {
		h.lost = true
		close(h.released)
	})
}

func (h *Hold) isOver() bool {
	select {
	case <-h.released:
		return true
	default:
		return false
	}
}

func (g *Gate) releaseAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, h := range g.holds {
		h.Release()
	}
}

// A Spoiler answers a request in place of the server, which is next.
type Spoiler func(w http.ResponseWriter, r *http.Request, next http.Handler)

// A Fault spoils requests until none is left to spoil.
type Fault struct {
	match func(*http.Request) bool
	left  int // guarded by the gate's mu, as hits is; negative: without end
	hits  int
	do    Spoiler
}

// Fault spoils the next requests that match accepts: so many times, or with a
// negative number until Heal.
func (g *Gate) Fault(match func(*http.Request) bool, times int, do Spoiler) *Fault {
	f := &Fault{match: match, left: times, do: do}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults = append(g.faults, f)
	return f
}

// Heal ends all faults.
func (g *Gate) Heal() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults = nil
}

// Hits says how many requests a fault has spoiled.
func (g *Gate) Hits(f *Fault) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return f.hits
}

// serverFor is who answers the request: the server, or the first fault that it meets.
func (g *Gate) serverFor(r *http.Request, server http.Handler) http.Handler {
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

// Count says how many requests that match accepts have been seen.
func (g *Gate) Count(match func(Request) bool) int {
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
