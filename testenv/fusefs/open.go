package fusefs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv/state"
)

// A file is one open file of one mount.
type file struct {
	handle   *state.Handle
	fid      state.FID
	node     uint64
	isAppend bool
	pass     *backing // nil: direct

	flushed atomic.Bool   // a descriptor of it was closed
	gone    chan struct{} // of a passthrough writer: closed when the kernel has let go of it

	mu  sync.RWMutex // guards obj and gen; read-held during I/O on obj
	obj *os.File     // of a direct file; nil before the first I/O
	gen uint32       // layout that obj belongs to
}

// A backing is the object that the kernel reads and writes for all passthrough
// handles of one node; it takes no second one.
type backing struct {
	id   int32
	obj  *os.File
	gen  uint32
	refs int // guarded by Mount.mu
}

// Open opens a file and never waits, not for released data either.
func (m *Mount) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	if in.NodeId == changelogNode {
		return m.openChangelog(in, out)
	}
	h, err := m.state.Open(fidOf(in.NodeId), int(in.Flags), cred(&in.InHeader))
	if err != nil {
		return status(err)
	}
	return m.opened(h, in.NodeId, in.Flags, out)
}

// Create makes a file and opens it. Another client may have made it since the
// kernel looked; then this is an open, unless the caller said O_EXCL.
func (m *Mount) Create(_ <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	parent, c, mode := fidOf(in.NodeId), cred(&in.InHeader), in.Mode&0o7777
	m.inherit(parent, &mode, &c)
	h, a, err := m.state.Create(parent, name, mode, c, int(in.Flags))
	if errors.Is(err, syscall.EEXIST) && in.Flags&syscall.O_EXCL == 0 {
		if a, err = m.state.Lookup(parent, name); err == nil {
			h, err = m.state.Open(a.FID, int(in.Flags), c)
		}
	}
	if err != nil {
		return status(err)
	}
	m.fillEntry(&a, &out.EntryOut)
	return m.opened(h, out.NodeId, in.Flags, &out.OpenOut)
}

// opened decides how the data of an open file will go, and answers the open.
func (m *Mount) opened(h *state.Handle, node uint64, flags uint32, out *fuse.OpenOut) fuse.Status {
	f := &file{handle: h, fid: h.FID(), node: node, isAppend: flags&syscall.O_APPEND != 0}
	a, err := m.state.GetAttr(f.fid)
	if err == nil {
		err = m.pass(f, &a)
	}
	if err != nil {
		h.Release()
		return status(err)
	}
	if f.pass != nil {
		out.OpenFlags = fuse.FOPEN_PASSTHROUGH
		out.BackingID = f.pass.id
	} else {
		out.OpenFlags = fuse.FOPEN_DIRECT_IO | fuse.FOPEN_PARALLEL_DIRECT_WRITES
		if a.HSM.Flags&state.Released != 0 {
			// Or the kernel drops the file's pages now, and waits for one that is
			// locked by a page fault that waits for the restore, which may be
			// what this very open is for.
			out.OpenFlags |= fuse.FOPEN_KEEP_CACHE
		}
	}
	if !h.Writable() {
		out.OpenFlags |= fuse.FOPEN_NOFLUSH // its Flush does nothing; a request less for each close
	}
	out.Fh = m.newHandle(f)
	return fuse.OK
}

// releasable tells whether a release would be granted now.
func releasable(a *state.Attr) bool {
	return a.HSM.Flags&state.Archived != 0 && a.HSM.Flags&state.Dirty == 0
}

// follows tells whether a handle must be direct for its file's sake: because
// the data may go away under it, or because writes have to be counted here, on
// a kernel whose file times do not tell two of them apart.
func (m *Mount) follows(f *file, a *state.Attr) bool {
	return releasable(a) || coarseTimes() && f.handle.Writable() && a.HSM.Flags != 0
}

// coarseTimes is for kernels without multigrain timestamps, before 6.13.
var coarseTimes = sync.OnceValue(func() bool {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return true
	}
	return coarseRelease(unix.ByteSliceToString(u.Release[:]))
})

func coarseRelease(release string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return true
	}
	return major < 6 || major == 6 && minor < 13
}

