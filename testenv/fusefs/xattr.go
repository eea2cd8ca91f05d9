package fusefs

import (
	"strings"

	"github.com/hanwen/go-fuse/v2/fuse"

	"lhsm-azblob/testenv/admin"
)

// GetXAttr reads an extended attribute.
func (m *Mount) GetXAttr(_ <-chan struct{}, h *fuse.InHeader, name string, dest []byte) (uint32, fuse.Status) {
	if h.NodeId == rootNode {
		switch name {
		case admin.SocketAttr:
			return fit(dest, []byte(m.fs.opt.Socket))
		case admin.UUIDAttr:
			return fit(dest, []byte(m.uuid))
		}
	}
	if h.NodeId == changelogNode {
		return 0, fuse.ENOATTR
	}
	fid := fidOf(h.NodeId)
	hsm, hsmErr := m.cachedHSM(fid)
	v, err := m.state.GetXattr(fid, cred(h), name)
	if name == hsmAttr && cred(h).Admin {
		v, err = hsm, hsmErr
	}
	if err != nil {
		return 0, status(err)
	}
	return fit(dest, v)
}

// ListXAttr lists the names of the extended attributes.
func (m *Mount) ListXAttr(_ <-chan struct{}, h *fuse.InHeader, dest []byte) (uint32, fuse.Status) {
	if h.NodeId == changelogNode {
		return 0, fuse.OK
	}
	_, _ = m.cachedHSM(fidOf(h.NodeId)) // to list is to read all
	names, err := m.state.ListXattr(fidOf(h.NodeId), cred(h))
	if err != nil {
		return 0, status(err)
	}
	if len(names) == 0 {
		return 0, fuse.OK
	}
	return fit(dest, []byte(strings.Join(names, "\x00")+"\x00"))
}

// fit copies v, or says how long it is. An empty dest is a question for that.
func fit(dest, v []byte) (uint32, fuse.Status) {
	if len(v) > len(dest) {
		return uint32(len(v)), fuse.ERANGE
	}
	return uint32(copy(dest, v)), fuse.OK
}

// SetXAttr writes an extended attribute.
func (m *Mount) SetXAttr(_ <-chan struct{}, in *fuse.SetXAttrIn, name string, data []byte) fuse.Status {
	if in.NodeId == changelogNode {
		return fuse.EPERM
	}
	// data is go-fuse's and used again for the next request.
	v := append([]byte(nil), data...)
	defer m.fs.takeBack(fidOf(in.NodeId))
	return status(m.state.SetXattr(fidOf(in.NodeId), attrCred(&in.InHeader), name, v, int(in.Flags)))
}

// RemoveXAttr removes an extended attribute.
func (m *Mount) RemoveXAttr(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	if h.NodeId == changelogNode {
		return fuse.EPERM
	}
	defer m.fs.takeBack(fidOf(h.NodeId))
	return status(m.state.RemoveXattr(fidOf(h.NodeId), attrCred(h), name))
}
