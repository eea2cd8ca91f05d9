package state

import (
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Attr is what stat(2) shows of a file, and its HSM state.
type Attr struct {
	FID                 FID
	Mode                uint32 // S_IFMT and permission bits
	UID, GID            uint32
	Nlink               uint32
	Rdev                uint32
	Size                uint64
	Blocks              uint64 // of 512 bytes; 1 for a released file
	Atime, Mtime, Ctime time.Time
	HSM                 HSMState
}

// SetAttr is a change of attributes; nil fields stay as they are.
type SetAttr struct {
	Mode         *uint32 // permission bits
	UID, GID     *uint32
	Size         *uint64
	Atime, Mtime *time.Time
	Ctime        *time.Time // only LL_IOC_FUTIMES_3 sets it
}

// The bits of la_valid that the changelog shows for attribute changes.
const (
	setAtime = 0x01
	setMtime = 0x02
	setCtime = 0x04
	setSize  = 0x08
	setMode  = 0x10
	setUID   = 0x20
	setGID   = 0x40
)

// SetAttr changes attributes. A new size truncates the data object and makes an
// archived file dirty at once; on a released file it is [ErrReleased].
func (fs *FS) SetAttr(fid FID, cred Cred, s SetAttr) (Attr, error) {
	if err := fs.enter("setattr"); err != nil {
		return Attr{}, err
	}
	defer fs.end()
	i, err := fs.get(fid)
	if err != nil {
		return Attr{}, err
	}
	if s.Size != nil {
		if err := fs.truncate(i, *s.Size, cred); err != nil {
			return Attr{}, err
		}
	}
	fs.sync(i) // the times of earlier writes must not overwrite those set now
	i.ctime = fs.now()
	valid := i.set(s)
	fs.logInode(i)
	if valid != 0 && s.Size == nil {
		fs.change(change{kind: attrChange(valid), flags: valid | setCtime, target: i, cred: cred})
	}
	return fs.attr(i), nil
}

// set copies everything but the size.
func (i *inode) set(s SetAttr) (valid uint16) {
	if s.Mode != nil {
		i.mode = i.mode&syscall.S_IFMT | *s.Mode&0o7777
		valid |= setMode
	}
	if s.UID != nil {
		i.uid = *s.UID
		valid |= setUID
	}
	if s.GID != nil {
		i.gid = *s.GID
		valid |= setGID
	}
	if s.Atime != nil {
		i.atime = s.Atime.UnixNano()
		valid |= setAtime
	}
	if s.Mtime != nil {
		i.mtime = s.Mtime.UnixNano()
		valid |= setMtime
	}
	if s.Ctime != nil {
		i.ctime = s.Ctime.UnixNano()
	}
	return valid
}

// attrChange picks the type of the record: a change of mode or owner hides a
// change of times.
func attrChange(valid uint16) changeType {
	switch {
	case valid&(setMode|setUID|setGID) != 0:
		return changeSetattr
	case valid&setMtime != 0:
		return changeMtime
	}
	return changeAtime
}

func (fs *FS) truncate(i *inode, size uint64, cred Cred) error {
	if i.dir != nil {
		return syscall.EISDIR
	}
	if err := fs.needObject(i); err != nil {
		return err
	}
	if err := fs.objects.truncate(i.obj, size); err != nil {
		return err
	}
	i.is.unsynced = true // look at the object even though no handle writes
	hadNone := i.is.noLayout
	fs.sync(i)
	i.is.noLayout = hadNone // a size is kept without one
	i.is.modified = true    // Lustre does not compare sizes
	fs.change(change{kind: changeTruncate, flags: setSize | setMtime | setCtime, target: i, cred: cred})
	fs.closeData(i)
	return nil
}

// Access tests permission bits as access(2) does; mask is R_OK, W_OK, X_OK or a
// sum of them. EACCES.
func (fs *FS) Access(fid FID, cred Cred, mask uint32) error {
	fs.begin()
	defer fs.end()
	i, err := fs.find(fid)
	if err != nil {
		return err
	}
	if !i.permits(cred, mask) {
		return syscall.EACCES
	}
	return nil
}

func (i *inode) permits(cred Cred, mask uint32) bool {
	if cred.Admin {
		return mask&unix.X_OK == 0 || i.dir != nil || i.mode&0o111 != 0
	}
	perm := i.mode
	switch {
	case cred.UID == i.uid:
		perm >>= 6
	case cred.inGroup(i.gid):
		perm >>= 3
	}
	return perm&mask == mask
}

func (c Cred) inGroup(gid uint32) bool { return c.GID == gid || slices.Contains(c.Groups, gid) }
