package copytool

import (
	"cmp"
	"slices"
	"time"
)

// Activity is what an agent does at one moment, for who looks on. Rates are of the
// last progress interval, sizes in bytes, times in seconds.
type Activity struct {
	Serving           bool             `json:"serving"`  // registered with the coordinators
	Draining          bool             `json:"draining"` // stopping
	Lanes             []LaneActivity   `json:"lanes"`
	SentPerSecond     float64          `json:"sentPerSecond"` // bytes to Blob storage
	ReceivedPerSecond float64          `json:"receivedPerSecond"`
	EndedPerSecond    float64          `json:"endedPerSecond"` // actions
	Actions           []ActionActivity `json:"actions"`        // that have begun, the oldest first
	ActionsLeftOut    int              `json:"actionsLeftOut"` // more of them
	Failures          []FailedAction   `json:"failures"`       // the last, the newest first
}

// LaneActivity is how many actions of a kind there are.
type LaneActivity struct {
	Op            string  `json:"op"`
	Running       int     `json:"running"`
	Limit         int     `json:"limit"` // of Running
	Waiting       int     `json:"waiting"`
	Parked        int     `json:"parked"`     // wait for room in Lustre
	Unreported    int     `json:"unreported"` // part of Waiting: over, and the coordinator does not take it
	OldestSeconds float64 `json:"oldestSeconds"`
}

// ActionActivity is an action that has begun.
type ActionActivity struct {
	Op             string  `json:"op"`
	FID            string  `json:"fid"`
	Cookie         string  `json:"cookie"`
	Path           string  `json:"path"` // empty until it is known
	State          string  `json:"state"`
	Bytes          int64   `json:"bytes"` // moved so far
	Size           int64   `json:"size"`  // of the file; 0 until it is known
	BytesPerSecond float64 `json:"bytesPerSecond"`
	Seconds        float64 `json:"seconds"` // since it began
	Urgent         bool    `json:"urgent"`  // somebody is blocked until it ends
	Adopted        bool    `json:"adopted"` // from a process that died
}

// States of an action that has begun.
const (
	actionRuns   = "running"
	actionParked = "parked" // waits for room in Lustre
	actionEnds   = "ending" // its end is being reported
)

// FailedAction is an action that ended badly.
type FailedAction struct {
	Time    time.Time `json:"time"`
	Op      string    `json:"op"`
	FID     string    `json:"fid"`
	Path    string    `json:"path"`
	Code    Code      `json:"code"`
	Message string    `json:"message"`
}

// mostShown bounds the actions of an Activity: those that wait for room in Lustre may
// be thousands.
const mostShown = 500

// Activity may be called at any time after New.
func (a *Agent) Activity() Activity {
	now := time.Now()
	act := Activity{Serving: a.serving.Load(), Draining: a.draining.Load(), Failures: a.failures.newestFirst()}
	for _, l := range a.sched.state() {
		act.Lanes = append(act.Lanes, LaneActivity{
			Op: l.name, Running: l.running, Limit: l.limit, Waiting: l.waiting, Parked: l.parked, Unreported: l.resting, OldestSeconds: l.age(now).Seconds(),
		})
	}
	act.SentPerSecond, act.ReceivedPerSecond, act.EndedPerSecond = a.flow.rates()
	act.Actions = a.sched.begun(now)
	slices.SortFunc(act.Actions, func(x, y ActionActivity) int {
		return cmp.Or(cmp.Compare(y.Seconds, x.Seconds), cmp.Compare(x.Cookie, y.Cookie))
	})
	act.ActionsLeftOut = max(0, len(act.Actions)-mostShown)
	act.Actions = act.Actions[:len(act.Actions)-act.ActionsLeftOut]
	return act
}

// begun are the tasks that have a slot, or had one and wait for room.
func (s *scheduler) begun(now time.Time) []ActionActivity {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]ActionActivity, 0, len(s.started))
	for t := range s.started {
		all = append(all, t.activity(now))
	}
	return all
}

// activity is called with the scheduler's mu held.
func (t *task) activity(now time.Time) ActionActivity {
	act := ActionActivity{
		Op: t.item.Action.String(), FID: t.fid.String(), Cookie: cookieText(t.cookie), State: actionRuns,
		Bytes: t.moved.Load(), Size: t.size.Load(), Seconds: now.Sub(t.began).Seconds(), Urgent: t.urgent, Adopted: t.adopted,
	}
	act.BytesPerSecond = t.speed.rate(act.Bytes, now)
	if path := t.path.Load(); path != nil {
		act.Path = *path
	}
	switch {
	case t.ending.Load():
		act.State = actionEnds
	case t.parked:
		act.State = actionParked
	}
	return act
}
