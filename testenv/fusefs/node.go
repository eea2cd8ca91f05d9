package fusefs

import (
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"lhsm-azblob/testenv/lioc"
	"lhsm-azblob/testenv/state"
)

// Node ids that the kernel knows files by. A file's is its inode number, which
// is made of its FID and never used twice, so there is nothing to forget. The
// bits above that number tell apart several nodes of one file.
const (
	rootNode      = fuse.FUSE_ROOT_ID
	changelogNode = 2 // .lustre/changelog
	// A directory found by .lustre/fid/FID has a second node id. With the
	// same one the kernel would move the directory's entry to there.
	fidAlias = 1 << 63
	// See Mount.node.
	epochShift = 58
	epochs     = 1 << 5
	inoMask    = 1<<epochShift - 1
)

func nodeOf(fid state.FID) uint64 {
	if fid == state.RootFID {
		return rootNode
	}
	return fid.Ino()
}

func fidOf(node uint64) state.FID {
	if node &= inoMask; node != rootNode {
		return state.FIDFromIno(node)
	}
	return state.RootFID
}

// node is the file's node id on this mount now.
//
// As long as one passthrough handle of a node is open, the kernel takes no
// other kind for it, and no other object. When the file has been released or
// restored meanwhile that will not do: the file then gets a new node, of the
// next epoch, and the old one lives on with its handles. stat shows the same
// inode number for both.
func (m *Mount) node(fid state.FID) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return nodeOf(fid) | uint64(m.epoch[fid])<<epochShift
}

// status turns an error of the state into FUSE's.
func status(err error) fuse.Status {
	if err == nil {
		return fuse.OK
	}
	return fuse.Status(state.Errno(err))
}

// cred is the caller as far as file operations need it: who may do what has
// been decided by the kernel (default_permissions).
func cred(h *fuse.InHeader) state.Cred {
	return state.Cred{UID: h.Uid, GID: h.Gid, Admin: h.Uid == 0}
}

// fullCred looks at the calling thread as well, for groups and capabilities.
// The kernel does not send them.
func fullCred(h *fuse.InHeader) state.Cred {
	c := state.Cred{UID: h.Uid, GID: h.Gid}
	s, err := lioc.ReadStatus(int(h.Pid))
	if err != nil {
		return c // gone, or out of sight: nothing is known in its favour
	}
	c.Groups = s.Groups
	c.Admin, c.Owner = s.HasCap(capSysAdmin), s.HasCap(capFowner)
	return c
}

// attrCred is the caller who changes an attribute: for some the server asks whether
// it is the owner, or passes for one.
func attrCred(h *fuse.InHeader) state.Cred {
	c := cred(h)
	c.Owner = lioc.ThreadHasCap(int(h.Pid), capFowner)
	return c
}

// adminCred knows no groups, which those do not need who ask only for an
// administrator. It costs a tenth of fullCred: copytools come with every action.
func adminCred(h *fuse.InHeader) state.Cred {
	return state.Cred{UID: h.Uid, GID: h.Gid, Admin: lioc.ThreadHasCap(int(h.Pid), capSysAdmin)}
}

const (
	capFowner   = 3
	capSysAdmin = 21
)

func isDir(mode uint32) bool { return mode&syscall.S_IFMT == syscall.S_IFDIR }

// cacheTime is how long a kernel may believe what it was told when nobody else
// can change it.
const cacheTime = time.Second

// cacheFor is for names and attributes. What the coordinator changes behind the
// kernel's back, [FS.changed] tells it.
func (m *Mount) cacheFor() time.Duration {
	if m.fs.opt.Shared {
		return 0
	}
	return cacheTime
}

// blockSize is what stat tells as the best size of a write.
const blockSize = 4 << 20

func fillAttr(a *state.Attr, out *fuse.Attr) {
	*out = fuse.Attr{
		Ino: a.FID.Ino(), Size: a.Size, Blocks: a.Blocks, Mode: a.Mode, Nlink: a.Nlink,
		Owner: fuse.Owner{Uid: a.UID, Gid: a.GID}, Rdev: a.Rdev, Blksize: blockSize,
	}
	out.SetTimes(&a.Atime, &a.Mtime, &a.Ctime)
}

func (m *Mount) fillEntry(a *state.Attr, out *fuse.EntryOut) {
	out.NodeId = m.node(a.FID)
	out.Generation = 1
	out.SetEntryTimeout(m.cacheFor())
	out.SetAttrTimeout(m.cacheFor())
	fillAttr(a, &out.Attr)
}
