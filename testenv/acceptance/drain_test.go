package acceptance

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/gate"
)

// What a copytool leaves behind that is stopped under load: each action that it was
// sent has one end, and what others can do is theirs.

// drainFiles is how many files are archived, and as many are restored; the coordinator
// sends half of that at once.
const drainFiles = 30

type drainLoad struct {
	*env
	t       *testing.T
	content []byte
	readers chan error
}

// newDrainLoad has two movers of which the first runs, and asks it for archives and
// restores of which hold catches all data.
func newDrainLoad(t *testing.T, args ...string) (*drainLoad, *copytool, *gate.Hold) {
	t.Helper()
	e := newEnv(t, longGrace(testenv.Options{Mounts: 2, Params: map[string]string{"mdt.*.hsm.max_requests": fmt.Sprint(drainFiles)}}))
	c := e.startCopytool(e.lustre.Mount(), append([]string{"--archives", "5", "--restores", "5"}, args...)...)
	d := &drainLoad{env: e, t: t, content: randomBytes(10_000, 1), readers: make(chan error, drainFiles)}
	var fresh, old []string
	for i := range drainFiles {
		fresh = append(fresh, e.write(fmt.Sprintf("new%d", i), d.content))
		old = append(old, e.write(fmt.Sprintf("old%d", i), d.content))
	}
	e.request("archive", old...)
	e.lustre.WaitIdle()
	e.request("release", old...)
	h := e.gate.Hold(func(r *http.Request) bool { return isCommit(r) || r.Method == http.MethodGet })
	for _, p := range old {
		go func() { d.readers <- readSame(p, d.content) }()
	}
	<-h.Caught
	e.request("archive", fresh...)
	return d, c, h
}

// wantEachEndedOnce compares what the copytool was sent, its lines about ends, and the
// coordinator's list.
func (d *drainLoad) wantEachEndedOnce(c *copytool) (failed int) {
	d.t.Helper()
	status := map[string]string{}
	for line := range strings.Lines(d.lustre.GetParam("mdt.*.hsm.actions")) {
		status[field(line, "compound/cookie=0x0/")] = strings.TrimSpace(field(line, "status="))
	}
	received, ended := map[string]bool{}, map[string]int{}
	for _, line := range c.log() {
		cookie := field(line, "cookie=")
		switch {
		case strings.Contains(line, "msg=received"):
			received[cookie] = true
		case strings.Contains(line, `msg="action done"`):
			ended[cookie]++
			if status[cookie] != "SUCCEED" {
				d.t.Errorf("%s is %q at the coordinator, and here: %s", cookie, status[cookie], line)
			}
		case strings.Contains(line, `msg="action failed"`):
			ended[cookie]++
			failed++
			if status[cookie] != "FAILED" || !strings.Contains(line, "code=ShuttingDown") {
				d.t.Errorf("%s is %q at the coordinator, and here: %s", cookie, status[cookie], line)
			}
		}
	}
	for cookie := range received {
		if ended[cookie] != 1 {
			d.t.Errorf("%s has %d lines about its end, want one", cookie, ended[cookie])
		}
	}
	if len(received) == 0 || len(ended) != len(received) {
		d.t.Errorf("%d actions were received, and %d ended", len(received), len(ended))
	}
	return failed
}

// takeOver starts the other mover, asks again for what failed, and looks at all files.
func (d *drainLoad) takeOver() {
	d.t.Helper()
	d.startCopytool(d.lustre.Mounts()[1])
	d.lustre.WaitIdle()
	for range drainFiles {
		<-d.readers // those that were told of a failure read again below
	}
	for i := range drainFiles {
		fresh, old := fmt.Sprintf("new%d", i), fmt.Sprintf("old%d", i)
		d.hsm("archive", fresh)
		d.wantState(fresh, stateArchived)
		d.wantBlob(fresh, d.content)
		d.wantContent(old, d.content)
	}
}

// TestDrainUnderLoad: all that was sent is done, nothing fails, and what the
// coordinator has not sent is done by the other mover.
func TestDrainUnderLoad(t *testing.T) {
	d, c, h := newDrainLoad(t)
	c.signal(syscall.SIGTERM)
	c.waitLog("msg=draining")
	h.Release()
	<-c.done
	if failed := d.wantEachEndedOnce(c); failed > 0 {
		t.Errorf("%d actions failed, though there was time", failed)
	}
	if n := len(d.openActions()); n == 0 {
		t.Error("nothing waits for the other mover: this test is too small")
	}
	d.startCopytool(d.lustre.Mounts()[1])
	d.lustre.WaitIdle()
	for range drainFiles {
		if err := <-d.readers; err != nil {
			t.Error(err)
		}
	}
	for i := range drainFiles {
		d.wantState(fmt.Sprintf("new%d", i), stateArchived)
	}
}

// TestDrainTimeout: what does not end in time fails, in a way that it can be asked for
// again. A second signal is the same at once.
func TestDrainTimeout(t *testing.T) {
	for name, tt := range map[string]struct {
		timeout string
		end     func(c *copytool)
	}{
		"timeout":       {"2s", func(*copytool) {}},
		"second signal": {"24h", func(c *copytool) { c.signal(syscall.SIGTERM) }},
	} {
		t.Run(name, func(t *testing.T) {
			d, c, h := newDrainLoad(t, "--drain-timeout", tt.timeout)
			begin := time.Now()
			c.signal(syscall.SIGTERM)
			c.waitLog("msg=draining")
			tt.end(c)
			<-c.done
			t.Logf("ended after %v", time.Since(begin).Round(time.Millisecond))
			h.Lose()
			if failed := d.wantEachEndedOnce(c); failed == 0 {
				t.Error("nothing was left to fail: the gate held nothing")
			}
			d.takeOver()
		})
	}
}
