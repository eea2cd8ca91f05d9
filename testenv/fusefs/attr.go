package fusefs

import (
	"context"
	"errors"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv/state"
)

// GetAttr answers stat.
func (m *Mount) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	if in.NodeId == changelogNode {
		fillChangelogAttr(&out.Attr)
		return fuse.OK
	}
	a, err := m.state.GetAttr(fidOf(in.NodeId))
	return m.attrOut(a, err, out)
}

func (m *Mount) attrOut(a state.Attr, err error, out *fuse.AttrOut) fuse.Status {
	if err != nil {
		return status(err)
	}
	out.SetTimeout(m.cacheFor())
	fillAttr(&a, &out.Attr)
	return fuse.OK
}

// SetAttr changes attributes. A new size of a released file waits for its
// data, even if that size is 0, as it does on Lustre.
func (m *Mount) SetAttr(cancel <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	if in.NodeId == changelogNode {
		fillChangelogAttr(&out.Attr) // a shell's `>` truncates first
		return fuse.OK
	}
	fid, c, s := fidOf(in.NodeId), cred(&in.InHeader), wanted(in)
	for {
		a, err := m.state.SetAttr(fid, c, s)
		if !errors.Is(err, state.ErrReleased) {
			return m.attrOut(a, err, out)
		}
		if err := m.waitRestored(cancel, in.Pid, fid); err != nil {
			return status(err)
		}
	}
}

func wanted(in *fuse.SetAttrIn) state.SetAttr {
	var s state.SetAttr
	if mode, ok := in.GetMode(); ok {
		mode &= 0o7777
		s.Mode = &mode
	}
	if uid, ok := in.GetUID(); ok {
		s.UID = &uid
	}
	if gid, ok := in.GetGID(); ok {
		s.GID = &gid
	}
	if size, ok := in.GetSize(); ok {
		s.Size = &size
	}
	if t, ok := in.GetATime(); ok {
		s.Atime = &t
	}
	if t, ok := in.GetMTime(); ok {
		s.Mtime = &t
	}
	return s
}

// StatFs shows the space of the backing file system.
func (m *Mount) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	var st unix.Statfs_t
	if err := unix.Statfs(m.fs.opt.Back, &st); err != nil {
		return fuse.ToStatus(err)
	}
	*out = fuse.StatfsOut{
		Blocks: st.Blocks, Bfree: st.Bfree, Bavail: st.Bavail, Files: st.Files, Ffree: st.Ffree,
		Bsize: uint32(st.Bsize), Frsize: uint32(st.Frsize), NameLen: 255,
	}
	return fuse.OK
}

// waitRestored waits until the data of a released file are back. See
// callerContext for what ends it earlier.
func (m *Mount) waitRestored(cancel <-chan struct{}, tid uint32, fid state.FID) error {
	ctx, stop := m.callerContext(cancel, tid)
	defer stop()
	return m.state.WaitRestored(ctx, fid)
}

// callerContext is a context that lives as long as the caller can still take
// an answer.
func (m *Mount) callerContext(cancel <-chan struct{}, tid uint32) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(m.fs.ctx)
	go watchSignals(ctx, stop, cancel, tid) // ended by stop
	return ctx, stop
}
