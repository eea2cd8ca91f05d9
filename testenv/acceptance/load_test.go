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

// A load is three groups of files, which change roles: one is archived, one is
// read while it is released, and one is removed from the archive. Tests disturb it,
// and then look at every file, at its blob, and at the coordinator's list.
type load struct {
	*env
	rand   *rand.Rand
	args   []string
	groups [3][]*loadFile

	asked, again int
	longest      time.Duration // from a disturbance to the end of the last action
}

type loadFile struct {
	name    string
	fid     string
	content []byte
}

const filesPerGroup = 12

// Roles of groups. The first is new, the others are archived.
const (
	toArchive = iota
	toRead
	toRemove
)

var (
	verbs  = [3]string{"archive", "restore", "remove"}
	wanted = [3]string{stateArchived, stateArchived, "(0x00000000), archive_id:1"}
)

// loadOptions keep what is finished on the coordinator's list.
var loadOptions = testenv.Options{Params: map[string]string{"mdt.*.hsm.grace_delay": "3600"}}

func newLoad(t *testing.T, e *env) *load {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	l := &load{
		env: e, rand: rand.New(rand.NewPCG(seed, 1)),
		args: []string{"--block-size", "256KiB", "--archives", "4", "--restores", "4", "--removes", "2", "--transfers", "4", "--renew-interval", "2s"},
	}
	for g := range l.groups {
		for i := range filesPerGroup {
			f := &loadFile{name: fmt.Sprintf("g%d/f%d", g, i)}
			l.groups[g] = append(l.groups[g], f)
			l.renew(f)
			f.fid = l.fid(f.name)
		}
	}
	c := l.startCopytool(l.lustre.Mount(), l.args...)
	l.request("archive", append(l.paths(toRead), l.paths(toRemove)...)...)
	l.lustre.WaitIdle()
	c.stop()
	return l
}

// timesFor is how often a test disturbs: what the variable says, else the default.
func timesFor(variable string, def int) int {
	if n, err := strconv.Atoi(os.Getenv(variable)); err == nil {
		return n
	}
	return def
}

// renew gives a file new content, of no block, a part of one, or some.
func (l *load) renew(f *loadFile) {
	size := []int{0, 1 + l.rand.IntN(10_000), l.rand.IntN(1 << 20)}[l.rand.IntN(3)]
	f.content = make([]byte, size)
	for i := 0; i < size; i += 97 {
		f.content[i] = byte(l.rand.Uint32())
	}
	l.write(f.name, f.content)
}

func (l *load) paths(role int) (paths []string) {
	for _, f := range l.groups[role] {
		paths = append(paths, l.path(f.name))
	}
	return paths
}

// moment is a random one within the time.
func (l *load) moment(most time.Duration) <-chan time.Time {
	return time.After(time.Duration(l.rand.Int64N(int64(most))))
}

// ask asks for everything at once. What it returns waits for the readers.
func (l *load) ask() (readers func() []error) {
	l.t.Helper()
	l.request("release", l.paths(toRead)...)
	readers = l.readAll()
	l.request("remove", l.paths(toRemove)...)
	l.request("archive", l.paths(toArchive)...)
	l.asked += 3 * filesPerGroup
	return readers
}

// readAll reads all files of a group at once. The function it returns waits for
// what they got, which must be the right bytes or an error.
func (l *load) readAll() (wait func() []error) {
	var all sync.WaitGroup
	files := l.groups[toRead]
	errs := make([]error, len(files))
	for i, f := range files {
		all.Go(func() {
			var got []byte
			if got, errs[i] = os.ReadFile(l.path(f.name)); errs[i] == nil && !bytes.Equal(got, f.content) {
				errs[i] = errOtherBytes
			}
		})
	}
	return func() []error {
		l.t.Helper()
		all.Wait()
		for i, f := range files {
			if errors.Is(errs[i], errOtherBytes) {
				l.t.Errorf("who read %s got: %v", f.name, errs[i])
			}
		}
		return errs
	}
}

var errOtherBytes = errors.New("other bytes")

// states are those of a group, as lfs shows them.
func (l *load) states(role int) (states []string) {
	l.t.Helper()
	out := l.lfs(append([]string{"hsm_state"}, l.paths(role)...)...)
	for line := range strings.Lines(out) {
		_, state, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		states = append(states, state)
	}
	return states
}

// askAgain does what users do who were told that it failed.
func (l *load) askAgain() {
	l.t.Helper()
	for role := range l.groups {
		for i, state := range l.states(role) {
			if state != wanted[role] {
				l.again++
				l.request(verbs[role], l.path(l.groups[role][i].name))
			}
		}
	}
	l.lustre.WaitIdle()
}

// check looks at every file, at its blob, and at the coordinator's list. Then it
// gives the groups other roles.
func (l *load) check() {
	l.t.Helper()
	for role, files := range l.groups {
		for i, state := range l.states(role) {
			if state != wanted[role] {
				l.t.Errorf("%s, which was to %s, is %s", files[i].name, verbs[role], state)
			}
		}
		for _, f := range files {
			l.wantContent(f.name, f.content)
			if role == toRemove {
				l.wantNoBlob(f.name)
			} else {
				l.wantBlob(f.name, f.content)
			}
		}
	}
	for _, line := range l.openActions() {
		l.t.Errorf("an action is still open: %s", line)
	}
	for _, f := range l.groups[toRemove] {
		l.renew(f)
	}
	l.groups = [3][]*loadFile{l.groups[toRemove], l.groups[toArchive], l.groups[toRead]}
}

// openActions are the lines of hsm.actions that are not about something finished.
func (e *env) openActions() (open []string) {
	e.t.Helper()
	for line := range strings.Lines(e.lustre.GetParam("mdt.*.hsm.actions")) {
		if strings.Contains(line, "status=STARTED") || strings.Contains(line, "status=WAITING") {
			open = append(open, strings.TrimSpace(line))
		}
	}
	return open
}

// idleWithin tells whether nothing is open any more before the time is over.
func (l *load) idleWithin(d time.Duration) bool {
	l.t.Helper()
	return l.lustre.Command("wait-idle", "--timeout", d.String()).Code == 0
}

// field is the word that follows a name in a line of hsm.actions.
func field(line, name string) string {
	_, rest, _ := strings.Cut(line, name)
	word, _, _ := strings.Cut(rest, " ")
	return word
}

func (l *load) figures() string {
	return fmt.Sprintf("%d actions asked for, %d again; longest recovery %v", l.asked, l.again, l.longest.Round(time.Millisecond))
}
