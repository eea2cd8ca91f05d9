package acceptance

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// passing are the codes of failures for a passing reason: the coordinator may
// queue the action again.
var passing = map[string]bool{"Throttled": true, "AccountUnreachable": true, "ShuttingDown": true}

// wantFailure looks for the outcome of a file's last action where people and
// programs look: in the log, in the metrics, on the file, and in what the
// coordinator made of it. The copytool must have been started by startSpare.
func (e *env) wantFailure(c *copytool, op, rel, code string, errno syscall.Errno) {
	e.t.Helper()
	fid := e.fid(rel)
	line := c.waitLog("action failed", "op="+op, fid, "code="+code+" ")
	if !containsAll(line, []string{fmt.Sprintf("errno=%d ", errno), fmt.Sprintf("retry=%t ", passing[code])}) {
		e.t.Errorf("%s: want errno %d (%v), retry %t: %s", rel, errno, errno, passing[code], line)
	}
	if name := actionsMetric(op, code); c.metrics()[name] == 0 {
		e.t.Errorf("%s: %s is 0", rel, name)
	}
	if got := errorXattr(e.path(rel)); !strings.Contains(got, `"code":"`+code+`"`) || !strings.Contains(got, `"op":"`+op+`"`) {
		e.t.Errorf("%s: the error on the file is %q, want the code %s and %s in it", rel, got, code, op)
	}
	if got := e.toldErrno(op, fid); got != errno {
		e.t.Errorf("%s: the changelog has errno %d (%v), want %d (%v)", rel, got, got, errno, errno)
	}
	if got := e.lastStatus(op, fid); got != "FAILED" {
		e.t.Errorf("%s: the coordinator has its %s as %s", rel, op, got)
	}
}

func actionsMetric(op, code string) string {
	return fmt.Sprintf("lhsm_azblob_actions_total{code=%q,op=%q}", code, op)
}

// Bits of the flags of a changelog's HSM record (CLF_HSM_*): what happened, and
// with what error.
const (
	hsmErrorBits  = 0x7f
	hsmEventShift = 7
	hsmEventBits  = 7
)

var hsmEvents = map[string]uint64{"ARCHIVE": 0, "RESTORE": 1, "REMOVE": 4}

var hsmRecord = regexp.MustCompile(`(?m)^\d+ 16HSM .* (0x[0-9a-f]+) t=(\S+) `)

// toldErrno is the error of the file's latest action of a kind, by the changelog.
func (e *env) toldErrno(op, fid string) syscall.Errno {
	e.t.Helper()
	var last uint64
	for _, m := range hsmRecord.FindAllStringSubmatch(e.lfs("changelog", "lustre-MDT0000"), -1) {
		flags, err := strconv.ParseUint(m[1], 0, 16)
		if err != nil {
			e.t.Fatal(err)
		}
		if m[2] == fid && flags>>hsmEventShift&hsmEventBits == hsmEvents[op] {
			last = flags & hsmErrorBits
		}
	}
	return syscall.Errno(last)
}

// lastStatus is what the coordinator's log says of the file's latest request of a kind.
func (e *env) lastStatus(op, fid string) (status string) {
	e.t.Helper()
	for _, m := range requestLine.FindAllStringSubmatch(e.lustre.GetParam("mdt.*.hsm.actions"), -1) {
		if m[1] == fid && m[2] == op {
			status = m[4]
		}
	}
	return status
}

// awaitStatus waits until the coordinator says so.
func (e *env) awaitStatus(op, fid, status string) {
	e.t.Helper()
	for deadline := time.Now().Add(patience); e.lastStatus(op, fid) != status; {
		if time.Now().After(deadline) {
			e.t.Fatalf("the %s of %s is %s, and not %s", op, fid, e.lastStatus(op, fid), status)
		}
	}
}

// giveUp lets the coordinator end what it has forgotten, or what died in a pipe.
func (e *env) giveUp() {
	e.t.Helper()
	e.timesOut(e.lustre.WaitIdle)
}

// timesOut lets the coordinator give up what nobody has spoken of for a second, as long
// as wait takes. No longer: what is asked for later may be slower than that, and right.
func (e *env) timesOut(wait func()) {
	e.t.Helper()
	e.lustre.SetParam("mdt.*.hsm.active_request_timeout", "1")
	wait()
	e.lustre.SetParam("mdt.*.hsm.active_request_timeout", "3600")
}

// timeOut lets it give up requests for files of which nobody will hear any more.
func (e *env) timeOut(op string, rels ...string) {
	e.t.Helper()
	e.timesOut(func() {
		for _, rel := range rels {
			e.awaitStatus(op, e.fid(rel), "CANCELED")
		}
	})
}

// wantSettled is for a copytool that has nothing to do any more.
func (e *env) wantSettled(c *copytool) {
	e.t.Helper()
	e.wantNoLeak(c)
	e.wantCounted(c)
}

var outcomeLine = regexp.MustCompile(`msg="action (?:done|failed|canceled)" op=(\w+) .* code=(\w+) `)

// wantCounted holds the metrics against the log: one outcome for each line. The log
// may come a moment later.
func (e *env) wantCounted(c *copytool) {
	e.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		wrong := c.miscounted()
		if len(wrong) == 0 {
			return
		}
		if time.Now().After(deadline) {
			e.t.Errorf("the metrics are not what the log says: %q", wrong)
			return
		}
	}
}

// miscounted compares the metrics with the log as both are now.
func (c *copytool) miscounted() (wrong []string) {
	c.t.Helper()
	counted := map[string]float64{}
	for _, line := range c.log() {
		if m := outcomeLine.FindStringSubmatch(line); m != nil {
			counted[actionsMetric(m[1], m[2])]++
		}
	}
	for name, value := range c.metrics() {
		if strings.HasPrefix(name, "lhsm_azblob_actions_total{") && value != counted[name] {
			wrong = append(wrong, fmt.Sprintf("%s is %v, and the log has %v such lines", name, value, counted[name]))
		}
	}
	return wrong
}
