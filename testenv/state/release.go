package state

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Release drops the data of an archived file from the file system (lfs
// hsm_release). It needs write permission and a copy that is complete and of
// this very data version: EPERM, EACCES. A released file stays as it is.
// Handles that others hold stay open; their next read or write restores.
func (fs *FS) Release(fid FID, cred Cred) error {
	if err := fs.enter("release"); err != nil {
		return err
	}
	defer fs.end()
	i, err := fs.get(fid)
	switch {
	case err != nil:
		return err
	case !i.regular():
		return syscall.EINVAL
	// The order is the MDT's: a user who may not write a dirty file is told
	// about the dirt.
	case i.flags&Archived == 0 || i.flags&(Dirty|NoRelease|Lost) != 0:
		return syscall.EPERM
	case !i.permits(cred, unix.W_OK):
		return syscall.EACCES
	case i.is.hollow:
		return nil
	}
	return fs.release(i, cred)
}

func (fs *FS) release(i *inode, cred Cred) error {
	fs.sync(i)
	if i.dv != i.archDV {
		// Written, and not closed yet: the state still said "archived".
		i.is.modified = false
		fs.markDirty(i)
		fs.logInode(i)
		return syscall.EPERM
	}
	fs.hollowOut(i)
	i.flags |= Released
	fs.logInode(i)
	// The records that a client's release makes. There is no HSM record.
	volatile := &inode{ino: fs.allocFID().Ino()}
	write := openFlags(syscall.O_WRONLY)
	fs.change(change{kind: changeOpen, flags: write, target: i, cred: cred})
	fs.change(change{kind: changeTruncate, flags: setSize | setMtime | setCtime | setAtime, target: i, cred: cred})
	fs.change(change{kind: changeOpen, flags: openCreated, target: volatile, cred: cred})
	fs.change(change{kind: changeLayout, target: i, cred: cred})
	fs.change(change{kind: changeClose, flags: write, target: i, cred: cred})
	return nil
}

// hollowOut takes the data away and leaves size and times.
func (fs *FS) hollowOut(i *inode) {
	fs.sync(i)
	if i.obj != 0 {
		fs.discard(i.obj)
	}
	i.relayout(0)
	i.is.hollow = true
	i.dv, i.objCtime, i.blocks = 0, 0, 1
}

// swapIn gives file i the data of volatile file v, and v nothing: the last step
// of a restore. Owner, mode, times and xattrs of i stay. EOPNOTSUPP for a layout that
// puts data on the metadata target where i has none, or not as many.
func (fs *FS) swapIn(i, v *inode) error {
	if !v.regular() || v == i {
		return syscall.EINVAL
	}
	if size := v.sizeOnMDT(); size > 0 && size != i.sizeOnMDT() {
		return syscall.EOPNOTSUPP
	}
	if v.obj == 0 {
		if err := fs.needObject(v); err != nil {
			return err
		}
	}
	fs.sync(v)
	i.relayout(v.obj)
	v.relayout(0)
	i.is.hollow = false
	i.size, i.blocks, i.objCtime, i.dv = v.size, v.blocks, v.objCtime, v.dv
	v.dv, v.objCtime, v.size, v.blocks = 0, 0, 0, 0
	if i.extra != nil {
		i.extra.lov = nil // the layout is the volatile file's now
	}
	if v.extra != nil && len(v.extra.lov) > 0 {
		i.more().lov = v.extra.lov
	}
	i.archDV = i.dv
	return nil
}

// SwapLayouts exchanges the data of two files (LL_IOC_LOV_SWAP_LAYOUTS). Both
// become dirty where they are archived. EINVAL for anything but regular files
// that have their data, EPERM without write permission.
func (fs *FS) SwapLayouts(a, b FID, cred Cred) error {
	if err := fs.enter("swap_layouts"); err != nil {
		return err
	}
	defer fs.end()
	i, err := fs.getRegular(a)
	if err != nil {
		return err
	}
	j, err := fs.getRegular(b)
	switch {
	case err != nil:
		return err
	case i == j || i.is.hollow || j.is.hollow:
		return syscall.EINVAL
	case !i.permits(cred, unix.W_OK) || !j.permits(cred, unix.W_OK):
		return syscall.EPERM
	}
	fs.sync(i)
	fs.sync(j)
	iObj, jObj := i.obj, j.obj
	i.relayout(jObj)
	j.relayout(iObj)
	i.size, j.size = j.size, i.size
	i.blocks, j.blocks = j.blocks, i.blocks
	i.objCtime, j.objCtime = j.objCtime, i.objCtime
	i.dv, j.dv = j.dv, i.dv
	for _, x := range []*inode{i, j} {
		fs.logInode(x)
		fs.change(change{kind: changeLayout, target: x, cred: cred})
		fs.markDirty(x)
	}
	return nil
}
