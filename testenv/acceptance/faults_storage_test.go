package acceptance

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"syscall"
	"testing"

	"lhsm-azblob/testenv"
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
	e := newEnv(t, longGrace(testenv.Options{}))
	return e, e.startSpare(args...)
}

// startSpare also has Lustre keep its changelog, for wantFailure.
func (e *env) startSpare(args ...string) *copytool {
	e.t.Helper()
	e.command("changelog_register", "-m", "HSM")
	c := e.startCopytool(e.lustre.Mount(), append([]string{"--http", "127.0.0.1:0", "--block-size", "256KiB", "--transfers", "2", "--memory", "64MiB"}, args...)...)
	e.rest(c)
	return c
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
	{name: "toomany", times: 1, do: gate.Refuse(429, "")},
	{name: "proxy", times: 1, do: gate.Refuse(502, "")},
	{name: "firewall", times: 1, do: gate.Refuse(403, "")},
	{name: "page", times: 1, do: gate.LoginPage},
	{name: "longer", times: 1, do: gate.ClaimLength(+10)},
	{name: "noanswer", times: 1, do: gate.HangUp},
	{name: "reset", times: 1, do: gate.ResetInBody},
	{name: "truncated", times: 1, do: gate.Truncate},
	{name: "forbidden", times: -1, do: gate.Refuse(403, "AuthorizationFailure"), code: "AuthFailed", errno: syscall.EACCES},
	{name: "container", times: -1, do: gate.Refuse(404, "ContainerNotFound"), code: "ContainerMissing", errno: syscall.ENODEV},
	{name: "tier", times: -1, do: gate.Refuse(409, "BlobArchived"), code: "BlobArchived", errno: syscall.ENOMEDIUM},
	{name: "condition", times: -1, do: gate.Refuse(412, "ConditionNotMet"), code: "BlobChanged", errno: syscall.EIO},
	{name: "toolarge", times: -1, do: gate.Refuse(413, "RequestBodyTooLarge"), code: "StorageError", errno: syscall.EIO},
	{name: "proxylimit", times: -1, do: gate.Refuse(413, ""), code: "StorageError", errno: syscall.EIO},
	{name: "unheardof", times: -1, do: gate.Refuse(409, "SomethingNew"), code: "StorageError", errno: syscall.EIO},
}

// TestStorageFaultsInArchive has more than what both ways can meet: only a write
// has a policy, a legal hold or a lease against it, makes something visible, and
// sends bytes that the service checks.
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
	e.wantSettled(c)
}

// TestStorageFaultsInRestore has more than what both ways can meet: only a
// restore needs a blob that is there, and only its answers have bytes, a range
// and an ETag that somebody compares.
func TestStorageFaultsInRestore(t *testing.T) {
	e, c := startSpare(t)
	for _, f := range append([]storageFault{
		{name: "missing", times: -1, do: gate.Refuse(404, "BlobNotFound"), code: "BlobMissing", errno: syscall.ENOENT},
		{name: "damaged", times: 1, do: gate.DamageAnswer, code: "ChecksumMismatch", errno: syscall.EBADMSG},
		{name: "shorter", times: 1, do: gate.ClaimLength(-10)},
		{name: "unranged", times: 1, do: gate.ReplyWhole},
		{name: "etag", times: 1, do: gate.OtherETag, code: "BlobChanged", errno: syscall.EIO},
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
		e.wantRead(c, name, <-done, f.code, f.errno)
	}
	e.wantHits(armed, f)
	for kind, content := range faultFiles {
		name := f.name + "-" + kind
		e.wantContent(name, content)
		e.wantState(name, stateArchived)
		e.wantNoError(name)
	}
	e.archived(f.name+"-next", []byte("the copytool still works"))
	e.wantSettled(c)
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

// isWriteOf accepts every request that carries the named blob's bytes, or makes
// it visible.
func isWriteOf(name string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == http.MethodPut && pathIs(r.URL.Path, name) }
}
