package state

import (
	"syscall"
	"time"
)

// Flags of a file's HSM state (HS_*).
type Flags uint32

// HSM state bits, with Lustre's numbers.
const (
	Exists    Flags = 0x01 // a copy may exist in an archive
	Dirty     Flags = 0x02 // written since it was archived
	Released  Flags = 0x04 // the data are in the archive only
	Archived  Flags = 0x08 // a complete copy exists
	NoRelease Flags = 0x10 // never release
	NoArchive Flags = 0x20 // never archive
	Lost      Flags = 0x40 // the copy is lost
)

const (
	userFlags = Dirty | NoRelease | NoArchive // what an ordinary user may change
	allFlags  = 0x1ff                         // with the two of PCC, which are only stored
)

// HSMState is what llapi_hsm_state_get answers.
type HSMState struct {
	Flags     Flags
	ArchiveID uint32
}

// HSMSet is the argument of LL_IOC_HSM_STATE_SET (struct hsm_state_set).
// ArchiveID is nil when the call does not set one.
type HSMSet struct {
	Set, Clear uint64
	ArchiveID  *uint32
}

// HSMStateGet gives the HSM state of a file. ENOTTY for anything but a regular
// file, which has no such ioctl.
func (fs *FS) HSMStateGet(fid FID) (HSMState, error) {
	if err := fs.enter("state_get"); err != nil {
		return HSMState{}, err
	}
	defer fs.end()
	i, err := fs.getRegular(fid)
	if err != nil {
		return HSMState{}, err
	}
	return HSMState{i.flags, i.archive}, nil
}

func (fs *FS) getRegular(fid FID) (*inode, error) {
	i, err := fs.find(fid)
	if err != nil {
		return nil, err
	}
	if !i.regular() {
		return nil, syscall.ENOTTY
	}
	return i, nil
}

// HSMStateSet changes HSM flags and the archive id. The owner may change dirty,
// never_release and never_archive; EPERM for other bits without privilege and for
// anybody else's file without CAP_FOWNER, EINVAL for combinations that make no sense.
func (fs *FS) HSMStateSet(fid FID, cred Cred, s HSMSet) error {
	if err := fs.enter("state_set"); err != nil {
		return err
	}
	defer fs.end()
	i, err := fs.getRegular(fid)
	if err != nil {
		return err
	}
	change := s.Set | s.Clear
	switch {
	case change&^allFlags != 0:
		return syscall.EINVAL
	case !cred.Admin && change&^uint64(userFlags) != 0:
		return syscall.EPERM
	}
	flags := i.flags&^Flags(s.Clear) | Flags(s.Set)
	if !flags.sane() {
		return syscall.EINVAL
	}
	archive := i.archive
	if s.ArchiveID != nil {
		if flags&Exists == 0 {
			return nil // and nothing is saved, flags included: so does Lustre
		}
		if *s.ArchiveID != 0 {
			archive = *s.ArchiveID
		}
	}
	if !i.ownedBy(cred) {
		return syscall.EPERM // of mdd_xattr_sanity_check, last of all
	}
	fs.setHSM(i, flags, archive, fromClient)
	return nil
}

// sane rules out what the MDT refuses.
func (f Flags) sane() bool {
	switch {
	case f&Dirty != 0 && f&Exists == 0,
		f&Released != 0 && f&Dirty != 0,
		f&Released != 0 && f&Archived == 0,
		f&Lost != 0 && f&Archived == 0:
		return false
	}
	return true
}

// origin tells whether a client's call or the coordinator by itself changed
// something; the changelog shows a nid only for the former.
type origin bool

const (
	fromClient      origin = false
	fromCoordinator origin = true
)

// setHSM stores HSM attributes, with the STATE record a change of flags makes.
func (fs *FS) setHSM(i *inode, flags Flags, archive uint32, from origin) {
	if i.flags == flags && i.archive == archive && i.is.hsm {
		return
	}
	changed := i.flags != flags
	i.flags, i.archive, i.is.hsm = flags, archive, true
	fs.logInode(i)
	if changed {
		fs.changeHSM(i, eventState, 0, from)
	}
}

// DataVersion gives a number that changes with every change of the data: 0 for
// a released file and for one never written to (LL_IOC_DATA_VERSION).
func (fs *FS) DataVersion(fid FID) (uint64, error) {
	if err := fs.enter("data_version"); err != nil {
		return 0, err
	}
	defer fs.end()
	i, err := fs.getRegular(fid)
	if err != nil {
		return 0, err
	}
	return fs.dataVersion(i), nil
}

// SetDataVersion overwrites the data version that the HSM attributes say was
// archived (LL_IOC_HSM_DATA_VERSION). EPERM without privilege.
func (fs *FS) SetDataVersion(fid FID, cred Cred, version uint64) error {
	if err := fs.enter("set_data_version"); err != nil {
		return err
	}
	defer fs.end()
	i, err := fs.getRegular(fid)
	if err != nil {
		return err
	}
	if !cred.Admin {
		return syscall.EPERM
	}
	i.archDV, i.is.hsm = version, true
	fs.logInode(i)
	return nil
}

// Import is the argument of LL_IOC_HSM_IMPORT (struct hsm_user_import).
type Import struct {
	Size         uint64
	Atime, Mtime time.Time
	UID, GID     uint32
	Mode         uint32 // permission bits
	ArchiveID    uint32
}

// Import turns a file that was just made into one whose data are in an archive:
// released, exists, archived. EPERM without privilege.
func (fs *FS) Import(fid FID, cred Cred, in Import) error {
	if err := fs.enter("import"); err != nil {
		return err
	}
	defer fs.end()
	i, err := fs.getRegular(fid)
	if err != nil {
		return err
	}
	if !cred.Admin {
		return syscall.EPERM
	}
	fs.hollowOut(i)
	i.is.noLayout = false
	i.size = in.Size
	i.mode = syscall.S_IFREG | in.Mode&0o7777
	i.uid, i.gid = in.UID, in.GID
	i.atime, i.mtime = in.Atime.UnixNano(), in.Mtime.UnixNano()
	i.ctime = fs.now()
	fs.setHSM(i, Exists|Archived|Released, in.ArchiveID, fromClient)
	fs.logInode(i)
	return nil
}
