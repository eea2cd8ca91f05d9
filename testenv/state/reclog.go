package state

import (
	"cmp"
	"container/list"
	"maps"
	"slices"
	"time"
)

// This file keeps the indexes of the coordinator's log in step with each other
// and with the journal.

// addRecord records a request as WAITING. A cancel brings its target's cookie.
func (c *coordinator) addRecord(r *record) {
	c.index++
	r.index = c.index
	if r.action != ActionCancel {
		c.cookie++
		r.cookie = c.cookie
	}
	r.created = c.fs.now()
	r.changed = r.created
	r.status = StatusWaiting
	c.insert(r)
	encodeRecord(&c.fs.tx, r)
	if r.action == ActionRestore {
		c.beginRestore(r.fid.Ino())
	}
}

func (c *coordinator) insert(r *record) {
	r.inLog = c.log.PushBack(r)
	c.byCookie[r.cookie] = append(c.byCookie[r.cookie], r)
	c.enlist(r)
}

// enlist puts a record into the lists of its status. WAITING records must stay
// in the order of the log, also those that come back to it.
func (c *coordinator) enlist(r *record) {
	switch {
	case r.status == StatusWaiting:
		r.inWaiting = insertOrdered(&c.waiting, r)
		if r.action == ActionRestore {
			r.inBlocked = insertOrdered(&c.blocked, r)
		}
	case r.status == StatusStarted:
		r.inStarted = c.started.PushBack(r)
	default:
		c.finished = append(c.finished, r)
		return
	}
	if !slices.Contains(c.byFile[r.fid], r) {
		c.byFile[r.fid] = append(c.byFile[r.fid], r)
	}
}

func insertOrdered(l *list.List, r *record) *list.Element {
	for e := l.Back(); e != nil; e = e.Prev() {
		if e.Value.(*record).index < r.index {
			return l.InsertAfter(r, e)
		}
	}
	return l.PushFront(r)
}

func (c *coordinator) delist(r *record) {
	for _, in := range []struct {
		l *list.List
		e **list.Element
	}{{&c.waiting, &r.inWaiting}, {&c.blocked, &r.inBlocked}, {&c.started, &r.inStarted}} {
		if *in.e != nil {
			in.l.Remove(*in.e)
			*in.e = nil
		}
	}
}

// setStatus moves a record to another status.
func (c *coordinator) setStatus(r *record, s Status) {
	if r.status == s {
		return
	}
	c.delist(r)
	r.status, r.changed = s, c.fs.now()
	c.enlist(r)
	encodeRecord(&c.fs.tx, r)
	if !s.final() {
		return
	}
	c.unfile(r)
	if c.idle != nil && c.waiting.Len()+c.started.Len() == 0 {
		close(c.idle)
		c.idle = nil
	}
}

// unfile takes a record that is over out of the index by file.
func (c *coordinator) unfile(r *record) {
	rest := slices.DeleteFunc(c.byFile[r.fid], func(x *record) bool { return x == r })
	if len(rest) == 0 {
		delete(c.byFile, r.fid)
		return
	}
	c.byFile[r.fid] = rest
}

// removeRecord forgets a record altogether; the caller takes it out of finished.
func (c *coordinator) removeRecord(r *record) {
	c.delist(r)
	c.unfile(r)
	c.log.Remove(r.inLog)
	rest := slices.DeleteFunc(c.byCookie[r.cookie], func(x *record) bool { return x == r })
	if len(rest) == 0 {
		delete(c.byCookie, r.cookie)
	} else {
		c.byCookie[r.cookie] = rest
	}
	c.fs.tx.op(opNoRequest)
	c.fs.tx.u64(r.index)
}

// item is the record as a copytool gets it.
func (r *record) item() Item {
	return Item{Action: r.action, FID: r.fid, DFID: r.dfid, Extent: r.extent, Cookie: r.cookie, GID: r.gid, Data: r.data}
}

func encodeRecord(e *encoder, r *record) {
	e.op(opRequest)
	e.u64(r.index)
	e.u64(uint64(r.action))
	e.fid(r.fid)
	e.fid(r.dfid)
	e.u64(r.extent.Offset)
	e.u64(r.extent.Length)
	e.u64(r.cookie)
	e.u64(r.gid)
	e.bytes(r.data)
	e.u64(uint64(r.archive))
	e.u64(uint64(r.flags))
	e.u64(uint64(r.status))
	e.i64(r.created)
	e.i64(r.changed)
}

func decodeRecord(d *decoder) *record {
	return &record{
		index: d.u64(), action: Action(d.u32()), fid: d.fid(), dfid: d.fid(),
		extent: Extent{d.u64(), d.u64()}, cookie: d.u64(), gid: d.u64(), data: d.bytes(),
		archive: d.u32(), flags: RequestFlags(d.u64()), status: Status(d.u32()),
		created: d.i64(), changed: d.i64(),
	}
}

// apply replays an operation on the log.
func (c *coordinator) apply(o op, d *decoder) {
	if o == opNoRequest {
		delete(c.replay, d.u64())
		return
	}
	r := decodeRecord(d)
	if d.err != nil || r.status > StatusSucceed {
		d.fail()
		return
	}
	c.replay[r.index] = r
	c.index = max(c.index, r.index)
	c.cookie = max(c.cookie, r.cookie)
}

// replayed builds the log from what apply gathered.
func (c *coordinator) replayed() {
	for _, index := range slices.Sorted(maps.Keys(c.replay)) {
		c.insert(c.replay[index])
	}
	c.replay = nil
	slices.SortStableFunc(c.finished, func(a, b *record) int { return cmp.Compare(a.changed, b.changed) })
}

// dump writes the log into a snapshot.
func (c *coordinator) dump(e *encoder) {
	encodeCounter(e, counterCookie, c.cookie)
	encodeCounter(e, counterIndex, c.index)
	for el := c.log.Front(); el != nil; el = el.Next() {
		encodeRecord(e, el.Value.(*record))
	}
}

// age is how long ago the record was made.
func (r *record) age() time.Duration { return time.Since(time.Unix(0, r.created)) }
