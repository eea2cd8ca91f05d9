package acceptance

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// smallBlock lets a file of a megabyte have blocks.
const smallBlock = 256 << 10

// faultFiles are a file that goes in one request, and one that goes in several.
var faultFiles = map[string][]byte{"small": randomBytes(5000, 1), "blocks": randomBytes(3*smallBlock+1, 2)}

// startSpare starts a copytool with so little of everything that what an
// action leaks is missing soon.
func startSpare(t *testing.T, args ...string) (*env, *copytool) {
	t.Helper()
	return start(t, append([]string{"--http", "127.0.0.1:0", "--block-size", "256KiB", "--transfers", "2", "--memory", "64MiB"}, args...)...)
}

// A storageFault is one thing that goes wrong on the way to the container.
type storageFault struct {
	name  string
	at    func(name string) func(*http.Request) bool // nil: what moves the file's bytes
	times int                                        // negative: for good
	do    spoiler
	code  string // empty: the copytool gets over it
	errno syscall.Errno
}

// bothWays are those that archives and restores can meet.
var bothWays = []storageFault{
	{name: "busy", times: 2, do: refuse(503, "ServerBusy")},
	{name: "internal", times: 1, do: refuse(500, "InternalError")},
	{name: "proxy", times: 1, do: refuse(502, "")},
	{name: "noanswer", times: 1, do: hangUp},
	{name: "reset", times: 1, do: resetInBody},
	{name: "truncated", times: 1, do: truncate},
	{name: "forbidden", times: -1, do: refuse(403, "AuthorizationFailure"), code: "AuthFailed", errno: syscall.EACCES},
	{name: "container", times: -1, do: refuse(404, "ContainerNotFound"), code: "ContainerMissing", errno: syscall.ENODEV},
	{name: "tier", times: -1, do: refuse(409, "BlobArchived"), code: "BlobArchived", errno: syscall.ENOMEDIUM},
	{name: "condition", times: -1, do: refuse(412, "ConditionNotMet"), code: "BlobChanged", errno: syscall.EIO},
	{name: "toolarge", times: -1, do: refuse(413, "RequestBodyTooLarge"), code: "FileTooLarge", errno: syscall.EFBIG},
	{name: "proxylimit", times: -1, do: refuse(413, ""), code: "FileTooLarge", errno: syscall.EFBIG},
	{name: "unheardof", times: -1, do: refuse(409, "SomethingNew"), code: "Internal", errno: syscall.EIO},
}

func TestStorageFaultsInArchive(t *testing.T) {
	e, c := startSpare(t)
	for _, f := range append([]storageFault{
		{name: "immutable", at: isPutOf, times: -1, do: refuse(409, "BlobImmutableDueToPolicy"), code: "BlobImmutable", errno: syscall.EROFS},
		{name: "lease", at: isPutOf, times: -1, do: refuse(412, "LeaseIdMissing"), code: "BlobLeased", errno: syscall.ETXTBSY},
		{name: "hold", at: isPutOf, times: -1, do: refuse(409, "BlobImmutableDueToLegalHold"), code: "BlobImmutable", errno: syscall.EROFS},
		{name: "commit", at: isPutOf, times: -1, do: refuse(412, "ConditionNotMet"), code: "BlobChanged", errno: syscall.EIO},
		{name: "lostcommit", at: isPutOf, times: 1, do: loseAnswer},
		{name: "damaged", times: 1, do: damageBody, code: "ChecksumMismatch", errno: syscall.EBADMSG},
	}, bothWays...) {
		e.during(t, c, f.name, func() { e.faultyArchive(c, f) })
	}
}

// during lets errors of a subtest be the subtest's.
func (e *env) during(t *testing.T, c *copytool, name string, f func()) {
	t.Run(name, func(sub *testing.T) {
		e.t, c.t = sub, sub
		defer func() { e.t, c.t = t, t }()
		f()
	})
}

func (e *env) faultyArchive(c *copytool, f storageFault) {
	e.t.Helper()
	var armed []*fault
	for kind, content := range faultFiles {
		name := f.name + "-" + kind
		at := isWriteOf(name)
		if f.at != nil {
			at = f.at(name)
		}
		armed = append(armed, e.gate.fault(at, f.times, f.do))
		e.lfs("hsm_archive", e.write(name, content))
	}
	e.lustre.WaitIdle()
	e.wantHits(armed, f)
	for kind, content := range faultFiles {
		name := f.name + "-" + kind
		if f.code != "" {
			e.wantState(name, stateExists)
			e.wantNoBlob(name)
			e.wantFailure(c, "ARCHIVE", name, f.code, f.errno)
			e.hsm("archive", name)
		}
		e.wantState(name, stateArchived)
		e.wantBlob(name, content)
		e.wantNoError(name)
	}
	e.archived(f.name+"-next", []byte("the copytool still works"))
	c.wantMetric("lhsm_azblob_memory_in_use_bytes", 0)
}

