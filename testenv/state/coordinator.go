package state

import (
	"container/list"
	"context"
	"syscall"
	"time"
)

// control is the state of the coordinator (hsm_control).
type control string

const (
	controlStopped  control = "stopped"
	controlEnabled  control = "enabled"
	controlDisabled control = "disabled"
)

func parseControl(s string) control {
	switch c := control(s); c {
	case controlEnabled, controlDisabled:
		return c
	}
	return controlStopped
}

// coordinator is the HSM coordinator of one MDT: the log of requests, those that
// run, and the agents they run on. All of it is guarded by FS.mu.
type coordinator struct {
	fs    *FS
	state control
	wake  chan struct{} // capacity 1: a pass is due
	reset chan struct{} // capacity 1: loop_period changed

	cookie uint64 // the last one given out
	index  uint64 // number of the last record

	log      list.List            // of *record: all of them, oldest first
	waiting  list.List            // of *record: those WAITING
	blocked  list.List            // of *record: the restores among them
	started  list.List            // of *record: those STARTED
	finished []*record            // in a final state, in the order they got there
	byCookie map[uint64][]*record // an action and its cancels
	byFile   map[FID][]*record    // WAITING and STARTED, oldest first

	running  map[uint64]*running // STARTED and known to this coordinator, by cookie
	order    list.List           // of *running: as hsm.active_requests lists them
	restores map[uint64]*restore // by inode number
	agents   []*agentEntry       // in order of registration
	clients  map[string]*client  // by uuid

	replay     map[uint64]*record // by index, while the journal is read
	complained time.Time          // when the log last said that an archive is not served

	idle chan struct{} // closed when nothing is WAITING or STARTED; nil when nobody waits
}

// record is an entry of the coordinator's log (struct llog_agent_req_rec). A
// cancel is a record of its own with the cookie of its target.
type record struct {
	index   uint64
	action  Action
	fid     FID
	dfid    FID
	extent  Extent
	cookie  uint64
	gid     uint64
	data    []byte
	archive uint32
	flags   RequestFlags
	status  Status
	created int64 // ns
	changed int64 // ns; of the status

	inLog, inWaiting, inBlocked, inStarted *list.Element
}

// running is what the coordinator knows in memory of a STARTED request, and
// forgets when it restarts.
type running struct {
	rec      *record
	uuid     string // of the client whose agent has it
	dfid     FID    // a restore's volatile file, once a progress has named it
	moved    extents
	canceled bool
	updated  time.Time // last sign of life
	element  *list.Element
}

func (c *coordinator) init(fs *FS) {
	c.fs = fs
	c.state = controlStopped
	c.wake = make(chan struct{}, 1)
	c.reset = make(chan struct{}, 1)
	c.byCookie = make(map[uint64][]*record)
	c.byFile = make(map[FID][]*record)
	c.running = make(map[uint64]*running)
	c.restores = make(map[uint64]*restore)
	c.clients = make(map[string]*client)
	c.replay = make(map[uint64]*record)
}

// kick asks for a pass over the waiting requests.
func (c *coordinator) kick() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run is the coordinator's thread: a pass when something happened, and
// housekeeping each loop_period.
func (c *coordinator) run() {
	defer close(c.fs.stopped)
	period := c.loopPeriod()
	timer := time.NewTimer(period)
	defer timer.Stop()
	for {
		select {
		case <-c.fs.stop:
			return
		case <-c.wake:
			c.pass(false)
		case <-timer.C:
			c.pass(true)
			period = c.loopPeriod()
			timer.Reset(period)
		case <-c.reset:
			if p := c.loopPeriod(); p != period {
				period = p
				timer.Reset(period)
			}
		}
	}
}

func (c *coordinator) loopPeriod() time.Duration {
	c.fs.begin()
	defer c.fs.end()
	return c.fs.params.loopPeriod
}

func (c *coordinator) pass(housekeeping bool) {
	c.fs.begin()
	defer c.fs.end()
	if c.state != controlEnabled {
		return
	}
	if housekeeping {
		c.expireStarted()
		c.dropFinished()
	}
	c.dispatch()
}

// expireStarted cancels requests that showed no sign of life for too long.
// Nobody is told but the changelog and the readers: the copytool learns it from
// ENOENT, and the request is never sent again.
func (c *coordinator) expireStarted() {
	limit := time.Now().Add(-c.fs.params.activeTimeout)
	for e := c.started.Front(); e != nil; {
		r := e.Value.(*record)
		e = e.Next()
		if c.lastSign(r).After(limit) {
			continue
		}
		c.fs.logger.Warn("request timed out", "cookie", r.cookie, "fid", r.fid.String(), "action", r.action.String())
		c.setStatus(r, StatusCanceled)
		if i, err := c.fs.get(r.fid); err == nil {
			c.fs.changeHSM(i, eventOf(r.action), syscall.ECANCELED, fromCoordinator)
		}
		if r.action == ActionRestore {
			c.endRestore(r.fid.Ino(), true)
		}
	}
	c.expireRunning(limit)
}

// lastSign is when a STARTED request was last heard of.
func (c *coordinator) lastSign(r *record) time.Time {
	last := time.Unix(0, r.changed)
	if run := c.running[r.cookie]; run != nil && run.updated.After(last) {
		return run.updated
	}
	return last
}

