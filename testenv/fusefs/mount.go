package fusefs

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv/state"
)

// A Mount is one Lustre client: a mount point, a client uuid, the open files
// and the copytools registered through it.
type Mount struct {
	fuse.RawFileSystem // answers ENOSYS to what is not here
	fs                 *FS
	state              *state.FS
	dir                string
	uuid               string
	server             *fuse.Server
	passthrough        atomic.Bool // until the kernel refuses

	hsm hsmCache

	nextHandle atomic.Uint64
	handles    sync.Map // of fuse handle to *file or *changelogFile

	mu       sync.Mutex            // guards the rest
	epoch    map[state.FID]uint8   // of files that had to change their node
	backings map[uint64]*backing   // by node
	direct   map[uint64]int        // direct handles by node
	writers  map[state.FID][]*file // passthrough handles open for writing, by file
	comms    []*comm
}

// maxBackground is how many asynchronous requests the kernel may have here at
// once. Each blocked asynchronous read takes one, so few would be a deadlock.
const maxBackground = 4096

// maxIO is the largest read or write the kernel sends.
const maxIO = 1 << 20

// Mount mounts the file system on a directory. A dead mount that a daemon
// which was killed left there is removed first.
func (fs *FS) Mount(dir string) (*Mount, error) {
	if err := prepare(dir); err != nil {
		return nil, fmt.Errorf("mount on %s: %w", dir, err)
	}
	m := &Mount{
		RawFileSystem: fuse.NewDefaultRawFileSystem(), fs: fs, state: fs.state, dir: dir, uuid: fs.state.NewClient(),
		hsm: hsmCache{values: map[state.FID]hsmValue{}}, epoch: map[state.FID]uint8{}, backings: map[uint64]*backing{}, direct: map[uint64]int{}, writers: map[state.FID][]*file{},
	}
	m.passthrough.Store(!fs.opt.NoPassthrough)
	server, err := fuse.NewServer(m, dir, &fuse.MountOptions{
		AllowOther:        true,
		Options:           []string{"default_permissions"},
		FsName:            "127.0.0.1@tcp:/" + fs.state.FSName(),
		Name:              "lustre",
		DirectMountStrict: true,
		MaxBackground:     maxBackground,
		MaxWrite:          maxIO,
		MaxStackDepth:     2, // the backing directory may be an overlay, as in a container
		// A pipe holds less than a large read and its header when not root.
		DisableSplice:      os.Geteuid() != 0,
		DisableReadDirPlus: true,
		ExtraCapabilities:  fuse.CAP_DIRECT_IO_ALLOW_MMAP,
	})
	if err != nil {
		fs.state.ForgetClient(m.uuid)
		return nil, fmt.Errorf("mount on %s: %w", dir, err)
	}
	m.server = server
	go server.Serve() // ended by the unmount; Close waits for it
	if err := server.WaitMount(); err != nil {
		m.detach()
		return nil, fmt.Errorf("mount on %s: %w", dir, err)
	}
	fs.mu.Lock()
	fs.mounts = append(fs.mounts, m)
	fs.mu.Unlock()
	return m, nil
}

func prepare(dir string) error {
	for {
		// Not stat: that can still be answered from the kernel's cache.
		var st unix.Statfs_t
		err := unix.Statfs(dir, &st)
		if !errors.Is(err, unix.ENOTCONN) && !errors.Is(err, unix.ECONNABORTED) {
			break
		}
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("remove the dead mount: %w", err)
		}
	}
	return os.MkdirAll(dir, 0o755)
}

// Dir is the mount point.
func (m *Mount) Dir() string { return m.dir }

// UUID is the client's, as hsm.agents shows it.
func (m *Mount) UUID() string { return m.uuid }

// String names the file system in go-fuse's messages.
func (m *Mount) String() string { return "lustre" }

// detach takes the mount out of the directory tree at once, whoever uses it.
func (m *Mount) detach() {
	// Fails when somebody unmounted it already.
	_ = unix.Unmount(m.dir, unix.MNT_DETACH)
}

// Close unmounts and waits until the last user of the mount is gone.
func (m *Mount) Close() {
	m.detach()
	m.server.Wait()
	m.mu.Lock()
	comms := m.comms
	m.comms = nil
	m.mu.Unlock()
	for _, c := range comms {
		c.stop()
	}
	m.state.ForgetClient(m.uuid)
	m.fs.mu.Lock()
	defer m.fs.mu.Unlock()
	for i, other := range m.fs.mounts {
		if other == m {
			m.fs.mounts = append(m.fs.mounts[:i:i], m.fs.mounts[i+1:]...)
			return
		}
	}
}

// attributesOnly is the offset that spares the data.
const attributesOnly = -1

// invalidate makes the kernel forget the attributes of a file, and its data
// from an offset on. With data it can wait; see FS.changed.
func (m *Mount) invalidate(fid state.FID, offset int64) {
	m.mu.Lock()
	last := uint64(m.epoch[fid])
	m.mu.Unlock()
	for e := range last + 1 {
		// Fails for nodes that this kernel does not know, which is as good.
		_ = m.server.InodeNotify(nodeOf(fid)|e<<epochShift, offset, 0)
	}
}

func (m *Mount) newHandle(h any) uint64 {
	n := m.nextHandle.Add(1)
	m.handles.Store(n, h)
	return n
}

func (m *Mount) file(fh uint64) *file {
	h, _ := m.handles.Load(fh)
	f, _ := h.(*file)
	return f
}
