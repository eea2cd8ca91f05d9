package state

import (
	"maps"
	"slices"
	"syscall"
)

// op says what a journal operation does. The numbers are on disk.
type op byte

const (
	opInode     op = 1  // an inode as it is now, without its names
	opNoInode   op = 2  // an inode is gone
	opName      op = 3  // a directory has a name
	opNoName    op = 4  // a directory has a name no more
	opRequest   op = 5  // a request's record as it is now
	opNoRequest op = 6  // a request's record is gone
	opCounter   op = 7  // a counter's value
	opParam     op = 8  // a tunable's value
	opRecord    op = 9  // a changelog record
	opUser      op = 10 // a changelog user as it is now
	opNoUser    op = 11 // a changelog user is gone
	opPurged    op = 12 // changelog records up to an index are gone
)

// Counters of opCounter.
const (
	counterOID    = 1 // FIDs below this one may have been used
	counterCookie = 2
	counterIndex  = 3 // of request records
	counterUser   = 4 // of changelog users
)

// bits of opInode.
const (
	bitHollow = 1 << iota
	bitNoLayout
	bitHSM
	bitWriter // open for writing: look at the object after a crash
)

func (fs *FS) logInode(i *inode) {
	if i.is.volatile || i.nlink == 0 {
		return // gone at the next start
	}
	encodeInode(&fs.tx, i)
}

func (fs *FS) logNoInode(i *inode) {
	if !i.is.volatile {
		fs.tx.op(opNoInode)
		fs.tx.u64(i.ino)
	}
}

func encodeName(e *encoder, dir *inode, name string, child *inode) {
	e.op(opName)
	e.u64(dir.ino)
	e.str(name)
	e.u64(child.ino)
}

func (fs *FS) logNoName(dir *inode, name string) {
	fs.tx.op(opNoName)
	fs.tx.u64(dir.ino)
	fs.tx.str(name)
}

func (fs *FS) logCounter(which, value uint64) { encodeCounter(&fs.tx, which, value) }

func encodeCounter(e *encoder, which, value uint64) {
	e.op(opCounter)
	e.u64(which)
	e.u64(value)
}

func encodeInode(e *encoder, i *inode) {
	e.op(opInode)
	e.u64(i.ino)
	e.u64(uint64(i.mode))
	e.u64(uint64(i.uid))
	e.u64(uint64(i.gid))
	e.u64(i.size)
	e.u64(i.blocks)
	e.i64(i.atime)
	e.i64(i.mtime)
	e.i64(i.ctime)
	e.u64(i.obj)
	e.i64(i.objCtime)
	e.u64(i.dv)
	e.u64(uint64(i.flags))
	e.u64(uint64(i.archive))
	e.u64(i.archDV)
	e.u64(bit(i.is.hollow, bitHollow) | bit(i.is.noLayout, bitNoLayout) |
		bit(i.is.hsm, bitHSM) | bit(i.writer > 0 || i.is.unsynced, bitWriter))
	encodeExtra(e, i.extra)
}

func bit(on bool, value uint64) uint64 {
	if on {
		return value
	}
	return 0
}

func encodeExtra(e *encoder, x *inodeExtra) {
	if x == nil {
		x = &inodeExtra{}
	}
	e.u64(uint64(x.rdev))
	e.str(x.target)
	e.bytes(x.lov)
	e.u64(uint64(len(x.xattrs)))
	for _, name := range slices.Sorted(maps.Keys(x.xattrs)) {
		e.str(name)
		e.bytes(x.xattrs[name])
	}
}

// decodeInode fills i, whose ino the caller has read already.
func decodeInode(d *decoder, i *inode) {
	i.mode, i.uid, i.gid = d.u32(), d.u32(), d.u32()
	i.size, i.blocks = d.u64(), d.u64()
	i.atime, i.mtime, i.ctime = d.i64(), d.i64(), d.i64()
	i.obj, i.objCtime, i.dv = d.u64(), d.i64(), d.u64()
	i.flags, i.archive, i.archDV = Flags(d.u32()), d.u32(), d.u64()
	bits := d.u64()
	i.is = inodeBits{
		hollow: bits&bitHollow != 0, noLayout: bits&bitNoLayout != 0,
		hsm: bits&bitHSM != 0, unsynced: bits&bitWriter != 0,
	}
	x := inodeExtra{rdev: d.u32(), target: d.str(), lov: d.bytes()}
	for n := d.u64(); n > 0 && d.err == nil; n-- {
		if x.xattrs == nil {
			x.xattrs = make(map[string][]byte)
		}
		name := d.str()
		x.xattrs[name] = d.bytes()
	}
	if i.extra != nil {
		x.links = i.extra.links // names have operations of their own
	}
	i.extra = nil
	if x.rdev != 0 || x.target != "" || len(x.lov) > 0 || x.xattrs != nil || x.links != nil {
		i.extra = &x
	}
}

