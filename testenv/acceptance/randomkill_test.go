package acceptance

import (
	"slices"
	"testing"
	"time"
)

// TestKilledAtRandomMoments kills the copytool at moments that nobody has
// chosen, under a load of archives, restores that somebody waits for, and
// removes; one time in three again while it recovers. After each, nothing may be
// open at the coordinator, who waited has got the right bytes, and every file is
// what it should be, in Lustre and in the container: nobody has to ask again.
//
//	LHSM_KILLS=200 go test -run TestKilledAtRandomMoments ./testenv/acceptance
func TestKilledAtRandomMoments(t *testing.T) {
	want := timesFor("LHSM_KILLS", 20)
	k := &killing{load: newLoad(t, newEnv(t, loadOptions))}
	c := k.startCopytool(k.lustre.Mount(), k.args...)
	for k.killed < want && !t.Failed() {
		c = k.round(c)
	}
	c.stop()
	if k.losses > want/10 {
		t.Errorf("actions died in the pipe %d times; the keeper saves no more than what arrives in its last microseconds", k.losses)
	}
	t.Logf("killed %d times; %s; %d actions died in the pipe, unread, in %d rounds", k.killed, k.figures(), k.lost, k.losses)
}

type killing struct {
	*load
	logs []*copytool
	mine map[string]bool // FIDs of files whose action died in a pipe, in this round

	killed, lost int
	losses       int // rounds that lost something; a kill before there is a keeper can lose all
}

func (k *killing) round(c *copytool) *copytool {
	k.t.Helper()
	moment := k.moment(700 * time.Millisecond)
	readers := k.ask()
	<-moment
	k.kill(c)
	begin := time.Now()
	if k.rand.IntN(3) == 0 {
		next, _ := k.launch(k.lustre.Mount(), k.args...)
		<-k.moment(600 * time.Millisecond)
		k.kill(next)
	}
	c = k.startCopytool(k.lustre.Mount(), k.args...)
	k.logs = append(k.logs[max(0, len(k.logs)-4):], c)
	if k.settle() {
		k.longest = max(k.longest, time.Since(begin))
	}
	for i, err := range readers() {
		if f := k.groups[toRead][i]; err != nil && !k.mine[f.fid] {
			k.t.Errorf("who waited for %s got: %v", f.name, err)
		}
	}
	if len(k.mine) > 0 {
		k.askAgain()
	}
	k.check()
	return c
}

func (k *killing) kill(c *copytool) {
	c.kill()
	k.killed++
	k.logs = append(k.logs, c)
}

// settle waits until nothing is open, and tells whether that went by itself. Actions
// that were still in the pipe when their copytool died, of which no process ever knew,
// are the coordinator's own to give up; they are counted. Any other that stays open is
// a failure.
func (k *killing) settle() bool {
	k.t.Helper()
	k.mine = map[string]bool{}
	for _, line := range k.unread() {
		k.mine[field(line, " fid=")] = true
	}
	if len(k.mine) == 0 {
		return true
	}
	k.lost += len(k.mine)
	k.losses++
	k.giveUp()
	return false
}

// unread waits until nothing is open, or nothing but what no copytool has received, and
// returns that. What was received may take its time: Azurite can stop for half a minute.
func (k *killing) unread() []string {
	k.t.Helper()
	for deadline := time.Now().Add(patience); !k.idleWithin(10 * time.Second); {
		open := k.openActions()
		received := slices.IndexFunc(open, k.wasReceived)
		if received < 0 {
			return open
		}
		if time.Now().After(deadline) {
			k.t.Fatalf("%v after the start, an action is open that a copytool had received: %s", patience, open[received])
		}
	}
	return nil
}

// wasReceived is about a line of hsm.actions.
func (k *killing) wasReceived(line string) bool {
	cookie := field(line, "compound/cookie=0x0/")
	for _, c := range k.logs {
		if c.count("msg=received", "cookie="+cookie+" ") > 0 {
			return true
		}
	}
	return false
}