// pass makes f a passthrough file if that is possible and right, and counts it
// as direct if not. ESTALE makes the kernel look the name up again, and then it
// finds a new node.
func (m *Mount) pass(f *file, a *state.Attr) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.backings[f.node]
	switch {
	case b != nil && (b.gen != f.handle.Layout() || releasable(a)):
		m.epoch[f.fid] = uint8(f.node>>epochShift+1) % epochs
		return syscall.ESTALE
	case b != nil:
		b.refs++
		f.pass = b
	// A direct file may be mapped shared, and then the kernel takes no backing.
	case m.passthrough.Load() && !m.follows(f, a) && m.direct[f.node] == 0 && !m.fs.faults.onData():
		f.pass = m.newBacking(f)
	}
	switch {
	case f.pass == nil:
		m.direct[f.node]++
	case f.handle.Writable():
		f.gone = make(chan struct{})
		m.writers[f.fid] = append(m.writers[f.fid], f)
	}
	return nil
}

// newBacking makes the backing of a node that has none, or nil if that cannot
// be. Called with m.mu held.
func (m *Mount) newBacking(f *file) *backing {
	obj, gen, err := f.handle.OpenObject()
	if err != nil {
		return nil
	}
	id, errno := m.server.RegisterBackingFd(&fuse.BackingMap{Fd: int32(obj.Fd())})
	if errno != 0 {
		obj.Close()
		m.passthrough.Store(false) // not root, or an old kernel: it will not change its mind
		m.fs.log.Info("no passthrough; data go through the daemon", "mount", m.dir, "err", errno)
		return nil
	}
	b := &backing{id: id, obj: obj, gen: gen, refs: 1}
	m.backings[f.node] = b
	return b
}

// Flush comes with each close(2) of a file open for writing, before it returns.
func (m *Mount) Flush(_ <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	if f := m.file(in.Fh); f != nil {
		f.handle.Flush()
		f.flushed.Store(true)
	}
	return fuse.OK
}

// Release comes after the last close of an open file, which does not wait for it.
func (m *Mount) Release(_ <-chan struct{}, in *fuse.ReleaseIn) {
	h, _ := m.handles.LoadAndDelete(in.Fh)
	f, ok := h.(*file)
	if !ok {
		return
	}
	m.forgetOpen(f)
	f.handle.Release()
	if f.obj != nil {
		f.obj.Close()
	}
}

func (m *Mount) forgetOpen(f *file) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f.pass == nil {
		less(m.direct, f.node)
		return
	}
	if f.handle.Writable() {
		m.writerGone(f)
	}
	if f.pass.refs--; f.pass.refs == 0 {
		delete(m.backings, f.node)
		_ = m.server.UnregisterBackingFd(f.pass.id) // fails after the unmount, which did it
		f.pass.obj.Close()
	}
}

// writerGone is called with m.mu held.
func (m *Mount) writerGone(f *file) {
	close(f.gone)
	rest := slices.DeleteFunc(m.writers[f.fid], func(w *file) bool { return w == f })
	if m.writers[f.fid] = rest; len(rest) == 0 {
		delete(m.writers, f.fid)
	}
}

func less[K comparable](counts map[K]int, key K) {
	if counts[key]--; counts[key] == 0 {
		delete(counts, key)
	}
}

// heldForWriting tells whether a kernel may still write the file's object
// without asking.
func (fs *FS) heldForWriting(fid state.FID) bool {
	for _, m := range fs.Mounts() {
		m.mu.Lock()
		held := len(m.writers[fid]) > 0
		m.mu.Unlock()
		if held {
			return true
		}
	}
	return false
}

// closing is how long the Release of a file may be on its way. A descriptor that was
// copied is flushed with each copy, and none may come.
const closing = 5 * time.Second

// awaitClosed waits for what the kernels have yet to say of writers that are gone, so
// that who has closed a file can release it, as on Lustre.
func (fs *FS) awaitClosed(fids []state.FID) {
	ctx, cancel := context.WithTimeout(fs.ctx, closing)
	defer cancel()
	for _, m := range fs.Mounts() {
		for _, fid := range fids {
			for _, f := range m.closed(fid) {
				select {
				case <-f.gone:
				case <-ctx.Done():
				}
			}
		}
	}
}

// closed are the passthrough writers of a file of which a descriptor was closed.
func (m *Mount) closed(fid state.FID) (closed []*file) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.writers[fid] {
		if f.flushed.Load() {
			closed = append(closed, f)
		}
	}
	return closed
}
