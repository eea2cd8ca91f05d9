package state

import (
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Link gives a file another name. EPERM for directories.
func (fs *FS) Link(fid, parent FID, name string, cred Cred) (Attr, error) {
	if err := fs.enter("link"); err != nil {
		return Attr{}, err
	}
	defer fs.end()
	i, err := fs.get(fid)
	if err != nil {
		return Attr{}, err
	}
	if i.dir != nil {
		return Attr{}, syscall.EPERM
	}
	if i.nlink == 0 {
		return Attr{}, syscall.ENOENT
	}
	dir, err := fs.newParentFor(parent, name)
	if err != nil {
		return Attr{}, err
	}
	fs.attach(dir, name, i)
	i.ctime = fs.now()
	fs.logInode(i)
	encodeName(&fs.tx, dir, name, i)
	fs.touchDir(dir)
	fs.change(change{kind: changeHardlink, target: i, parent: dir, name: name, cred: cred})
	return fs.attr(i), nil
}

// Unlink removes a name that is not a directory's. Volatile names never exist,
// and removing one succeeds, as in Lustre.
func (fs *FS) Unlink(parent FID, name string, cred Cred) error {
	if IsVolatileName(name) {
		return nil
	}
	if err := fs.enter("unlink"); err != nil {
		return err
	}
	defer fs.end()
	dir, err := fs.parentFor(parent, name)
	if err != nil {
		return err
	}
	i := dir.dir.get(name)
	switch {
	case i == nil:
		return syscall.ENOENT
	case i.dir != nil:
		return syscall.EISDIR
	}
	fs.unlinkName(dir, name, i, cred)
	return nil
}

// Flags of UNLNK and, with other names, RENME records.
const (
	unlinkLast   = 1 // that was the last name
	unlinkExists = 2 // an archive may still hold a copy
)

func (fs *FS) unlinkName(dir *inode, name string, i *inode, cred Cred) {
	flags := fs.removeName(dir, name, i)
	fs.touchDir(dir)
	fs.change(change{kind: changeUnlink, flags: flags, target: i, parent: dir, name: name, cred: cred})
	fs.dropIfUnused(i)
}

// removeName takes a name away and says what the changelog should.
func (fs *FS) removeName(dir *inode, name string, i *inode) (flags uint16) {
	fs.sync(i)
	fs.detach(dir, name)
	fs.logNoName(dir, name)
	i.ctime = fs.now()
	if i.nlink > 0 && i.dir == nil {
		fs.logInode(i)
		return 0
	}
	fs.logNoInode(i)
	flags = unlinkLast
	if i.flags&Exists != 0 {
		flags |= unlinkExists
		fs.cdt.lastUnlink(i)
	}
	return flags
}

// dropIfUnused frees a file that has neither name nor open handle.
func (fs *FS) dropIfUnused(i *inode) {
	if i.nlink > 0 || i.opens > 0 {
		return
	}
	if i.obj != 0 {
		fs.discard(i.obj)
	}
	delete(fs.inodes, i.ino)
}

// Rmdir removes an empty directory. ENOTEMPTY, ENOTDIR.
func (fs *FS) Rmdir(parent FID, name string, cred Cred) error {
	if err := fs.enter("rmdir"); err != nil {
		return err
	}
	defer fs.end()
	dir, err := fs.parentFor(parent, name)
	if err != nil {
		return err
	}
	i := dir.dir.get(name)
	switch {
	case i == nil:
		return syscall.ENOENT
	case i.dir == nil:
		return syscall.ENOTDIR
	case i.dir.len() > 0:
		return syscall.ENOTEMPTY
	}
	fs.removeDir(dir, name, i)
	fs.touchDir(dir)
	fs.change(change{kind: changeRmdir, flags: unlinkLast, target: i, parent: dir, name: name, cred: cred})
	return nil
}

func (fs *FS) removeDir(dir *inode, name string, i *inode) {
	fs.detach(dir, name)
	fs.logNoName(dir, name)
	fs.logNoInode(i)
	i.nlink = 0
	fs.dropIfUnused(i)
}

// Rename moves a name, over another file if there is one. Of the flags of
// renameat2 only RENAME_NOREPLACE is known; EINVAL for others.
func (fs *FS) Rename(oldParent FID, oldName string, newParent FID, newName string, flags uint32, cred Cred) error {
	if flags&^unix.RENAME_NOREPLACE != 0 {
		return syscall.EINVAL
	}
	if err := fs.enter("rename"); err != nil {
		return err
	}
	defer fs.end()
	from, err := fs.parentFor(oldParent, oldName)
	if err != nil {
		return err
	}
	to, err := fs.parentFor(newParent, newName)
	if err != nil {
		return err
	}
	i := from.dir.get(oldName)
	victim := to.dir.get(newName)
	if err := checkRename(i, to, victim); err != nil {
		return err
	}
	switch {
	case victim != nil && flags&unix.RENAME_NOREPLACE != 0:
		return syscall.EEXIST
	case victim == i:
		return nil // two names of one file: POSIX says nothing happens
	}
	fs.rename(i, victim, link{from, oldName}, link{to, newName}, cred)
	return nil
}

func checkRename(i, to, victim *inode) error {
	if i == nil {
		return syscall.ENOENT
	}
	if to.nlink == 0 {
		return syscall.ENOENT
	}
	for up := to; i.dir != nil && up != nil; up = up.parent {
		if up == i {
			return syscall.EINVAL // into itself
		}
	}
	switch {
	case victim == nil:
		return nil
	case i.dir != nil && victim.dir == nil:
		return syscall.ENOTDIR
	case i.dir == nil && victim.dir != nil:
		return syscall.EISDIR
	case victim.dir != nil && victim.dir.len() > 0:
		return syscall.ENOTEMPTY
	}
	return nil
}

func (fs *FS) rename(i, victim *inode, from, to link, cred Cred) {
	c := change{kind: changeRename, parent: to.parent, name: to.name, source: i, sourceParent: from.parent, sourceName: from.name, cred: cred}
	if victim != nil {
		c.target, c.flags = victim, unlinkLast
		if victim.dir != nil {
			fs.removeDir(to.parent, to.name, victim)
		} else {
			c.flags = fs.removeName(to.parent, to.name, victim)
			fs.dropIfUnused(victim)
		}
	}
	fs.detach(from.parent, from.name)
	fs.attach(to.parent, to.name, i)
	fs.logNoName(from.parent, from.name)
	encodeName(&fs.tx, to.parent, to.name, i)
	i.ctime = fs.now()
	fs.logInode(i)
	fs.touchDir(from.parent)
	fs.touchDir(to.parent)
	fs.change(c)
}

// Path gives a path of a file relative to the root, without a leading slash ("/"
// for the root itself), through its linkno-th name, and the linkno to ask for
// next, which does not advance when there is no further name. Beyond the last
// name the first one is given. So does OBD_IOC_FID2PATH. ENOENT: no such file,
// or no name left.
func (fs *FS) Path(fid FID, linkno int) (path string, next int, err error) {
	fs.begin()
	defer fs.end()
	i, err := fs.get(fid)
	if err != nil {
		return "", linkno, err
	}
	if fid == RootFID {
		return "/", linkno, nil
	}
	links := i.links()
	if len(links) == 0 {
		return "", linkno, syscall.ENOENT
	}
	next = linkno
	if linkno < 0 || linkno >= len(links) {
		linkno = 0
	} else if linkno < len(links)-1 {
		next++
	}
	return pathOf(links[linkno]), next, nil
}

func pathOf(l link) string {
	names := []string{l.name}
	for dir := l.parent; dir.parent != nil; dir = dir.parent {
		names = append(names, dir.name)
	}
	slices.Reverse(names)
	return strings.Join(names, "/")
}

// Parent gives the directory and the name of the linkno-th name of a file
// (LL_IOC_GETPARENT). ENODATA after the last one.
func (fs *FS) Parent(fid FID, linkno int) (parent FID, name string, err error) {
	fs.begin()
	defer fs.end()
	i, err := fs.get(fid)
	if err != nil {
		return FID{}, "", err
	}
	links := i.links()
	if linkno < 0 || linkno >= len(links) {
		return FID{}, "", syscall.ENODATA
	}
	return links[linkno].parent.fid(), links[linkno].name, nil
}
