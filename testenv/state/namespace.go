package state

import (
	"strconv"
	"strings"
	"syscall"
)

// volatileHeader starts the name of a file that is to have no name at all:
// liblustreapi makes one for the data of each restore.
const volatileHeader = ".\x0c\x13\x14\x12:VOLATILE"

// IsVolatileName says whether creating a file of this name makes a nameless one.
func IsVolatileName(name string) bool { return strings.HasPrefix(name, volatileHeader) }

// nameMax is the longest name, in bytes.
const nameMax = 255

// OpenDelayCreate is the part of O_LOV_DELAY_CREATE that reaches a FUSE daemon:
// the file gets no layout before its first write.
const OpenDelayCreate = 0o20000

// attach and detach change a directory and the link counts, and nothing else.
func (fs *FS) attach(dir *inode, name string, child *inode) {
	dir.dir.add(name, child)
	child.addLink(link{dir, name})
	if child.dir != nil {
		dir.nlink++
		return
	}
	child.nlink++
}

func (fs *FS) detach(dir *inode, name string) {
	child := dir.dir.get(name)
	if child == nil {
		return
	}
	dir.dir.remove(name)
	child.dropLink(link{dir, name})
	if child.dir != nil {
		dir.nlink--
		return
	}
	child.nlink--
}

// parentFor checks that name can be made or looked up in a directory.
func (fs *FS) parentFor(parent FID, name string) (*inode, error) {
	dir, err := fs.get(parent)
	switch {
	case err != nil:
		return nil, err
	case dir.dir == nil:
		return nil, syscall.ENOTDIR
	case len(name) > nameMax:
		return nil, syscall.ENAMETOOLONG
	case name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00"):
		return nil, syscall.EINVAL
	}
	return dir, nil
}

// newParentFor is parentFor for a name that must not exist yet.
func (fs *FS) newParentFor(parent FID, name string) (*inode, error) {
	if parent == DotLustreFID || parent == FIDDirFID {
		return nil, syscall.EPERM
	}
	dir, err := fs.parentFor(parent, name)
	switch {
	case err != nil:
		return nil, err
	case dir.dir.get(name) != nil, parent == RootFID && name == ".lustre":
		return nil, syscall.EEXIST
	case dir.nlink == 0:
		return nil, syscall.ENOENT // removed, and still somebody's current directory
	}
	return dir, nil
}

// Lookup finds a name in a directory: ".lustre" in the root, and FIDs with or
// without brackets in .lustre/fid, as well. ENOENT, ENOTDIR, ENAMETOOLONG.
func (fs *FS) Lookup(parent FID, name string) (Attr, error) {
	if err := fs.enter("lookup"); err != nil {
		return Attr{}, err
	}
	defer fs.end()
	i, err := fs.lookup(parent, name)
	if err != nil {
		return Attr{}, err
	}
	return fs.attr(i), nil
}

func (fs *FS) lookup(parent FID, name string) (*inode, error) {
	switch {
	case parent == RootFID && name == ".lustre":
		return fs.dotLustre, nil
	case parent == DotLustreFID && name == "fid":
		return fs.fidDir, nil
	case parent == DotLustreFID:
		return nil, syscall.ENOENT
	case parent == FIDDirFID:
		f, err := ParseFID(name)
		if err != nil {
			return nil, syscall.ENOENT
		}
		return fs.find(f)
	}
	dir, err := fs.parentFor(parent, name)
	if err != nil {
		return nil, err
	}
	if i := dir.dir.get(name); i != nil {
		return i, nil
	}
	return nil, syscall.ENOENT
}

// GetAttr gives the attributes of a file. ENOENT.
func (fs *FS) GetAttr(fid FID) (Attr, error) {
	fs.begin()
	defer fs.end()
	i, err := fs.find(fid)
	if err != nil {
		return Attr{}, err
	}
	return fs.attr(i), nil
}

// newInode makes an inode that has no name yet.
func (fs *FS) newInode(mode uint32, cred Cred) *inode {
	now := fs.now()
	i := &inode{
		ino: fs.allocFID().Ino(), mode: mode, uid: cred.UID, gid: cred.GID,
		atime: now, mtime: now, ctime: now,
	}
	if mode&syscall.S_IFMT == syscall.S_IFDIR {
		i.dir, i.nlink = newDirectory(), 2
	}
	fs.inodes[i.ino] = i
	return i
}

// addNew makes an inode with a name and its changelog record.
func (fs *FS) addNew(dir *inode, name string, mode uint32, cred Cred, kind changeType) *inode {
	if dir.mode&syscall.S_ISGID != 0 {
		cred.GID = dir.gid
		if mode&syscall.S_IFMT == syscall.S_IFDIR {
			mode |= syscall.S_ISGID
		}
	}
	i := fs.newInode(mode, cred)
	fs.attach(dir, name, i)
	fs.logInode(i)
	encodeName(&fs.tx, dir, name, i)
	fs.touchDir(dir)
	fs.change(change{kind: kind, target: i, parent: dir, name: name, cred: cred})
	return i
}

// touchDir notes that the names in a directory changed.
func (fs *FS) touchDir(dir *inode) {
	dir.mtime = fs.now()
	dir.ctime = dir.mtime
	fs.logInode(dir)
}

