package jobs

import (
	"fmt"
	"time"
)

// askWhenStalled is the time between two questions about the oldest flight while nothing moves.
const askWhenStalled = 5 * time.Second

// explain says in the job why nothing moves, or that something does.
func (x *export) explain() { x.r.setWait(x.why(time.Now())) }

func (x *export) why(now time.Time) string {
	switch {
	case now.Before(x.hold):
		return x.holdWhy
	case len(x.flights) == 0:
		return x.whyNoFlights()
	case now.Sub(x.lastMove) < x.tune.stall:
		return ""
	}
	f := x.flights[0]
	if soon := now.Add(askWhenStalled); f.check.After(soon) {
		f.check = soon
	}
	since := f.sent.UTC().Format(time.TimeOnly)
	switch {
	case f.running && now.Sub(x.lastMove) >= x.tune.silent:
		return fmt.Sprintf("copytools have been given files and report no progress since %s UTC; if they are alive, their logs tell why; what a dead one had is given up after mdt.*.hsm.active_request_timeout", x.lastMove.UTC().Format(time.TimeOnly))
	case f.running || !f.waiting:
		return "" // large files take their time; or the coordinator has not been asked yet
	case !f.lane.served && f.lane.archive == 0:
		return fmt.Sprintf("no copytool seems to serve the default archive id: a request waits since %s UTC; start one, or see mdt.*.hsm.agents on the MDS", since)
	case !f.lane.served:
		return fmt.Sprintf("no copytool seems to serve archive id %d: a request waits since %s UTC; start one, or see mdt.*.hsm.agents on the MDS", f.lane.archive, since)
	}
	return fmt.Sprintf("the coordinator hands nothing out since %s UTC: its copytools are gone, it is disabled, or requests that nobody serves, or of a copytool that died, "+
		"hold its slots; see mdt.*.hsm.agents and mdt.*.hsm.actions on the MDS", x.lastMove.UTC().Format(time.TimeOnly))
}

func (x *export) whyNoFlights() string {
	if len(x.retries) == 0 || len(x.queue) > 0 {
		return ""
	}
	first := x.retries[0].due
	for _, r := range x.retries {
		if r.due.Before(first) {
			first = r.due
		}
	}
	return fmt.Sprintf("%d files that changed, or whose request came to nothing, are asked for again at %s UTC", len(x.retries), first.UTC().Format(time.TimeOnly))
}
