package acceptance

import (
	"bytes"
	"cmp"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
)

// refuse is an answer of the service, or with no code, of a proxy before it.
func refuse(status int, code string) spoiler {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body)
		if code != "" {
			w.Header().Set("x-ms-error-code", code)
			w.Header().Set("x-ms-request-id", "test-request")
		}
		w.WriteHeader(status)
	}
}

// hangUp resets the connection instead of an answer.
func hangUp(w http.ResponseWriter, r *http.Request, _ http.Handler) {
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

// resetInBody resets the connection in the middle of whatever body there is.
func resetInBody(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if r.Method == http.MethodPut {
		_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
		reset(w)
		return
	}
	answer := record(r, next)
	send(w, answer, answer.Body.Bytes()[:answer.Body.Len()/2])
	reset(w)
}

// truncate closes the connection in good order, in the middle of the answer.
func truncate(w http.ResponseWriter, r *http.Request, next http.Handler) {
	answer := record(r, next)
	if r.Method == http.MethodPut {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 201 Created\r\nContent-Le")
		conn.Close()
		return
	}
	send(w, answer, answer.Body.Bytes()[:answer.Body.Len()/2])
	panic(http.ErrAbortHandler)
}

// loseAnswer lets the server do its work, and nobody hear of it.
func loseAnswer(w http.ResponseWriter, r *http.Request, next http.Handler) {
	record(r, next)
	reset(w)
}

func damageBody(w http.ResponseWriter, r *http.Request, next http.Handler) {
	body, _ := io.ReadAll(r.Body)
	if len(body) > 0 {
		body[len(body)/2] ^= 1
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	next.ServeHTTP(w, r)
}

func damageAnswer(w http.ResponseWriter, r *http.Request, next http.Handler) {
	answer := record(r, next)
	body := answer.Body.Bytes()
	body[len(body)/2] ^= 1
	send(w, answer, body)
}

// claimLength says another Content-Length than the body has, and ends with what there is.
func claimLength(difference int) spoiler {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		answer := record(r, next)
		body := answer.Body.Bytes()
		answer.Header().Set("Content-Length", strconv.Itoa(max(0, len(body)+difference)))
		send(w, answer, body[:min(len(body), max(0, len(body)+difference))])
		panic(http.ErrAbortHandler)
	}
}

// replyWhole forgets about the range that was asked for.
func replyWhole(w http.ResponseWriter, r *http.Request, next http.Handler) {
	answer := record(r, next)
	answer.Header().Del("Content-Range")
	answer.Code = http.StatusOK
	send(w, answer, answer.Body.Bytes())
}

// otherETag is a server, or a cache, that does not look at If-Match.
func otherETag(w http.ResponseWriter, r *http.Request, next http.Handler) {
	answer := record(r, next)
	answer.Header().Set("ETag", `"0x8D000000000001"`)
	send(w, answer, answer.Body.Bytes())
}

// loginPage is what some networks answer to everything.
func loginPage(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	w.Header().Set("Content-Type", "text/html")
	_, _ = io.WriteString(w, "<html>Please log in</html>")
}

// record lets the server answer, to a test.
func record(r *http.Request, next http.Handler) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	next.ServeHTTP(answer, r)
	return answer
}

// send passes an answer on, with the length that its head says and another body.
func send(w http.ResponseWriter, answer *httptest.ResponseRecorder, body []byte) {
	for key, values := range answer.Header() {
		w.Header()[key] = values
	}
	w.WriteHeader(cmp.Or(answer.Code, http.StatusOK))
	_, _ = w.Write(body)
	w.(http.Flusher).Flush()
}
