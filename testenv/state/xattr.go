package state

import (
	"maps"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// xattrMax is the largest value, the kernel's own limit.
const xattrMax = 65536

// Names with a meaning. The rest is stored as it comes.
const (
	xattrHSM       = "trusted.hsm"
	xattrLink      = "trusted.link"
	xattrLMA       = "trusted.lma"
	xattrLOV       = "trusted.lov"
	xattrLustreLOV = "lustre.lov"
	xattrFID       = "trusted.fid"
	xattrLustreFID = "lustre.fid"
	// The kernel asks for no permission to read those of "system.", as it asks
	// for none to make a file handle, from which a library reads a FID on Lustre.
	xattrHandleFID = "system.lustre.fid"
)

// ownXattrs can be listed; setting or removing them is ignored, as the MDT does,
// so that a copytool that restores "all xattrs" does no harm.
var ownXattrs = []string{xattrHSM, xattrLink, xattrLMA, xattrFID, xattrLustreFID, xattrHandleFID, "trusted.lmv", "trusted.som", "trusted.version", "trusted.lfsck_namespace"}

// GetXattr reads an xattr. ENODATA if there is none, also for trusted ones when
// the caller is not privileged.
func (fs *FS) GetXattr(fid FID, cred Cred, name string) ([]byte, error) {
	fs.begin()
	defer fs.end()
	i, err := fs.find(fid)
	if err != nil {
		return nil, err
	}
	if !cred.Admin && strings.HasPrefix(name, "trusted.") {
		return nil, syscall.ENODATA
	}
	fs.sync(i)
	if v, ok, err := i.ownXattr(name); ok || err != nil {
		return v, err
	}
	if i.extra != nil {
		if v, ok := i.extra.xattrs[name]; ok {
			return slices.Clone(v), nil
		}
	}
	return nil, syscall.ENODATA
}

// ownXattr renders the xattrs that Lustre makes itself.
func (i *inode) ownXattr(name string) (v []byte, ok bool, err error) {
	switch name {
	case xattrHSM:
		if !i.is.hsm {
			return nil, false, syscall.ENODATA
		}
		return i.hsmXattr(), true, nil
	case xattrFID, xattrLustreFID, xattrHandleFID:
		return i.fid().Bytes(), true, nil
	case xattrLMA:
		return i.fid().append(make([]byte, 8, 24)), true, nil
	case xattrLink:
		return i.linkXattr(), true, nil
	case xattrLOV, xattrLustreLOV:
		v, err := i.layoutXattr()
		return v, err == nil, err
	}
	return nil, false, nil
}

// hsmXattr is struct hsm_attrs: compat, flags, archive id, data version.
func (i *inode) hsmXattr() []byte {
	b := le.AppendUint32(make([]byte, 0, 24), 0)
	b = le.AppendUint32(b, uint32(i.flags))
	b = le.AppendUint64(b, uint64(i.archive))
	return le.AppendUint64(b, i.archDV)
}

// linkMagic starts a trusted.link (struct link_ea_header).
const linkMagic = 0x11EAF1DF

func (i *inode) linkXattr() []byte {
	var entries []byte
	links := i.links()
	for _, l := range links {
		size := 2 + 16 + len(l.name)
		entries = append(entries, byte(size>>8), byte(size))
		entries = l.parent.fid().appendBE(entries)
		entries = append(entries, l.name...)
	}
	b := le.AppendUint32(nil, linkMagic)
	b = le.AppendUint32(b, uint32(len(links)))
	b = le.AppendUint64(b, uint64(24+len(entries)))
	b = le.AppendUint64(b, 0) // overflow time, padding
	return append(b, entries...)
}

// ListXattr names the xattrs that the caller may see.
func (fs *FS) ListXattr(fid FID, cred Cred) ([]string, error) {
	fs.begin()
	defer fs.end()
	i, err := fs.find(fid)
	if err != nil {
		return nil, err
	}
	var names []string
	if i.is.hsm {
		names = append(names, xattrHSM)
	}
	names = append(names, xattrLink)
	if i.regular() && !i.is.noLayout {
		names = append(names, xattrLOV, xattrLustreLOV)
	}
	names = append(names, xattrLMA)
	if i.extra != nil {
		names = append(names, slices.Sorted(maps.Keys(i.extra.xattrs))...)
	}
	if !cred.Admin {
		names = slices.DeleteFunc(names, func(n string) bool { return strings.HasPrefix(n, "trusted.") })
	}
	return names, nil
}

// SetXattr sets an xattr; flags are those of setxattr(2). lustre.lov and
// trusted.lov set the layout of a file that was created without one. Neither
// changes the HSM state nor the data version of the file.
func (fs *FS) SetXattr(fid FID, cred Cred, name string, value []byte, flags int) error {
	if err := fs.enter("setxattr"); err != nil {
		return err
	}
	defer fs.end()
	i, err := fs.get(fid)
	if err != nil {
		return err
	}
	if err := checkXattr(cred, name, value); err != nil {
		return err
	}
	switch {
	case slices.Contains(ownXattrs, name):
		return nil
	case !i.lets(cred, name):
		return syscall.EPERM
	case name == xattrLOV || name == xattrLustreLOV:
		err = fs.setLayout(i, value)
	default:
		err = i.setXattr(name, value, flags)
	}
	if err != nil {
		return err
	}
	fs.xattrChanged(i, cred, name)
	return nil
}

func checkXattr(cred Cred, name string, value []byte) error {
	switch {
	case !cred.Admin && strings.HasPrefix(name, "trusted."):
		return syscall.EPERM
	case len(name) > nameMax:
		return syscall.ERANGE
	case len(value) > xattrMax:
		return syscall.E2BIG
	}
	return nil
}

// lets tells whether the MDT lets a caller change an xattr, whom the kernel let. What
// is no "user." attribute is the owner's, however privileged somebody else is otherwise
// (mdd_xattr_sanity_check).
func (i *inode) lets(cred Cred, name string) bool {
	return strings.HasPrefix(name, "user.") || i.ownedBy(cred)
}

func (i *inode) ownedBy(cred Cred) bool { return cred.Owner || cred.UID == i.uid }

func (i *inode) setXattr(name string, value []byte, flags int) error {
	x := i.more()
	_, have := x.xattrs[name]
	switch {
	case have && flags&unix.XATTR_CREATE != 0:
		return syscall.EEXIST
	case !have && flags&unix.XATTR_REPLACE != 0:
		return syscall.ENODATA
	}
	if x.xattrs == nil {
		x.xattrs = make(map[string][]byte)
	}
	x.xattrs[name] = slices.Clone(value)
	return nil
}

// RemoveXattr removes an xattr. ENODATA if there is none.
func (fs *FS) RemoveXattr(fid FID, cred Cred, name string) error {
	if err := fs.enter("removexattr"); err != nil {
		return err
	}
	defer fs.end()
	i, err := fs.get(fid)
	if err != nil {
		return err
	}
	if !cred.Admin && strings.HasPrefix(name, "trusted.") {
		return syscall.EPERM
	}
	if slices.Contains(ownXattrs, name) || name == xattrLOV || name == xattrLustreLOV {
		return nil
	}
	if !i.lets(cred, name) {
		return syscall.EPERM
	}
	if i.extra == nil {
		return syscall.ENODATA
	}
	if _, ok := i.extra.xattrs[name]; !ok {
		return syscall.ENODATA
	}
	delete(i.extra.xattrs, name)
	fs.xattrChanged(i, cred, name)
	return nil
}

func (fs *FS) xattrChanged(i *inode, cred Cred, name string) {
	fs.sync(i)
	i.ctime = fs.now()
	fs.logInode(i)
	fs.change(change{kind: changeXattr, target: i, cred: cred, xattr: name})
}