func TestStorageFaultsInRestore(t *testing.T) {
	e, c := startSpare(t)
	for _, f := range append([]storageFault{
		{name: "missing", times: -1, do: refuse(404, "BlobNotFound"), code: "BlobMissing", errno: syscall.ENOENT},
		{name: "damaged", times: 1, do: damageAnswer, code: "ChecksumMismatch", errno: syscall.EBADMSG},
		{name: "longer", times: 1, do: claimLength(+10)},
		{name: "shorter", times: 1, do: claimLength(-10)},
		{name: "spoiled", times: -1, do: loginPage, code: "AccountUnreachable", errno: syscall.EHOSTUNREACH},
		{name: "unranged", times: 1, do: replyWhole},
		{name: "etag", times: 1, do: otherETag, code: "BlobChanged", errno: syscall.EIO},
		{name: "page", times: 1, do: loginPage},
	}, bothWays...) {
		e.during(t, c, f.name, func() { e.faultyRestore(c, f) })
	}
}

func (e *env) faultyRestore(c *copytool, f storageFault) {
	e.t.Helper()
	var armed []*fault
	read := map[string]chan error{}
	for kind, content := range faultFiles {
		name := f.name + "-" + kind
		p := e.released(name, content)
		armed = append(armed, e.gate.fault(isGetOf(name), f.times, f.do))
		done := make(chan error, 1)
		read[name] = done
		go func() { done <- readSame(p, content) }()
	}
	for name, done := range read {
		switch err := <-done; {
		case f.code == "" && err != nil:
			e.t.Errorf("read %q: %v", name, err)
		case f.code != "" && err == nil:
			e.t.Errorf("the read of %q succeeded", name)
		case f.code != "":
			e.wantState(name, stateReleased)
			e.wantFailure(c, "RESTORE", name, f.code, f.errno)
		}
	}
	e.wantHits(armed, f)
	for kind, content := range faultFiles {
		name := f.name + "-" + kind
		e.wantContent(name, content)
		e.wantState(name, stateArchived)
		e.wantNoError(name)
	}
	e.archived(f.name+"-next", []byte("the copytool still works"))
	c.wantMetric("lhsm_azblob_memory_in_use_bytes", 0)
}

// wantHits ends the faults, and makes sure that each was met.
func (e *env) wantHits(armed []*fault, f storageFault) {
	e.t.Helper()
	e.gate.heal()
	for _, a := range armed {
		if n := e.gate.hits(a); n == 0 || f.times > 0 && n != f.times {
			e.t.Errorf("the fault was met %d times, want %d", n, f.times)
		}
	}
}

// wantFailure looks for the outcome where people look: in the log and on the file.
func (e *env) wantFailure(c *copytool, op, rel, code string, errno syscall.Errno) {
	e.t.Helper()
	fid := strings.TrimSpace(e.lfs("path2fid", e.path(rel)))
	line := c.waitLog("action failed", "op="+op, fid)
	if !containsAll(line, []string{"code=" + code + " ", fmt.Sprintf("errno=%d ", errno)}) {
		e.t.Errorf("%s: want code %s and errno %d (%v): %s", rel, code, errno, errno, line)
	}
	if got := errorXattr(e.path(rel)); !strings.Contains(got, `"code":"`+code+`"`) || !strings.Contains(got, `"op":"`+op+`"`) {
		e.t.Errorf("%s: the error on the file is %q, want the code %s and %s in it", rel, got, code, op)
	}
}

func (e *env) wantNoError(rel string) {
	e.t.Helper()
	if got := errorXattr(e.path(rel)); got != "" {
		e.t.Errorf("%s: after the success the file has the error %q", rel, got)
	}
}

// readSame reads a file, and so restores it.
func readSame(path string, want []byte) error {
	got, err := os.ReadFile(path)
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("%d bytes that differ from the %d wanted", len(got), len(want))
	}
	return err
}

// wantMetric scrapes the copytool as Prometheus does.
func (c *copytool) wantMetric(name string, want float64) {
	c.t.Helper()
	if got := c.metric(name); got != want {
		c.t.Errorf("%s is %v, want %v", name, got, want)
	}
}

func (c *copytool) metric(name string) float64 {
	c.t.Helper()
	_, address, _ := strings.Cut(c.waitLog("serving HTTP"), "address=")
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				c.t.Fatal(err)
			}
			return v
		}
	}
	c.t.Fatalf("no metric %s in:\n%s", name, text)
	return 0
}

// isWriteOf accepts every request that carries the named blob's bytes, or makes
// it visible.
func isWriteOf(name string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == http.MethodPut && pathIs(r.URL.Path, name) }
}

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
