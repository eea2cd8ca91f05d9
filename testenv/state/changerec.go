package state

import (
	"strconv"
	"syscall"
)

// change is what a changelog record is made from.
type change struct {
	kind                 changeType
	flags                uint16 // the low twelve bits of cr_flags
	target, parent       *inode
	name                 string
	source, sourceParent *inode // of a rename
	sourceName           string
	cred                 Cred
	xattr                string
	from                 origin
}

// Bits of cr_flags and of the extra flags.
const (
	recordVersion = 0x1000
	recordRename  = 0x2000
	recordExtra   = 0x8000

	extraOwner = 0x01
	extraNID   = 0x02
	extraMode  = 0x04
	extraXattr = 0x08
	extraNIDBE = 0x10

	recordHeader   = 64
	nidSize        = 24
	xattrFieldSize = 256
	localNetwork   = 9 // LNet's number for lo, whose only address is 0
)

// change makes a changelog record, if anybody wants it.
func (fs *FS) change(c change) {
	if fs.changes.wants(c.kind) {
		fs.changes.add(c.encode(fs.now()))
	}
}

// encode gives struct changelog_rec and what follows it; the index comes later.
func (c *change) encode(now int64) []byte {
	flags := c.flags&0xfff | recordVersion | recordExtra
	name := c.name
	if c.kind == changeRename {
		flags |= recordRename
		name += "\x00" + c.sourceName
	}
	b := le.AppendUint16(nil, uint16(len(name)))
	b = le.AppendUint16(b, flags)
	b = le.AppendUint32(b, uint32(c.kind))
	b = le.AppendUint64(b, 0) // index
	b = le.AppendUint64(b, 0) // index of the previous record of the file: never set
	b = le.AppendUint64(b, uint64(now/1e9)<<30|uint64(now%1e9))
	b = fidOf(c.target).append(b)
	b = fidOf(c.parent).append(b)
	if c.kind == changeRename {
		b = fidOf(c.source).append(b)
		b = fidOf(c.sourceParent).append(b)
	}
	// No zero after the name and no padding: readers go on at the next byte.
	return append(c.appendExtra(b), name...)
}

func fidOf(i *inode) FID {
	if i == nil {
		return FID{}
	}
	return i.fid()
}

func (c *change) appendExtra(b []byte) []byte {
	extra := uint64(extraOwner | extraNID | extraNIDBE)
	switch c.kind {
	case changeOpen:
		extra |= extraMode
	case changeXattr:
		extra |= extraXattr
	}
	b = le.AppendUint64(b, extra)
	b = le.AppendUint64(b, uint64(c.cred.UID))
	b = le.AppendUint64(b, uint64(c.cred.GID))
	nid := make([]byte, nidSize)
	if c.from == fromClient {
		nid[1] = localNetwork
	}
	b = append(b, nid...)
	if extra&extraMode != 0 {
		b = le.AppendUint32(b, uint32(c.flags&3))
	}
	if extra&extraXattr != 0 {
		field := make([]byte, xattrFieldSize)
		copy(field, c.xattr)
		b = append(b, field...)
	}
	return b
}

// hsmEvent is what happened, in bits 7 to 9 of an HSM record's flags.
type hsmEvent uint16

const (
	eventArchive hsmEvent = 0
	eventRestore hsmEvent = 1
	eventCancel  hsmEvent = 2
	eventRelease hsmEvent = 3
	eventRemove  hsmEvent = 4
	eventState   hsmEvent = 5

	hsmDirty    = 0x400
	hsmMaxError = 0x7e // larger ones are all shown as 0x7f
)

func eventOf(a Action) hsmEvent {
	switch a {
	case ActionRestore:
		return eventRestore
	case ActionRemove:
		return eventRemove
	case ActionCancel:
		return eventCancel
	}
	return eventArchive
}

// changeHSM makes an HSM record.
func (fs *FS) changeHSM(i *inode, event hsmEvent, errno syscall.Errno, from origin) {
	flags := uint16(event) << 7
	if errno > hsmMaxError {
		flags |= hsmMaxError + 1
	} else {
		flags |= uint16(errno)
	}
	if i.flags&Dirty != 0 {
		flags |= hsmDirty
	}
	fs.change(change{kind: changeHSM, flags: flags, target: i, from: from})
}

func userID(number uint64) string { return "cl" + strconv.FormatUint(number, 10) }

func encodeUser(e *encoder, u *changelogUser) {
	e.op(opUser)
	e.u64(u.number)
	e.str(u.id)
	e.u64(uint64(u.mask))
	e.u64(u.index)
	e.i64(u.seen)
}

// apply replays an operation on the changelog.
func (c *changelog) apply(o op, d *decoder) {
	switch o {
	case opRecord:
		c.applyRecord(d)
	case opUser:
		u := &changelogUser{number: d.u64(), id: d.str(), mask: changeMask(d.u32()), index: d.u64(), seen: d.i64()}
		if d.err == nil {
			c.drop(u.number)
			c.users = append(c.users, u)
		}
	case opNoUser:
		c.drop(d.u64())
	case opPurged:
		upTo := d.u64()
		c.discard(upTo)
		c.last = max(c.last, upTo)
	}
}

func (c *changelog) applyRecord(d *decoder) {
	data := d.bytes()
	if len(data) < recordHeader {
		d.fail()
		return
	}
	r := changelogRecord{le.Uint64(data[8:]), data}
	if r.index <= c.last {
		return // replayed over a newer snapshot
	}
	c.last = r.index
	c.insert(r)
}

// dump writes the changelog into a snapshot.
func (c *changelog) dump(e *encoder, flush func()) {
	encodeCounter(e, counterUser, c.lastUser)
	for _, u := range c.users {
		encodeUser(e, u)
	}
	for _, r := range c.records {
		e.op(opRecord)
		e.bytes(r.data)
		flush()
	}
	if len(c.records) == 0 {
		e.op(opPurged)
		e.u64(c.last)
	}
}
