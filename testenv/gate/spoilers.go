package gate

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"
)

// Refuse is an answer of the service, or with no code, of a proxy before it.
func Refuse(status int, code string) Spoiler {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body)
		if code != "" {
			w.Header().Set("x-ms-error-code", code)
			w.Header().Set("x-ms-request-id", "test-request")
		}
		w.WriteHeader(status)
	}
}

// HangUp resets the connection instead of an answer.
func HangUp(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	_, _ = io.Copy(io.Discard, r.Body)
	reset(w)
}

func reset(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err) // the server is HTTP/1.1
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

// ResetInBody resets the connection in the middle of whatever body there is.
func ResetInBody(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if r.Method == http.MethodPut {
		_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
		reset(w)
		return
	}
	answer := Record(r, next)
	Send(w, answer, answer.Body.Bytes()[:answer.Body.Len()/2])
	reset(w)
}

// Stall takes or sends half of whatever body there is, and then nothing happens
// until the client hangs up or the gate ends.
func Stall(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if r.Method == http.MethodPut {
		_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
	} else {
		answer := Record(r, next)
		Send(w, answer, answer.Body.Bytes()[:answer.Body.Len()/2])
	}
	<-r.Context().Done()
}

// Drip takes or sends the body in so many pieces, with a pause before each.
func Drip(pieces int, pause time.Duration) Spoiler {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPut {
			var body bytes.Buffer
			size := (r.ContentLength + int64(pieces) - 1) / int64(pieces)
			each(r.Context(), pieces, pause, func(int) { _, _ = io.CopyN(&body, r.Body, size) })
			r.Body = io.NopCloser(&body)
			next.ServeHTTP(w, r)
			return
		}
		answer := Record(r, next)
		body := answer.Body.Bytes()
		Send(w, answer, nil)
		each(r.Context(), pieces, pause, func(i int) {
			_, _ = w.Write(body[len(body)*i/pieces : len(body)*(i+1)/pieces])
			w.(http.Flusher).Flush()
		})
	}
}

// each does something so many times, with a pause before each, or until ctx ends.
func each(ctx context.Context, times int, pause time.Duration, do func(i int)) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for i := range times {
		select {
		case <-tick.C:
			do(i)
		case <-ctx.Done():
			return
		}
	}
}

// Truncate closes the connection in good order, in the middle of the answer.
func Truncate(w http.ResponseWriter, r *http.Request, next http.Handler) {
	answer := Record(r, next)
	if r.Method == http.MethodPut {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 201 Created\r\nContent-Le")
		conn.Close()
		return
	}
	Send(w, answer, answer.Body.Bytes()[:answer.Body.Len()/2])
	panic(http.ErrAbortHandler)
}

// LoseAnswer lets the server do its work, and nobody hear of it.
func LoseAnswer(w http.ResponseWriter, r *http.Request, next http.Handler) {
	Record(r, next)
	reset(w)
}

// DamageBody flips a bit of what the client sends.
func DamageBody(w http.ResponseWriter, r *http.Request, next http.Handler) {
	body, _ := io.ReadAll(r.Body)
	if len(body) > 0 {
		body[len(body)/2] ^= 1
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	next.ServeHTTP(w, r)
}

// DamageAnswer flips a bit of what the server answers.
func DamageAnswer(w http.ResponseWriter, r *http.Request, next http.Handler) {
	answer := Record(r, next)
	body := answer.Body.Bytes()
	if len(body) > 0 {
		body[len(body)/2] ^= 1
	}
	Send(w, answer, body)
}

// ClaimLength says another Content-Length than the body has, and ends with what there is.
func ClaimLength(difference int) Spoiler {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		answer := Record(r, next)
		body := answer.Body.Bytes()
		answer.Header().Set("Content-Length", strconv.Itoa(max(0, len(body)+difference)))
		Send(w, answer, body[:min(len(body), max(0, len(body)+difference))])
		panic(http.ErrAbortHandler)
	}
}

// ReplyWhole forgets about the range that was asked for.
func ReplyWhole(w http.ResponseWriter, r *http.Request, next http.Handler) {
	answer := Record(r, next)
	answer.Header().Del("Content-Range")
	answer.Code = http.StatusOK
	Send(w, answer, answer.Body.Bytes())
}

// OtherETag is a server, or a cache, that does not look at If-Match.
func OtherETag(w http.ResponseWriter, r *http.Request, next http.Handler) {
	answer := Record(r, next)
	answer.Header().Set("ETag", `"0x8D000000000001"`)
	Send(w, answer, answer.Body.Bytes())
}

// LoginPage is what some networks answer to everything.
func LoginPage(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	w.Header().Set("Content-Type", "text/html")
	_, _ = io.WriteString(w, "<html>Please log in</html>")
}

// Record lets the server answer, to a test.
func Record(r *http.Request, next http.Handler) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	next.ServeHTTP(answer, r)
	return answer
}

// Send passes an answer on, with the length that its head says and another body.
func Send(w http.ResponseWriter, answer *httptest.ResponseRecorder, body []byte) {
	for key, values := range answer.Header() {
		w.Header()[key] = values
	}
	w.WriteHeader(cmp.Or(answer.Code, http.StatusOK))
	_, _ = w.Write(body)
	w.(http.Flusher).Flush()
}