// expireRunning forgets what runs although its record is over: timed out just
// now, or canceled long ago by a cancel or purge that the copytool ignored.
func (c *coordinator) expireRunning(limit time.Time) {
	for e := c.order.Front(); e != nil; {
		run := e.Value.(*running)
		e = e.Next()
		if run.rec.status.final() && !run.updated.After(limit) {
			if run.rec.action == ActionRestore {
				c.endRestore(run.rec.fid.Ino(), true)
			}
			c.forget(run.rec.cookie, false)
		}
	}
}

// forget drops what is known of a running request and settles its agent's
// counters.
func (c *coordinator) forget(cookie uint64, ok bool) {
	run := c.running[cookie]
	if run == nil {
		return
	}
	delete(c.running, cookie)
	c.order.Remove(run.element)
	if a := c.agent(run.uuid); a != nil {
		a.current--
		if ok {
			a.ok++
		} else {
			a.errors++
		}
	}
}

// dropFinished removes records that ended more than grace_delay ago.
func (c *coordinator) dropFinished() {
	limit := time.Now().Add(-c.fs.params.graceDelay).UnixNano()
	for len(c.finished) > 0 && c.finished[0].changed < limit {
		c.removeRecord(c.finished[0])
		c.finished[0] = nil
		c.finished = c.finished[1:]
		c.fs.spill()
	}
}

// stopRunning forgets agents and what runs on them. Copytools are not told; their
// progress and end find no request any more.
func (c *coordinator) stopRunning() {
	for cookie, run := range c.running {
		delete(c.running, cookie)
		if run.rec.action == ActionRestore && run.rec.status.final() {
			c.endRestore(run.rec.fid.Ino(), false) // it was cancelled, and nobody will end it
		}
	}
	c.order.Init()
	c.agents = nil
}

// resume is the start of the coordinator: restores go back to WAITING with their
// cookies, and everything else that was STARTED stays so until it times out.
func (c *coordinator) resume() {
	// Cookies start from the clock, and above all that are in the log.
	c.cookie = max(c.cookie, uint64(time.Now().Unix()))
	for e := c.started.Front(); e != nil; {
		r := e.Value.(*record)
		e = e.Next()
		if r.action == ActionRestore {
			c.setStatus(r, StatusWaiting)
			c.fs.spill()
		}
	}
	for e := c.blocked.Front(); e != nil; e = e.Next() {
		c.beginRestore(e.Value.(*record).fid.Ino())
	}
	c.kick()
}

// RestartCoordinator restarts the MDT's coordinator while mounts and pipes stay,
// as in a failover: tunables that were not set for good go back to their
// defaults, hsm_control included. Running archives and removes are lost
// (progress and end: ENOENT), restores are sent again.
func (fs *FS) RestartCoordinator() {
	fs.begin()
	defer fs.end()
	fs.cdt.stopRunning()
	fs.params.reboot()
	fs.cdt.resume()
	if fs.cdt.state == controlStopped {
		return
	}
	// The clients' kernels register their copytools again by themselves. A
	// coordinator that is not running yet turns them away, for good.
	for _, cl := range fs.cdt.clients {
		fs.cdt.reconnect(cl)
	}
}

// setControl carries out a write to hsm_control. EINVAL for unknown words,
// EALREADY for stopping what is stopped.
func (c *coordinator) setControl(word string) error {
	switch word {
	case "enabled":
		if c.state == controlStopped {
			c.fs.params.startCoordinator()
			c.resume()
		}
		c.state = controlEnabled
	case "disabled":
		if c.state == controlStopped {
			return syscall.EINVAL
		}
		c.state = controlDisabled
	case "shutdown":
		if c.state == controlStopped {
			return syscall.EALREADY
		}
		c.state = controlStopped
		c.stopRunning()
	case "purge":
		c.purge()
	case "help":
		c.fs.logger.Info("valid coordinator control commands are: enabled shutdown disabled purge help")
	default:
		c.fs.logger.Error("valid coordinator control commands are: enabled shutdown disabled purge help")
		return syscall.EINVAL
	}
	c.kick()
	return nil
}

// purge cancels every record. Copytools get CANCELs for what they run, from an
// agent chosen afresh, while progress goes on returning 0.
func (c *coordinator) purge() {
	lists := make(map[uint32]*ActionList)
	for e := c.log.Front(); e != nil; e = e.Next() {
		r := e.Value.(*record)
		if r.status.final() {
			continue
		}
		if c.running[r.cookie] != nil && r.action != ActionCancel {
			l := lists[r.archive]
			if l == nil {
				l = &ActionList{FSName: c.fs.name, ArchiveID: r.archive}
				lists[r.archive] = l
			}
			item := r.item()
			item.Action = ActionCancel
			l.Items = append(l.Items, item)
		}
		wasWaiting := r.status == StatusWaiting
		c.setStatus(r, StatusCanceled)
		if r.action == ActionRestore && (wasWaiting || c.running[r.cookie] == nil) {
			c.endRestore(r.fid.Ino(), false)
		}
		c.fs.spill()
	}
	for archive, l := range lists {
		if a := c.choose(archive); a != nil {
			c.clients[a.uuid].send(*l)
		}
	}
}

// WaitIdle waits until no request is WAITING or STARTED.
func (fs *FS) WaitIdle(ctx context.Context) error {
	for {
		fs.begin()
		c := &fs.cdt
		if c.waiting.Len()+c.started.Len() == 0 {
			fs.end()
			return nil
		}
		if c.idle == nil {
			c.idle = make(chan struct{})
		}
		idle := c.idle
		fs.end()
		select {
		case <-idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
