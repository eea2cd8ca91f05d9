package acceptance

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lhsm-azblob/testenv"
)

// kills is how often TestKilledAtRandomMoments kills, unless $LHSM_KILLS says
// something else.
const kills = 20

// TestKilledAtRandomMoments kills the copytool at moments that nobody has
// chosen, under a load of archives, restores that somebody waits for, and
// removes; one time in three again while it recovers. After each, nothing may be
// open at the coordinator, who waited has got the right bytes, and every file is
// what it should be, in Lustre and in the container.
//
//	LHSM_KILLS=200 go test -run TestKilledAtRandomMoments ./testenv/acceptance
func TestKilledAtRandomMoments(t *testing.T) {
	want := kills
	if n, err := strconv.Atoi(os.Getenv("LHSM_KILLS")); err == nil {
		want = n
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	l := newLoad(t, rand.New(rand.NewPCG(seed, 1)))
	c := l.startCopytool(l.lustre.Mount(), l.args...)
	for l.killed < want && !t.Failed() {
		c = l.round(c)
	}
	c.stop()
	if l.lost > want/10 {
		t.Errorf("%d actions died in the pipe; the keeper saves no more than what arrives in its last microseconds", l.lost)
	}
	t.Logf("killed %d times; %d archives, %d restores, %d removes; longest recovery %v; %d actions died in the pipe, unread",
		l.killed, l.archives, l.restores, l.removes, l.longest.Round(time.Millisecond), l.lost)
}

// A load is three groups of files, which change roles: one is archived, one is
// read while it is released, and one is removed from the archive.
type load struct {
	*env
	rand   *rand.Rand
	args   []string
	groups [3][]*loadFile
	logs   []*copytool

	killed, archives, restores, removes, lost int
	longest                                   time.Duration
}

type loadFile struct {
	name    string
	fid     string
	content []byte
	lost    bool // what was asked for this file, in this round
}

const filesPerGroup = 12

func newLoad(t *testing.T, r *rand.Rand) *load {
	l := &load{
		env: newEnv(t, testenv.Options{Params: map[string]string{"mdt.*.hsm.grace_delay": "3600"}}), rand: r,
		args: []string{"--block-size", "256KiB", "--archives", "4", "--restores", "4", "--removes", "2", "--transfers", "4"},
	}
	for g := range l.groups {
		for i := range filesPerGroup {
			f := &loadFile{name: fmt.Sprintf("g%d/f%d", g, i)}
			l.groups[g] = append(l.groups[g], f)
			l.renew(f)
			f.fid = strings.TrimSpace(l.lfs("path2fid", l.path(f.name)))
		}
	}
	c := l.startCopytool(l.lustre.Mount(), l.args...)
	l.request("archive", l.paths(1)...)
	l.request("archive", l.paths(2)...)
	l.lustre.WaitIdle()
	c.stop()
	return l
}

// renew gives a file new content, of no block, a part of one, or some.
func (l *load) renew(f *loadFile) {
	size := []int{0, 1 + l.rand.IntN(10_000), l.rand.IntN(3 << 20)}[l.rand.IntN(3)]
	f.content = make([]byte, size)
	for i := 0; i < size; i += 97 {
		f.content[i] = byte(l.rand.Uint32())
	}
	l.write(f.name, f.content)
}

func (l *load) paths(group int) (paths []string) {
	for _, f := range l.groups[group] {
		paths = append(paths, l.path(f.name))
	}
	return paths
}

// round asks for everything at once, kills, starts again, and checks. The first
// group is new, the others are archived.
func (l *load) round(c *copytool) *copytool {
	l.t.Helper()
	for _, p := range l.paths(1) {
		l.lfs("hsm_release", p)
	}
	moment := time.After(time.Duration(l.rand.IntN(700)) * time.Millisecond)
	read := l.readAll(1)
	l.request("remove", l.paths(2)...)
	l.request("archive", l.paths(0)...)
	<-moment
	l.kill(c)
	begin := time.Now()
	if l.rand.IntN(3) == 0 {
		next, _ := l.launch(l.lustre.Mount(), l.args...)
		<-time.After(time.Duration(l.rand.IntN(600)) * time.Millisecond)
		l.kill(next)
	}
	c = l.startCopytool(l.lustre.Mount(), l.args...)
	l.logs = append(l.logs, c)
	if l.waitIdle() {
		l.longest = max(l.longest, time.Since(begin))
	}
	read()
	l.askAgain()
	l.check()
	l.archives, l.restores, l.removes = l.archives+filesPerGroup, l.restores+filesPerGroup, l.removes+filesPerGroup
	for _, f := range l.groups[2] {
		l.renew(f)
	}
	l.groups = [3][]*loadFile{l.groups[2], l.groups[0], l.groups[1]}
	return c
}

func (l *load) kill(c *copytool) {
	c.kill()
	l.killed++
	l.logs = append(l.logs, c)
}

// readAll reads all files of a group at once. The function it returns waits for
// what they got.
func (l *load) readAll(group int) (wait func()) {
	var all sync.WaitGroup
	files := l.groups[group]
	errs := make([]error, len(files))
	for i, f := range files {
		all.Go(func() {
			got, err := os.ReadFile(l.path(f.name))
			if err == nil && !bytes.Equal(got, f.content) {
				err = errors.New("other bytes")
			}
			errs[i] = err
		})
	}
	return func() {
		all.Wait()
		for i, f := range files {
			if errs[i] != nil && !f.lost {
				l.t.Errorf("who waited for %s got: %v", f.name, errs[i])
			}
		}
	}
}

// check looks at every file, at its blob, and at the coordinator's list.
func (l *load) check() {
	l.t.Helper()
	for g, want := range []string{stateArchived, stateArchived, "(0x00000000), archive_id:1"} {
		for _, f := range l.groups[g] {
			l.wantState(f.name, want)
			l.wantContent(f.name, f.content)
			if g == 2 {
				l.wantNoBlob(f.name)
			} else {
				l.wantBlob(f.name, f.content)
			}
		}
	}
	for _, line := range l.openActions() {
		l.t.Errorf("an action is still open: %s", line)
	}
}

// openActions are the lines of hsm.actions that are not about something finished.
func (l *load) openActions() (open []string) {
	for line := range strings.Lines(l.lustre.GetParam("mdt.*.hsm.actions")) {
		if strings.Contains(line, "status=STARTED") || strings.Contains(line, "status=WAITING") {
			open = append(open, strings.TrimSpace(line))
		}
	}
	return open
}

// waitIdle waits until nothing is open, and tells whether that went by itself. Actions that were still in the pipe when
// their copytool died, of which no process ever knew, are the coordinator's own to
// give up; they are counted. Any other that stays open is a failure.
func (l *load) waitIdle() bool {
	l.t.Helper()
	if l.lustre.Command("wait-idle", "--timeout", "10s").Code == 0 {
		return true
	}
	for _, line := range l.openActions() {
		if f := l.fileOf(line); f != nil && !l.wasReceived(field(line, "compound/cookie=0x0/")) {
			f.lost = true
			l.lost++
			continue
		}
		l.t.Errorf("10 s after the start, an action is open that a copytool had received: %s", line)
	}
	l.lustre.SetParam("mdt.*.hsm.active_request_timeout", "1")
	l.lustre.WaitIdle()
	l.lustre.SetParam("mdt.*.hsm.active_request_timeout", "3600")
	return false
}

// askAgain does what users do whose request the coordinator has given up.
func (l *load) askAgain() {
	l.t.Helper()
	for g, verb := range []string{"archive", "restore", "remove"} {
		for _, f := range l.groups[g] {
			if f.lost {
				f.lost = false
				l.request(verb, l.path(f.name))
			}
		}
	}
	l.lustre.WaitIdle()
}

func (l *load) fileOf(line string) *loadFile {
	for _, group := range l.groups {
		for _, f := range group {
			if f.fid == field(line, " fid=") {
				return f
			}
		}
	}
	return nil
}

// field is the word that follows a name in a line of hsm.actions.
func field(line, name string) string {
	_, rest, _ := strings.Cut(line, name)
	word, _, _ := strings.Cut(rest, " ")
	return word
}

func (l *load) wasReceived(cookie string) bool {
	for _, c := range l.logs {
		for _, line := range c.log() {
			if containsAll(line, []string{"msg=received", "cookie=" + cookie + " "}) {
				return true
			}
		}
	}
	return false
}
