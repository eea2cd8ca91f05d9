package state

import (
	"errors"
	"sync/atomic"
	"syscall"
	"time"
)

// inode is one file. There may be millions, so what few files have is in extra.
type inode struct {
	ino uint64 // FID.Ino()

	obj      uint64 // number of the data object; 0: none yet, or released
	objCtime int64  // change time of the object when the fields below were read
	dv       uint64 // data version; 0 for an object never written to
	size     uint64
	blocks   uint64
	atime    int64 // ns, as the next two
	mtime    int64
	ctime    int64

	archDV  uint64 // data version of the archived copy
	flags   Flags
	archive uint32

	mode          uint32 // S_IFMT and permission bits
	uid, gid      uint32
	nlink         uint32
	opens, writer int32         // open handles; those of them that may write
	layout        atomic.Uint32 // generation; read without the lock by handles
	wrote         atomic.Bool   // written through us since the last sync; set without the lock
	is            inodeBits

	parent *inode // first link; nil when there is none
	name   string
	dir    *directory // of a directory
	extra  *inodeExtra
}

// inodeBits are the yes-or-no facts of an inode.
type inodeBits struct {
	volatile bool // never had a name: not journaled
	hollow   bool // the layout says "released": reading needs a restore
	noLayout bool // created with O_LOV_DELAY_CREATE, no layout and no data so far
	hsm      bool // HSM touched the file: it has a trusted.hsm
	modified bool // data changed, and no close has told the MDT
	unsynced bool // loaded from a journal that saw an open writer
}

// inodeExtra is what most inodes do not have.
type inodeExtra struct {
	links  []link // after the first
	xattrs map[string][]byte
	lov    []byte // layout that a user set
	target string // of a symbolic link
	rdev   uint32
}

type link struct {
	parent *inode
	name   string
}

func (i *inode) fid() FID      { return FIDFromIno(i.ino) }
func (i *inode) regular() bool { return i.mode&syscall.S_IFMT == syscall.S_IFREG }
func (i *inode) more() *inodeExtra {
	if i.extra == nil {
		i.extra = &inodeExtra{}
	}
	return i.extra
}

// links gives every name of the inode, oldest first.
func (i *inode) links() []link {
	if i.parent == nil {
		return nil
	}
	all := []link{{i.parent, i.name}}
	if i.extra != nil {
		all = append(all, i.extra.links...)
	}
	return all
}

func (i *inode) addLink(l link) {
	if i.parent == nil {
		i.parent, i.name = l.parent, l.name
		return
	}
	i.more().links = append(i.more().links, l)
}

func (i *inode) dropLink(l link) {
	all := i.links()
	i.parent, i.name = nil, ""
	if i.extra != nil {
		i.extra.links = nil
	}
	for _, have := range all {
		if have != l {
			i.addLink(have)
		}
	}
}

// sync reads the object when it may have changed and brings the inode up to
// date: the one place where data changes are noticed.
func (fs *FS) sync(i *inode) {
	if i.obj == 0 || (i.writer == 0 && !i.is.unsynced) {
		return
	}
	st, err := fs.objects.stat(i.obj)
	if err != nil {
		return // the object was removed under us; the last known values stand
	}
	wrote := i.wrote.Swap(false)
	i.is.unsynced = false
	i.blocks = st.blocks
	if st.ctime == i.objCtime && st.size == i.size && !wrote {
		return
	}
	version := uint64(st.ctime)
	if version <= i.dv {
		version = i.dv + 1 // the clock tick did not move between two writes
	}
	i.dv, i.objCtime, i.size = version, st.ctime, st.size
	i.is.noLayout = false // whoever writes past the daemon gets the default one, for want of the EBADF of TakesData
	i.mtime, i.ctime = st.ctime, max(i.ctime, st.ctime)
	i.is.modified = true
}

// adoptObject makes the object's present state the starting point: what
// happened to it so far was not a user's write.
func (i *inode) adoptObject(st objectStat) { i.objCtime, i.blocks = st.ctime, st.blocks }

// needObject makes the data object of a file that has none.
func (fs *FS) needObject(i *inode) error {
	switch {
	case !i.regular():
		return syscall.EINVAL
	case i.is.hollow:
		return ErrReleased
	case i.obj != 0:
		return nil
	}
	// The first object of a file has the file's own number. A file that was
	// released and whose layout came back empty needs a fresh one.
	id := i.ino
	st, err := fs.objects.create(id, i.size)
	if errors.Is(err, syscall.EEXIST) {
		id = fs.allocFID().Ino()
		st, err = fs.objects.create(id, i.size)
	}
	if err != nil {
		return err
	}
	i.obj = id
	i.adoptObject(st)
	fs.logInode(i)
	return nil
}

// relayout gives the inode another object, or none, and tells handles.
func (i *inode) relayout(obj uint64) {
	i.obj = obj
	i.is.modified = false
	i.wrote.Store(false)
	i.layout.Add(1)
}

// dirSize is what stat says of any directory.
const dirSize = 4096

func (fs *FS) attr(i *inode) Attr {
	fs.sync(i)
	a := Attr{
		FID: i.fid(), Mode: i.mode, UID: i.uid, GID: i.gid, Nlink: i.nlink,
		Size: i.size, Blocks: i.blocks,
		Atime: time.Unix(0, i.atime), Mtime: time.Unix(0, i.mtime), Ctime: time.Unix(0, i.ctime),
		HSM: HSMState{i.flags, i.archive},
	}
	switch {
	case i.is.hollow:
		a.Blocks = 1
	case i.dir != nil:
		a.Size, a.Blocks = dirSize, dirSize/512
	}
	if i.extra != nil {
		a.Rdev = i.extra.rdev
	}
	return a
}

// dataVersion is 0 for a released file, and for one never written to.
func (fs *FS) dataVersion(i *inode) uint64 {
	if i.is.hollow {
		return 0
	}
	fs.sync(i)
	return i.dv
}
