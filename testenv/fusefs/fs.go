package fusefs

import (
	"context"
	"log/slog"
	"sync"

	"lhsm-azblob/testenv/state"
)

// Options of [New].
type Options struct {
	Socket        string // answered as xattr user.standin.sock of the root
	NoPassthrough bool   // every file direct
	Shared        bool   // there will be several mounts: let no kernel cache names or attributes
	Back          string // the backing directory, for statfs
	Logger        *slog.Logger
}

// An FS is a state with its mounts.
type FS struct {
	state *state.FS
	opt   Options
	log   *slog.Logger

	ctx    context.Context // ends every wait
	cancel context.CancelFunc

	faults  faults
	layouts layouts

	mu       sync.Mutex // guards mounts and restores
	mounts   []*Mount
	restores map[uint64]state.FID // by cookie: whose restore an agent was told to do
}

// New makes an FS without mounts.
func New(s *state.FS, o Options) *FS {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	fs := &FS{state: s, opt: o, log: o.Logger, restores: map[uint64]state.FID{}}
	fs.ctx, fs.cancel = context.WithCancel(context.Background())
	return fs
}

// Mounts lists the mounts in the order they were made.
func (fs *FS) Mounts() []*Mount {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return append([]*Mount(nil), fs.mounts...)
}

// Stop ends all waits with EINTR and detaches every mount. It does not wait
// for users of the mounts to go away; see [Mount.Close] for that.
func (fs *FS) Stop() {
	fs.cancel()
	for _, m := range fs.Mounts() {
		m.detach()
	}
}

// changed tells every kernel that what it knows of a file is out of date: of its
// attributes at once, of its data when it can be.
func (fs *FS) changed(fid state.FID) {
	fs.touched(fid)
	for _, m := range fs.Mounts() {
		// Nobody waits for this one: the kernel may wait for a page that is
		// locked by a reader who waits for us.
		go m.invalidate(fid, 0)
	}
}

// touched is changed for a file whose data are what they were. When it returns, the
// caller's next stat sees the new attributes.
func (fs *FS) touched(fid state.FID) {
	for _, m := range fs.Mounts() {
		m.invalidate(fid, attributesOnly)
	}
}
