package doctor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"lhsm-azblob/copytool"
)

// Tunables are those of the coordinators, which only an MDS shows. A mover is one
// on a test system at most; elsewhere the checks say what to type on the MDS.
type tunables struct {
	client *client
	o      Options
}

func (t *tunables) checks() []Check {
	var checks []Check
	for _, row := range []struct {
		name, param string
		wanted      string // empty: goes by the site
		why         string // it is worth a look
		judge       func(lines []string) result
	}{
		{"hsm-control", "hsm_control", "enabled", "on every MDT; without -P a restart of the MDS stops it", t.control},
		{"max-requests", "hsm.max_requests", strconv.Itoa(t.wanted()), "or more with more movers; the default of 3 is the usual reason for a slow archive", t.maxRequests},
		{"agents", "hsm.agents", "", "a request for an archive id that nobody serves waits, and a few of them hold up all others", t.agents},
		{"default-archive", "hsm.default_archive_id", "", "it is the id of a plain lfs hsm_archive", t.defaultArchive},
		{"policy", "hsm.policy", "-NBR", "with [NonBlockingRestore] readers of released files get an error at once", t.policy},
	} {
		checks = append(checks, Check{Subject: lustre, Name: row.name, needs: []string{"mount"}, run: func(ctx context.Context) result {
			pattern := "mdt." + t.client.fsname + "-MDT*." + row.param
			lines, ok := getParam(ctx, pattern)
			if !ok {
				mend := "on each MDS: lctl get_param " + pattern
				if row.wanted != "" {
					mend += "; " + t.client.set(row.param, row.wanted)
				}
				return notef(mend+" ("+row.why+")", "only an MDS can show it")
			}
			return row.judge(lines)
		}})
	}
	return checks
}

// getParam reads a tunable of all MDTs on this machine; false if there is none.
func getParam(ctx context.Context, pattern string) (lines []string, ok bool) {
	lctl, err := exec.LookPath("lctl")
	if err != nil {
		lctl = "/usr/sbin/lctl"
	}
	if _, err := os.Stat(lctl); err != nil {
		return nil, false
	}
	cmd := exec.CommandContext(ctx, lctl, "get_param", "-n", pattern)
	cmd.WaitDelay = time.Second // a child of its own may hold its output open
	out, err := cmd.Output()
	if err != nil {
		return nil, false
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' }), true
}

func (t *tunables) control(lines []string) result {
	for _, l := range lines {
		if state := strings.TrimSpace(l); state != "enabled" {
			return failf("on each MDS: "+t.client.set("hsm_control", "enabled"), "the coordinator of an MDT is %s", state)
		}
	}
	return okf("enabled on %s", counted(len(lines), "MDT"))
}

// wanted is how many requests this mover can work on at a time.
func (t *tunables) wanted() int { return t.o.Limits.Archives + t.o.Limits.Restores }

func (t *tunables) maxRequests(lines []string) result {
	for _, l := range lines {
		n, err := strconv.Atoi(strings.TrimSpace(l))
		if err != nil {
			return warnf("", "max_requests is %q", l)
		}
		if n < t.wanted() {
			return warnf(fmt.Sprintf("on each MDS: %s (more with more movers)", t.client.set("hsm.max_requests", strconv.Itoa(t.wanted()))),
				"max_requests is %d: the coordinator hands out that many at a time to all movers together, and this one can work on %d", n, t.wanted())
		}
	}
	return okf("max_requests is %s, and this mover can work on %d at a time", strings.Join(lines, ", "), t.wanted())
}

// agents looks for a copytool, on whatever mover, for each archive id.
func (t *tunables) agents(lines []string) result {
	served := servedIDs(lines)
	var missing []string
	for _, a := range t.o.Archives {
		for _, id := range a.IDs {
			text := fmt.Sprint(id)
			if id == copytool.AnyArchive {
				text = anyAgent
			}
			if !slices.Contains(served, text) && !slices.Contains(served, anyAgent) {
				missing = append(missing, text)
			}
		}
	}
	if len(missing) > 0 {
		return failf("systemctl start "+t.o.Unit+"; if it runs, see its log", "no copytool is registered for archive id %s; %s", strings.Join(missing, ", "), counted(len(lines), "agent"))
	}
	return okf("%s; all archive ids are served", counted(len(lines), "agent"))
}

// anyAgent is an agent's archive_id when it serves all.
const anyAgent = "ANY"

// servedIDs reads lines like "uuid=... archive_id=1,3 requests=[...]".
func servedIDs(lines []string) []string {
	var ids []string
	for _, l := range lines {
		for _, field := range strings.Fields(l) {
			if list, ok := strings.CutPrefix(field, "archive_id="); ok {
				ids = append(ids, strings.Split(list, ",")...)
			}
		}
	}
	return ids
}

func (t *tunables) defaultArchive(lines []string) result {
	for _, l := range lines {
		id, err := strconv.ParseUint(strings.TrimSpace(l), 10, 32)
		if err != nil {
			return warnf("", "default_archive_id is %q", l)
		}
		if !t.configured(uint32(id)) {
			return notef("if plain lfs hsm_archive is meant for this mover: "+t.client.set("hsm.default_archive_id", "ID"),
				"default_archive_id is %d, which this configuration does not serve", id)
		}
	}
	return okf("default_archive_id is %s", strings.Join(lines, ", "))
}

func (t *tunables) configured(id uint32) bool {
	return slices.ContainsFunc(t.o.Archives, func(a Archive) bool {
		return slices.Contains(a.IDs, id) || slices.Contains(a.IDs, copytool.AnyArchive)
	})
}

func (t *tunables) policy(lines []string) result {
	for _, l := range lines {
		if strings.Contains(l, "[NonBlockingRestore]") {
			return warnf("on each MDS: "+t.client.set("hsm.policy", "-NBR"), "NonBlockingRestore is on: who reads a released file gets an error, and has to try again")
		}
	}
	return okf("%s", strings.Join(lines, ", "))
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