// apply replays one frame. Unknown operations and references to what is not
// there are errors: the frame passed its checksum, so we wrote it wrong.
func (fs *FS) apply(payload []byte) error {
	d := &decoder{b: payload}
	for len(d.b) > 0 && d.err == nil {
		switch o := d.op(); o {
		case opInode:
			fs.applyInode(d)
		case opNoInode:
			fs.applyNoInode(d)
		case opName:
			fs.applyName(d)
		case opNoName:
			fs.applyNoName(d)
		case opRequest, opNoRequest:
			fs.cdt.apply(o, d)
		case opCounter:
			fs.applyCounter(d)
		case opParam:
			fs.params.apply(d)
		case opRecord, opUser, opNoUser, opPurged:
			fs.changes.apply(o, d)
		default:
			d.fail()
		}
	}
	return d.err
}

func (fs *FS) applyInode(d *decoder) {
	ino := d.u64()
	i := fs.inodes[ino]
	if i == nil {
		i = &inode{ino: ino}
	}
	wasDir := i.dir != nil
	decodeInode(d, i)
	isDir := i.mode&syscall.S_IFMT == syscall.S_IFDIR
	switch {
	case d.err != nil,
		fs.inodes[ino] != nil && wasDir != isDir,
		ino == RootFID.Ino() && !isDir:
		d.fail()
		return
	}
	if isDir && i.dir == nil {
		i.dir, i.nlink = newDirectory(), 2
	}
	fs.inodes[ino] = i
	fs.nextOID = max(fs.nextOID, i.ino+1)
}

func (fs *FS) applyNoInode(d *decoder) {
	i := fs.inodes[d.u64()]
	switch {
	case i == nil:
		return // replayed over a newer snapshot
	case i.ino == RootFID.Ino():
		d.fail()
		return
	}
	for _, l := range i.links() {
		fs.detach(l.parent, l.name)
	}
	delete(fs.inodes, i.ino)
}

func (fs *FS) applyName(d *decoder) {
	dir, name, child := fs.inodes[d.u64()], d.str(), fs.inodes[d.u64()]
	if d.err != nil || dir == nil || dir.dir == nil || child == nil || child.ino == RootFID.Ino() || name == "" {
		d.fail()
		return
	}
	for up := dir; child.dir != nil && up != nil; up = up.parent {
		if up == child {
			d.fail() // a directory inside itself
			return
		}
	}
	if child.dir != nil && child.parent != nil && child != dir.dir.get(name) {
		fs.detach(child.parent, child.name) // a directory has one name
	}
	fs.detach(dir, name)
	fs.attach(dir, name, child)
}

func (fs *FS) applyNoName(d *decoder) {
	dir, name := fs.inodes[d.u64()], d.str()
	if dir != nil && dir.dir != nil {
		fs.detach(dir, name)
	}
}

func (fs *FS) applyCounter(d *decoder) {
	which, value := d.u64(), d.u64()
	switch which {
	case counterOID:
		fs.nextOID = max(fs.nextOID, value)
		fs.reservedOID = fs.nextOID
	case counterCookie:
		fs.cdt.cookie = value
	case counterIndex:
		fs.cdt.index = value
	case counterUser:
		fs.changes.lastUser = value
	}
}

// dump writes the whole state, for a snapshot: inodes before the names that
// refer to them.
func (fs *FS) dump(emit func(payload []byte)) {
	var e encoder
	flush := func() {
		if len(e.b) > 0 {
			emit(e.b)
			e.b = e.b[:0]
		}
	}
	flushLarge := func() {
		if len(e.b) > 1<<18 {
			flush()
		}
	}
	for _, i := range fs.inodes {
		if !i.is.volatile && i.nlink > 0 {
			encodeInode(&e, i)
			flushLarge()
		}
	}
	for _, dir := range fs.inodes {
		if dir.dir == nil {
			continue
		}
		dir.dir.from(0, func(entry dirEntry) bool {
			encodeName(&e, dir, entry.name, entry.child)
			flushLarge()
			return true
		})
	}
	encodeCounter(&e, counterOID, fs.reservedOID)
	fs.cdt.dump(&e)
	fs.params.dump(&e)
	fs.changes.dump(&e, flushLarge)
	flush()
}
