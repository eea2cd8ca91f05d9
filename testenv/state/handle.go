package state

import (
	"os"
	"sync/atomic"
	"syscall"
)

// Handle is one open of a file. It keeps the file alive after its last name is
// gone. The data are reached through [Handle.OpenObject].
type Handle struct {
	fs       *FS
	inode    *inode
	flags    int
	cred     Cred
	released atomic.Bool
}

// Open opens a file by its FID. It never waits, not even for a released file:
// Lustre restores at the first read or write. EISDIR for writing a directory.
func (fs *FS) Open(fid FID, flags int, cred Cred) (*Handle, error) {
	if err := fs.enter("open"); err != nil {
		return nil, err
	}
	defer fs.end()
	i, err := fs.find(fid)
	if err != nil {
		return nil, err
	}
	if i.dir != nil && writes(flags) {
		return nil, syscall.EISDIR
	}
	return fs.newHandle(i, flags, cred, nil, ""), nil
}

func writes(flags int) bool { return flags&syscall.O_ACCMODE != syscall.O_RDONLY }

// newHandle opens i; dir and name are given when it was made by the same call.
func (fs *FS) newHandle(i *inode, flags int, cred Cred, dir *inode, name string) *Handle {
	i.opens++
	if writes(flags) {
		if i.writer++; i.writer == 1 {
			fs.logInode(i) // so that a crash while it is open is noticed
		}
	}
	h := &Handle{fs: fs, inode: i, flags: flags, cred: cred}
	c := change{kind: changeOpen, flags: openFlags(flags), target: i, parent: dir, name: name, cred: cred}
	if dir != nil {
		c.flags |= openCreated
	}
	fs.change(c)
	return h
}

// openCreated marks the OPEN record of an open that made the file.
const openCreated = 0x8

// openFlags gives the open flags as the changelog shows them: the access mode as
// a bit mask, and whatever fits into the record's twelve bits.
func openFlags(flags int) uint16 {
	return uint16(flags&syscall.O_ACCMODE+1) | uint16(flags&(syscall.O_CREAT|syscall.O_EXCL|syscall.O_TRUNC|syscall.O_APPEND))
}

// FID of the open file.
func (h *Handle) FID() FID { return h.inode.fid() }

// Writable says whether the file was opened for writing.
func (h *Handle) Writable() bool { return writes(h.flags) }

// Layout is a number that changes whenever the file gets another data object or
// loses it: at release, restore, and layout swap. It takes no lock.
func (h *Handle) Layout() uint32 { return h.inode.layout.Load() }

// OpenObject opens the file's data object for reading and writing, making it if
// the file has none yet. It returns the layout generation it belongs to; when
// [Handle.Layout] gives another one, the descriptor is out of date. The caller
// closes it. [ErrReleased] when the data are in the archive only.
func (h *Handle) OpenObject() (*os.File, uint32, error) {
	h.fs.begin()
	defer h.fs.end()
	i := h.inode
	if err := h.fs.needObject(i); err != nil {
		return nil, 0, err
	}
	f, err := h.fs.objects.open(i.obj)
	return f, i.layout.Load(), err
}

// TakesData returns EBADF for a file that was made with O_LOV_DELAY_CREATE and has no
// layout yet, as Lustre does at a write.
func (h *Handle) TakesData() error {
	if h.flags&OpenDelayCreate == 0 {
		return nil
	}
	h.fs.begin()
	defer h.fs.end()
	if h.inode.is.noLayout {
		return syscall.EBADF
	}
	return nil
}

// Wrote tells that data were written through a descriptor of [Handle.OpenObject]
// by the caller itself. It makes the data version exact on kernels whose file
// times are too coarse to tell two writes apart. It takes no lock.
func (h *Handle) Wrote() { h.inode.wrote.Store(true) }

// Flush does what Lustre does at each close(2) of a descriptor: an archived file
// whose data changed becomes dirty.
func (h *Handle) Flush() {
	if !h.Writable() {
		return
	}
	h.fs.begin()
	defer h.fs.end()
	h.fs.sync(h.inode)
	h.fs.closeData(h.inode)
}

// closeData accounts for data changes that the MDT has not been told of.
func (fs *FS) closeData(i *inode) {
	if !i.is.modified {
		return
	}
	i.is.modified = false
	fs.logInode(i)
	fs.markDirty(i)
}

func (fs *FS) markDirty(i *inode) {
	if i.flags&Exists != 0 && i.flags&(Released|Dirty) == 0 {
		fs.setHSM(i, i.flags|Dirty, i.archive, fromClient)
	}
}

// Release ends the handle; further calls do nothing. A file without a name goes
// with its last handle.
func (h *Handle) Release() {
	if h.released.Swap(true) {
		return
	}
	fs, i := h.fs, h.inode
	fs.begin()
	defer fs.end()
	if h.Writable() {
		fs.sync(i)
		fs.closeData(i)
		if i.writer--; i.writer == 0 {
			fs.logInode(i)
		}
	}
	i.opens--
	if !i.is.volatile {
		fs.change(change{kind: changeClose, flags: openFlags(h.flags), target: i, cred: h.cred})
	}
	fs.dropIfUnused(i)
}

// OpenCount tells how many handles of a file are open.
func (fs *FS) OpenCount(fid FID) int {
	fs.begin()
	defer fs.end()
	i, err := fs.get(fid)
	if err != nil {
		return 0
	}
	return int(i.opens)
}
