package httpapi

import (
	"net/http"
	"time"
)

// Times of a client. Who does not send, or does not read, holds no goroutine longer.
const (
	// readTime is how long it may take to send a body that nobody wants; [decode] gives
	// more. It is less than writeTime, since the answer waits for it.
	readTime = 10 * time.Second
	// writeTime is how long it may take to receive an answer, or the next piece of a
	// long one. What we take to make it does not count.
	writeTime = 30 * time.Second
)

// timed gives a client its time, whatever it asks for and whoever answers: before an
// answer and after it, net/http reads what is left of the body.
func timed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 { // else net/http is reading to learn when the client goes, and would take this for that
			await(w, time.Now().Add(readTime))
		}
		defer within(w, writeTime) // for what net/http has not sent yet
		next.ServeHTTP(patient{w}, r)
	})
}

// patient gives the client time for each piece of an answer. Between pieces there is no
// deadline: in HTTP/2 it would end the request, whether anything is written or not.
type patient struct{ http.ResponseWriter }

func (p patient) Write(b []byte) (int, error) {
	within(p.ResponseWriter, writeTime)
	defer within(p.ResponseWriter, 0)
	return p.ResponseWriter.Write(b)
}

// FlushError is what [http.ResponseController] calls.
func (p patient) FlushError() error {
	within(p.ResponseWriter, writeTime)
	defer within(p.ResponseWriter, 0)
	return http.NewResponseController(p.ResponseWriter).Flush()
}

// Unwrap lets [http.ResponseController] find what else the writer can.
func (p patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// await gives the client time to send what is left of its body. When all has come,
// net/http takes the time away.
func await(w http.ResponseWriter, until time.Time) {
	// Not every writer can; then there is no connection to hold.
	_ = http.NewResponseController(w).SetReadDeadline(until)
}

// answer turns a route into a handler: an error becomes a problem, and what is
// our own fault a line in the log.
func (s *Server) answer(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		err := rt.handle(w, r)
		if err == nil {
			return
		}
		p := problemOf(err)
		if p.Code == Internal && r.Context().Err() == nil {
			s.o.Log.Error("answer a request", "method", r.Method, "path", r.URL.Path, "err", err)
		}
		rt.style.problem(w, p)
	})
}

// within says how long what is written from now on may take to arrive; 0: any time.
func within(w http.ResponseWriter, d time.Duration) {
	var until time.Time
	if d > 0 {
		until = time.Now().Add(d)
	}
	// Not every writer can; then there is no connection to hold.
	_ = http.NewResponseController(w).SetWriteDeadline(until)
}

// policy is all that the page may do: load its own files and ask its own
// server. Nothing is inline, and no text becomes markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// protect refuses what another site made a browser send, and tells the browser
// to be strict with what we answer.
func protect(next http.Handler) http.Handler {
	origin := http.NewCrossOriginProtection()
	origin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		style(nil).problem(w, problem(http.StatusForbidden, CrossOrigin, "a browser sent this for a page of another site"))
	}))
	guarded := origin.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		guarded.ServeHTTP(w, r)
	})
}

// misrouted says in our own words what the mux says as text: that an address or
// its method does not exist.
func misrouted(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		refusal := &statusOnly{header: w.Header()}
		mux.ServeHTTP(refusal, r)
		if refusal.status == http.StatusMethodNotAllowed {
			style(nil).problem(w, problem(refusal.status, MethodNotAllowed, "%s does not do %s; it does %s", r.URL.Path, r.Method, w.Header().Get("Allow")))
			return
		}
		style(nil).problem(w, problem(http.StatusNotFound, NotFound, "there is nothing at %s", r.URL.Path))
	})
}

// statusOnly is a writer that keeps headers and status and drops the body.
type statusOnly struct {
	header http.Header
	status int
}

func (s *statusOnly) Header() http.Header         { return s.header }
func (s *statusOnly) WriteHeader(status int)      { s.status = status }
func (s *statusOnly) Write(b []byte) (int, error) { return len(b), nil }
