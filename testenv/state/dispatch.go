package state

import (
	"container/list"
	"time"
)

// listMax is the largest message to a copytool, in bytes: 70 items without data.
const listMax = 5120

// batch is a message being filled: requests of one archive.
type batch struct {
	archive uint32
	size    int
	records []*record
}

// dispatch sends as many WAITING requests as there are slots. It fills messages
// first and looks for agents afterwards, so requests that nobody serves take
// slots each time: max_requests of them block everything behind them, for as
// long as they wait. That is the real coordinator's behaviour.
func (c *coordinator) dispatch() {
	var batches []*batch
	count := 0
	last := uint64(0)
	full := func() bool { return count+len(c.running) >= c.fs.params.maxRequests }
	for e := c.waiting.Front(); e != nil && !full(); e = e.Next() {
		r := e.Value.(*record)
		last = r.index
		if c.delayed(r) {
			continue
		}
		batches = c.addToBatch(batches, r)
		count++
	}
	if full() && len(c.running) <= c.fs.params.maxRequests {
		// One restore may go beyond the limit: its reader is blocked.
		if r := firstAfter(&c.blocked, last); r != nil {
			batches = c.addToBatch(batches, r)
		}
	}
	for _, b := range batches {
		c.sendBatch(b)
	}
}

// firstAfter finds the first record of a list that dispatch has not seen.
func firstAfter(l *list.List, index uint64) *record {
	for e := l.Front(); e != nil; e = e.Next() {
		if r := e.Value.(*record); r.index > index {
			return r
		}
	}
	return nil
}

// delayed holds back the removals that unlink asked for.
func (c *coordinator) delayed(r *record) bool {
	return r.action == ActionRemove && r.dfid.IsZero() && r.age() < c.fs.params.graceDelay
}

func (c *coordinator) addToBatch(batches []*batch, r *record) []*batch {
	item := r.item()
	for _, b := range batches {
		if b.archive == r.archive && b.size+item.size() <= listMax {
			b.size += item.size()
			b.records = append(b.records, r)
			return batches
		}
	}
	head := 32 + (len(c.fs.name)+8)&^7
	return append(batches, &batch{archive: r.archive, size: head + item.size(), records: []*record{r}})
}

// sendBatch gives a message to an agent. Without one the requests stay WAITING
// and are tried again at the next pass.
func (c *coordinator) sendBatch(b *batch) {
	a := c.choose(b.archive)
	if a == nil {
		c.complain(b.archive)
		return
	}
	// A cancel pulls the whole message to the agent that runs its target.
	for _, r := range b.records {
		if r.action != ActionCancel {
			continue
		}
		if run := c.running[r.cookie]; run != nil {
			if a = c.agent(run.uuid); a == nil {
				return // its agent is gone: the request waits
			}
		}
	}
	l := ActionList{FSName: c.fs.name, ArchiveID: b.archive}
	for _, r := range b.records {
		if c.start(r, a) {
			l.Items = append(l.Items, r.item())
			l.Flags = r.flags // the list shows the last item's
		}
	}
	if len(l.Items) > 0 {
		c.clients[a.uuid].send(l)
	}
}

// complain says that an archive is not served, but not at every pass.
func (c *coordinator) complain(archive uint32) {
	if now := time.Now(); now.Sub(c.complained) >= c.fs.params.loopPeriod {
		c.complained = now
		c.fs.logger.Error("cannot find agent for archive: rc = -11", "archive", int32(archive))
	}
}

// start marks a request STARTED on an agent; false if the file does not allow
// the action any more, which ends the request.
func (c *coordinator) start(r *record, a *agentEntry) bool {
	if r.action == ActionCancel {
		c.startCancel(r)
		return true
	}
	i, err := c.fs.get(r.fid)
	if err == nil {
		err = i.checkRequest(r.action, r.archive)
	} else if r.action == ActionRemove {
		err = nil
	}
	if err != nil {
		c.setStatus(r, StatusFailed)
		if r.action == ActionRestore {
			c.endRestore(r.fid.Ino(), true)
		}
		return false
	}
	if r.action == ActionArchive {
		c.markExists(i, r.archive, fromCoordinator)
	}
	c.setStatus(r, StatusStarted)
	run := &running{rec: r, uuid: a.uuid, dfid: r.dfid, updated: time.Now()}
	run.element = c.order.PushBack(run)
	c.running[r.cookie] = run
	a.current++
	return true
}

// startCancel turns the target's record CANCELED; its copytool hears of it from
// the message, and from its next progress.
func (c *coordinator) startCancel(r *record) {
	c.setStatus(r, StatusStarted)
	if run := c.running[r.cookie]; run != nil {
		run.canceled = true
		c.setStatus(run.rec, StatusCanceled)
	}
}

// markExists notes that an archive may hold something of the file from now on.
func (c *coordinator) markExists(i *inode, archive uint32, from origin) {
	c.fs.setHSM(i, i.flags|Exists, archive, from)
}
