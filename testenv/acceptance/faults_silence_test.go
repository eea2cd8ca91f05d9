package acceptance

import (
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/gate"
)

// impatience makes a copytool give up soon, but not when a busy machine lets it wait for
// as long once more.
var impatience = []string{"--stall-timeout", "2s", "--retries", "2"}

// silences are what a service does that does not say no, but never says yes.
var silences = []storageFault{
	{name: "stalled", times: 1, do: gate.Stall},
	{name: "dripping", times: 1, do: gate.Drip(5000, 100*time.Millisecond)},
	{name: "stalledforever", times: -1, do: gate.Stall, code: "AccountUnreachable", errno: syscall.EHOSTUNREACH},
	{name: "drippingforever", times: -1, do: gate.Drip(5000, 100*time.Millisecond), code: "AccountUnreachable", errno: syscall.EHOSTUNREACH},
	{name: "resetforever", times: -1, do: gate.ResetInBody, code: "AccountUnreachable", errno: syscall.EHOSTUNREACH},
	{name: "gatewayforever", times: -1, do: gate.Refuse(504, ""), code: "AccountUnreachable", errno: syscall.EHOSTUNREACH},
	{name: "loginforever", times: -1, do: gate.LoginPage, code: "AccountUnreachable", errno: syscall.EHOSTUNREACH},
	{name: "firewallforever", times: -1, do: gate.Refuse(403, ""), code: "AccountUnreachable", errno: syscall.EHOSTUNREACH},
}

// busyForEver asks for patience, and does so for longer than a copytool has any.
var busyForEver = []storageFault{
	{name: "internal", times: -1, do: gate.Refuse(500, "InternalError"), code: "Throttled", errno: syscall.EAGAIN},
	{name: "busy", times: -1, do: gate.Refuse(503, "ServerBusy"), code: "Throttled", errno: syscall.EAGAIN},
}

func TestSilentStorageInArchive(t *testing.T) {
	e, c := startSpare(t, impatience...)
	for _, f := range silences {
		e.during(t, c, f.name, func() { e.faultyArchive(c, f) })
	}
}

func TestSilentStorageInRestore(t *testing.T) {
	e, c := startSpare(t, impatience...)
	for _, f := range silences {
		e.during(t, c, f.name, func() { e.faultyRestore(c, f) })
	}
}

func TestStorageBusyForEver(t *testing.T) {
	e, c := startSpare(t, "--retries", "0")
	for _, f := range busyForEver {
		e.during(t, c, f.name, func() {
			e.faultyArchive(c, f)
			f.name += "-restore"
			e.faultyRestore(c, f)
		})
	}
}

// TestSlowStorageIsAwaited: what arrives in time is no reason to ask again.
func TestSlowStorageIsAwaited(t *testing.T) {
	e, c := startSpare(t)
	slow := gate.Drip(5, 200*time.Millisecond)
	requests := func(method, name string) int {
		return e.gate.Count(func(r gate.Request) bool { return r.Method == method && pathIs(r.Path, name) })
	}
	for name, content := range faultFiles {
		e.gate.Fault(isWriteOf(name), -1, slow)
		e.gate.Fault(isGetOf(name), -1, slow)
		p := e.released(name, content)
		e.wantContent(name, content)
		e.wantState(name, stateArchived)
		pieces := (len(content) + smallBlock - 1) / smallBlock
		writes := pieces
		if pieces > 1 {
			writes++ // the list
		}
		if w, g := requests(http.MethodPut, name), requests(http.MethodGet, name); w != writes || g != pieces {
			t.Errorf("%s: %d writes and %d reads, want %d and %d", p, w, g, writes, pieces)
		}
	}
	e.wantSettled(c)
}

// TestStallInMidBody has a body that no socket holds, so that the writing of it
// stalls, not the answer to it.
func TestStallInMidBody(t *testing.T) {
	e, c := startSpare(t, append(impatience, "--block-size", "24MiB")...)
	content := randomBytes(24<<20, 9)
	e.gate.Fault(isPutOf("once"), 1, gate.Stall)
	e.archived("once", content)
	e.wantBlob("once", content)
	e.gate.Fault(isPutOf("ever"), -1, gate.Stall)
	e.write("ever", content)
	e.hsm("archive", "ever")
	e.wantFailure(c, "ARCHIVE", "ever", "AccountUnreachable", syscall.EHOSTUNREACH)
	e.wantSettled(c)
}

// addressTroubles are what can become of the account's address while it is in use.
var addressTroubles = []struct {
	name    string
	trouble func(r *resolver)
	code    string // empty: the copytool gets over it
	says    string // what the log says of it
}{
	{"gone", func(r *resolver) { r.fail(-1) }, "AccountUnreachable", "does not resolve; check the URL and the DNS"},
	{"back", func(r *resolver) { r.fail(1) }, "", ""},
	{"moved", func(r *resolver) { r.point(deadAddress) }, "AccountUnreachable", "no answer from " + gate.TLSName + "; check the URL, the firewall and the private endpoint"},
}

// TestAddressLostInTransfer: the name of the account resolves no longer, or to
// where nobody answers, and its connection breaks.
func TestAddressLostInTransfer(t *testing.T) {
	e := newEnv(t, longGrace(testenv.Options{}))
	r := e.resolve()
	c := e.startSpare("--transfers", "1", "--stall-timeout", "2s", "--retries", "3") // two, and one for a busy machine
	for _, f := range addressTroubles {
		lose := func(http.ResponseWriter, *http.Request, http.Handler) {
			f.trouble(r)
			e.gate.HangUp()
		}
		ended := func(op, name string) {
			r.point(gateAddress)
			if f.code == "" {
				c.waitLog("action done", "op="+op, e.fid(name))
				return
			}
			e.wantFailure(c, op, name, f.code, syscall.EHOSTUNREACH)
			c.waitLog("action failed", "op="+op, e.fid(name), f.says)
		}
		for kind, content := range faultFiles {
			name := f.name + "-" + kind
			e.during(t, c, name, func() {
				p := e.write(name, content)
				e.gate.Fault(isWriteOf(name), 1, lose)
				e.hsm("archive", name)
				ended("ARCHIVE", name)
				e.hsm("archive", name)
				e.wantBlob(name, content)
				e.lfs("hsm_release", p)
				e.gate.Fault(isGetOf(name), 1, lose)
				if _, err := os.ReadFile(p); (err == nil) != (f.code == "") {
					e.t.Errorf("the read ends with %v", err)
				}
				ended("RESTORE", name)
				e.wantContent(name, content)
				e.wantNoError(name)
				e.wantSettled(c)
			})
		}
	}
}
