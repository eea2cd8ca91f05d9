package acceptance

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"lhsm-azblob/testenv/gate"
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
	do    gate.Spoiler
	code  string // empty: the copytool gets over it
	errno syscall.Errno
}

// bothWays are those that archives and restores can meet.
var bothWays = []storageFault{
	{name: "busy", times: 2, do: gate.Refuse(503, "ServerBusy")},
	{name: "internal", times: 1, do: gate.Refuse(500, "InternalError")},
	{name: "proxy", times: 1, do: gate.Refuse(502, "")},
	{name: "noanswer", times: 1, do: gate.HangUp},
	{name: "reset", times: 1, do: gate.ResetInBody},
	{name: "truncated", times: 1, do: gate.Truncate},
	{name: "forbidden", times: -1, do: gate.Refuse(403, "AuthorizationFailure"), code: "AuthFailed", errno: syscall.EACCES},
	{name: "container", times: -1, do: gate.Refuse(404, "ContainerNotFound"), code: "ContainerMissing", errno: syscall.ENODEV},
	{name: "tier", times: -1, do: gate.Refuse(409, "BlobArchived"), code: "BlobArchived", errno: syscall.ENOMEDIUM},
	{name: "condition", times: -1, do: gate.Refuse(412, "ConditionNotMet"), code: "BlobChanged", errno: syscall.EIO},
	{name: "toolarge", times: -1, do: gate.Refuse(413, "RequestBodyTooLarge"), code: "FileTooLarge", errno: syscall.EFBIG},
	{name: "proxylimit", times: -1, do: gate.Refuse(413, ""), code: "FileTooLarge", errno: syscall.EFBIG},
	{name: "unheardof", times: -1, do: gate.Refuse(409, "SomethingNew"), code: "Internal", errno: syscall.EIO},
}

func TestStorageFaultsInArchive(t *testing.T) {
	e, c := startSpare(t)
	for _, f := range append([]storageFault{
		{name: "immutable", at: isPutOf, times: -1, do: gate.Refuse(409, "BlobImmutableDueToPolicy"), code: "BlobImmutable", errno: syscall.EROFS},
		{name: "lease", at: isPutOf, times: -1, do: gate.Refuse(412, "LeaseIdMissing"), code: "BlobLeased", errno: syscall.ETXTBSY},
		{name: "hold", at: isPutOf, times: -1, do: gate.Refuse(409, "BlobImmutableDueToLegalHold"), code: "BlobImmutable", errno: syscall.EROFS},
		{name: "commit", at: isPutOf, times: -1, do: gate.Refuse(412, "ConditionNotMet"), code: "BlobChanged", errno: syscall.EIO},
		{name: "lostcommit", at: isPutOf, times: 1, do: gate.LoseAnswer},
		{name: "damaged", times: 1, do: gate.DamageBody, code: "ChecksumMismatch", errno: syscall.EBADMSG},
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
	var armed []*gate.Fault
	for kind, content := range faultFiles {
		name := f.name + "-" + kind
		at := isWriteOf(name)
		if f.at != nil {
			at = f.at(name)
		}
		armed = append(armed, e.gate.Fault(at, f.times, f.do))
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
		{name: "missing", times: -1, do: gate.Refuse(404, "BlobNotFound"), code: "BlobMissing", errno: syscall.ENOENT},
		{name: "damaged", times: 1, do: gate.DamageAnswer, code: "ChecksumMismatch", errno: syscall.EBADMSG},
		{name: "longer", times: 1, do: gate.ClaimLength(+10)},
		{name: "shorter", times: 1, do: gate.ClaimLength(-10)},
		{name: "spoiled", times: -1, do: gate.LoginPage, code: "AccountUnreachable", errno: syscall.EHOSTUNREACH},
		{name: "unranged", times: 1, do: gate.ReplyWhole},
		{name: "etag", times: 1, do: gate.OtherETag, code: "BlobChanged", errno: syscall.EIO},
		{name: "page", times: 1, do: gate.LoginPage},
	}, bothWays...) {
		e.during(t, c, f.name, func() { e.faultyRestore(c, f) })
	}
}

func (e *env) faultyRestore(c *copytool, f storageFault) {
	e.t.Helper()
	var armed []*gate.Fault
	read := map[string]chan error{}
	for kind, content := range faultFiles {
		name := f.name + "-" + kind
		p := e.released(name, content)
		armed = append(armed, e.gate.Fault(isGetOf(name), f.times, f.do))
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
func (e *env) wantHits(armed []*gate.Fault, f storageFault) {
	e.t.Helper()
	e.gate.Heal()
	for _, a := range armed {
		if n := e.gate.Hits(a); n == 0 || f.times > 0 && n != f.times {
			e.t.Errorf("the fault was met %d times, want %d", n, f.times)
		}
	}
}

// wantFailure looks for the outcome where people look: in the log, in the
// metrics and on the file. The copytool must have been started by startSpare.
func (e *env) wantFailure(c *copytool, op, rel, code string, errno syscall.Errno) {
	e.t.Helper()
	fid := strings.TrimSpace(e.lfs("path2fid", e.path(rel)))
	line := c.waitLog("action failed", "op="+op, fid)
	if !containsAll(line, []string{"code=" + code + " ", fmt.Sprintf("errno=%d ", errno)}) {
		e.t.Errorf("%s: want code %s and errno %d (%v): %s", rel, code, errno, errno, line)
	}
	if metric := fmt.Sprintf("lhsm_azblob_actions_total{code=%q,op=%q}", code, op); c.metric(metric) == 0 {
		e.t.Errorf("%s: %s is 0", rel, metric)
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
