package fusefs

import (
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"lhsm-azblob/testenv/state"
)

// Lookup finds a name in a directory.
func (m *Mount) Lookup(_ <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	parent := fidOf(h.NodeId)
	if parent == state.DotLustreFID && name == changelogName {
		m.fillChangelog(out)
		return fuse.OK
	}
	a, err := m.state.Lookup(parent, name)
	if err != nil {
		return status(err)
	}
	m.fillEntry(&a, out)
	if parent == state.FIDDirFID {
		out.SetEntryTimeout(0) // the file may be gone, and no name of it was removed here
		if isDir(a.Mode) {
			out.NodeId |= fidAlias // such a node is never told of changes, nor does it need to be: no directory is cached
		}
	}
	return fuse.OK
}

// Forget has nothing to forget: see node.go.
func (m *Mount) Forget(uint64, uint64) {}

// newEntry answers a call that made a file.
func (m *Mount) newEntry(a state.Attr, err error, out *fuse.EntryOut) fuse.Status {
	if err != nil {
		return status(err)
	}
	m.fillEntry(&a, out)
	return fuse.OK
}

// inherit applies what a set-group-id directory does to a new file. The kernel
// leaves that to the server.
func (m *Mount) inherit(parent state.FID, mode *uint32, c *state.Cred) {
	a, err := m.state.GetAttr(parent)
	if err != nil || a.Mode&syscall.S_ISGID == 0 {
		return
	}
	c.GID = a.GID
	if isDir(*mode) {
		*mode |= syscall.S_ISGID
	}
}

// Mkdir makes a directory.
func (m *Mount) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	parent, c := fidOf(in.NodeId), cred(&in.InHeader)
	mode := in.Mode&^syscall.S_IFMT | syscall.S_IFDIR
	m.inherit(parent, &mode, &c)
	a, err := m.state.Mkdir(parent, name, mode&^syscall.S_IFMT, c)
	return m.newEntry(a, err, out)
}

// Mknod makes a fifo, socket, device or empty file.
func (m *Mount) Mknod(_ <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	parent, c, mode := fidOf(in.NodeId), cred(&in.InHeader), in.Mode
	m.inherit(parent, &mode, &c)
	a, err := m.state.Mknod(parent, name, mode, in.Rdev, c)
	return m.newEntry(a, err, out)
}

// Symlink makes a symbolic link.
func (m *Mount) Symlink(_ <-chan struct{}, h *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	parent, c, mode := fidOf(h.NodeId), cred(h), uint32(syscall.S_IFLNK)
	m.inherit(parent, &mode, &c)
	a, err := m.state.Symlink(parent, name, target, c)
	return m.newEntry(a, err, out)
}

// Readlink reads a symbolic link.
func (m *Mount) Readlink(_ <-chan struct{}, h *fuse.InHeader) ([]byte, fuse.Status) {
	target, err := m.state.Readlink(fidOf(h.NodeId))
	return []byte(target), status(err)
}

// Link makes a hard link.
func (m *Mount) Link(_ <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	a, err := m.state.Link(fidOf(in.Oldnodeid), fidOf(in.NodeId), name, cred(&in.InHeader))
	return m.newEntry(a, err, out)
}

// Unlink removes a name of a file that is no directory.
func (m *Mount) Unlink(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return status(m.state.Unlink(fidOf(h.NodeId), name, cred(h)))
}

// Rmdir removes an empty directory.
func (m *Mount) Rmdir(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return status(m.state.Rmdir(fidOf(h.NodeId), name, cred(h)))
}

// Rename moves a name, replacing the one that is there.
func (m *Mount) Rename(_ <-chan struct{}, in *fuse.RenameIn, from, to string) fuse.Status {
	return status(m.state.Rename(fidOf(in.NodeId), from, fidOf(in.Newdir), to, in.Flags, cred(&in.InHeader)))
}

// OpenDir has nothing to keep per open directory.
func (m *Mount) OpenDir(_ <-chan struct{}, _ *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	out.Fh = m.nextHandle.Add(1)
	return fuse.OK
}

// ReleaseDir ends the use of an open directory. A copytool that dies closes
// its mount root here, and the coordinator does not notice: it keeps the agent
// until a message cannot be delivered, as the MDT does.
func (m *Mount) ReleaseDir(*fuse.ReleaseIn) {}

// changelogCookie is where a listing of .lustre goes on after the state's own
// entries.
const changelogCookie = 1 << 62

// ReadDir lists a directory.
func (m *Mount) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	dir, full := fidOf(in.NodeId), false
	if in.Offset < changelogCookie {
		err := m.state.ReadDir(dir, in.Offset, func(e state.Dirent) bool {
			full = !out.AddDirEntry(fuse.DirEntry{Name: e.Name, Mode: e.Mode, Ino: e.FID.Ino(), Off: e.Cookie})
			return !full
		})
		if err != nil {
			return status(err)
		}
	}
	if dir == state.DotLustreFID && !full && in.Offset < changelogCookie {
		out.AddDirEntry(fuse.DirEntry{Name: changelogName, Mode: syscall.S_IFREG, Ino: changelogNode, Off: changelogCookie})
	}
	return fuse.OK
}

// Access is decided by the kernel.
func (m *Mount) Access(<-chan struct{}, *fuse.AccessIn) fuse.Status { return fuse.OK }