// Create makes a regular file and opens it. mode are the permission bits after
// the umask, flags those of open(2). With a volatile name (see
// [IsVolatileName]) the file has no name, and dies with its handle unless its
// data have gone to another file by then. EEXIST whether or not O_EXCL is set.
func (fs *FS) Create(parent FID, name string, mode uint32, cred Cred, flags int) (*Handle, Attr, error) {
	if err := fs.enter("create"); err != nil {
		return nil, Attr{}, err
	}
	defer fs.end()
	i, dir, err := fs.createFile(parent, name, mode, cred)
	if err != nil {
		return nil, Attr{}, err
	}
	i.is.noLayout = flags&OpenDelayCreate != 0
	if !i.is.noLayout {
		if err := fs.needObject(i); err != nil {
			fs.unlinkName(dir, name, i, cred)
			return nil, Attr{}, err
		}
	}
	h := fs.newHandle(i, flags, cred, dir, name)
	return h, fs.attr(i), nil
}

func (fs *FS) createFile(parent FID, name string, mode uint32, cred Cred) (i, dir *inode, err error) {
	mode = syscall.S_IFREG | mode&0o7777
	if IsVolatileName(name) {
		if dir, err = fs.get(parent); err != nil {
			return nil, nil, err
		}
		i = fs.newInode(mode, cred)
		i.is.volatile = true
		return i, dir, nil
	}
	if dir, err = fs.newParentFor(parent, name); err != nil {
		return nil, nil, err
	}
	return fs.addNew(dir, name, mode, cred, changeCreate), dir, nil
}

// Mkdir makes a directory; mode are the permission bits after the umask.
func (fs *FS) Mkdir(parent FID, name string, mode uint32, cred Cred) (Attr, error) {
	return fs.make("mkdir", parent, name, syscall.S_IFDIR|mode&0o7777, cred, changeMkdir, inodeExtra{})
}

// Mknod makes a file of the type in mode (S_IFMT) without opening it.
func (fs *FS) Mknod(parent FID, name string, mode, rdev uint32, cred Cred) (Attr, error) {
	kind := changeMknod
	if mode&syscall.S_IFMT == 0 || mode&syscall.S_IFMT == syscall.S_IFREG {
		mode, kind = mode|syscall.S_IFREG, changeCreate
	}
	return fs.make("mknod", parent, name, mode, cred, kind, inodeExtra{rdev: rdev})
}

// Symlink makes a symbolic link.
func (fs *FS) Symlink(parent FID, name, target string, cred Cred) (Attr, error) {
	return fs.make("symlink", parent, name, syscall.S_IFLNK|0o777, cred, changeSymlink, inodeExtra{target: target})
}

func (fs *FS) make(op string, parent FID, name string, mode uint32, cred Cred, kind changeType, x inodeExtra) (Attr, error) {
	if err := fs.enter(op); err != nil {
		return Attr{}, err
	}
	defer fs.end()
	dir, err := fs.newParentFor(parent, name)
	if err != nil {
		return Attr{}, err
	}
	i := fs.addNew(dir, name, mode, cred, kind)
	if x.target != "" || x.rdev != 0 {
		i.extra = &x
		i.size = uint64(len(x.target))
		fs.logInode(i)
	}
	return fs.attr(i), nil
}

// Readlink gives the target of a symbolic link. EINVAL for anything else.
func (fs *FS) Readlink(fid FID) (string, error) {
	fs.begin()
	defer fs.end()
	i, err := fs.get(fid)
	if err != nil {
		return "", err
	}
	if i.mode&syscall.S_IFMT != syscall.S_IFLNK {
		return "", syscall.EINVAL
	}
	return i.extra.target, nil
}

// BulkCreate makes n regular files prefix0, prefix1, ... from number first on,
// each of size bytes that read as zeros. Their data objects are made when they
// are first opened, so a million files cost memory and journal, no disk blocks.
func (fs *FS) BulkCreate(parent FID, prefix string, first, n int, size uint64, cred Cred) error {
	const batch = 1000 // names per mutation, so that others get the lock
	for n > 0 {
		k := min(n, batch)
		if err := fs.bulkCreate(parent, prefix, first, k, size, cred); err != nil {
			return err
		}
		first, n = first+k, n-k
	}
	return nil
}

func (fs *FS) bulkCreate(parent FID, prefix string, first, n int, size uint64, cred Cred) error {
	fs.begin()
	defer fs.end()
	for k := range n {
		name := prefix + strconv.Itoa(first+k)
		dir, err := fs.newParentFor(parent, name)
		if err != nil {
			return err
		}
		i := fs.addNew(dir, name, syscall.S_IFREG|0o644, cred, changeCreate)
		if size > 0 {
			i.size, i.dv = size, uint64(i.mtime)
			fs.logInode(i)
		}
	}
	return nil
}

// Dirent is one entry of a directory.
type Dirent struct {
	Name   string
	FID    FID
	Mode   uint32 // S_IFMT bits
	Cookie uint64 // where to go on after this entry
}

// ReadDir yields the entries after cookie (0: from the start, "." and ".."
// first) until yield returns false. Entries made or removed meanwhile do not
// disturb the others. yield must not call back into the file system.
func (fs *FS) ReadDir(fid FID, cookie uint64, yield func(Dirent) bool) error {
	fs.begin()
	defer fs.end()
	dir, err := fs.find(fid)
	switch {
	case err != nil:
		return err
	case dir.dir == nil:
		return syscall.ENOTDIR
	}
	up := dir
	if dir.parent != nil {
		up = dir.parent
	}
	if cookie < 1 && !yield(Dirent{".", fid, syscall.S_IFDIR, 1}) {
		return nil
	}
	if cookie < 2 && !yield(Dirent{"..", up.fid(), syscall.S_IFDIR, 2}) {
		return nil
	}
	dir.dir.from(max(firstEntry, cookie+1), func(e dirEntry) bool {
		return yield(Dirent{e.name, e.child.fid(), e.child.mode & syscall.S_IFMT, e.number})
	})
	return nil
}
