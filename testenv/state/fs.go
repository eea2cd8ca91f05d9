package state

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Options of [Open].
type Options struct {
	Back   string            // backing directory; created if missing
	FSName string            // at most 8 characters; default "lustre"
	Params map[string]string // tunables by name, wildcards allowed, as if by lctl set_param -P unless set before
	Logger *slog.Logger      // what Lustre would write to the MDS's log; nil: nowhere
}

// Cred is who calls.
type Cred struct {
	UID, GID uint32
	Groups   []uint32 // supplementary groups
	Admin    bool     // CAP_SYS_ADMIN and CAP_DAC_OVERRIDE
	Owner    bool     // CAP_FOWNER: as good as any file's owner
}

// Root is the credential of a privileged caller.
var Root = Cred{Admin: true, Owner: true}

// FS is one file system: one MDT, its coordinator, and the file data. Its
// methods may be called from any goroutine.
type FS struct {
	name    string
	logger  *slog.Logger
	lock    *os.File // BACK/LOCK, flocked
	objects *objects
	faults  faults

	stop    chan struct{} // closed by Close
	stopped chan struct{} // closed when the coordinator is gone

	mu          sync.Mutex // guards the rest, and every inode, request and agent
	closed      bool
	inodes      map[uint64]*inode // by inode number
	dotLustre   *inode
	fidDir      *inode
	nextOID     uint64 // inode number of the next file
	reservedOID uint64 // numbers below are marked as used in the journal
	cdt         coordinator
	params      params
	changes     changelog
	journal     *journal
	tx          encoder  // the mutation being made; written out by end
	discarded   []uint64 // objects to remove once it is written
}

// Open opens the file system in o.Back, replaying its journal, or makes a new
// one there. It fails if another process has it open.
func Open(o Options) (*FS, error) {
	fs := newFS(o)
	if len(fs.name) > 8 {
		return nil, fmt.Errorf("open file system: name %q is longer than 8 characters", o.FSName)
	}
	if err := fs.load(o); err != nil {
		if fs.lock != nil {
			fs.lock.Close()
		}
		return nil, err
	}
	go fs.cdt.run() // Close waits for it
	return fs, nil
}

// newFS makes an empty file system that nothing is loaded into yet.
func newFS(o Options) *FS {
	if o.FSName == "" {
		o.FSName = "lustre"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	fs := &FS{
		name: o.FSName, logger: o.Logger,
		stop: make(chan struct{}), stopped: make(chan struct{}),
		inodes: make(map[uint64]*inode), nextOID: FID{Seq: firstSeq, OID: 1}.Ino(),
	}
	fs.cdt.init(fs)
	fs.params.init(fs)
	fs.changes.init(fs)
	return fs
}

func (fs *FS) load(o Options) error {
	if err := os.MkdirAll(o.Back, 0o700); err != nil {
		return fmt.Errorf("create backing directory: %w", err)
	}
	if err := fs.takeLock(filepath.Join(o.Back, "LOCK")); err != nil {
		return err
	}
	var err error
	if fs.objects, err = openObjects(filepath.Join(o.Back, "objects")); err != nil {
		return err
	}
	if fs.journal, err = openJournal(filepath.Join(o.Back, "meta"), fs.apply); err != nil {
		return err
	}
	fs.makeRoots()
	if err := fs.dropUnreferenced(); err != nil {
		return err
	}
	fs.begin()
	defer fs.end()
	fs.params.reapply()
	fs.recoverWriters()
	fs.cdt.replayed()
	fs.cdt.resume()
	return fs.params.initial(o.Params)
}

func (fs *FS) takeLock(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return fmt.Errorf("lock backing directory: another process serves it: %w", err)
	}
	fs.lock = f
	return nil
}

// makeRoots adds the directories that nobody creates.
func (fs *FS) makeRoots() {
	// Only root may open by FID, which the mode bits see to, as in Lustre.
	fs.dotLustre = fs.newDir(DotLustreFID, 0o100)
	fs.fidDir = fs.newDir(FIDDirFID, 0o100)
	fs.dotLustre.dir.add("fid", fs.fidDir)
	if fs.inodes[RootFID.Ino()] == nil {
		root := fs.newDir(RootFID, 0o755)
		fs.inodes[root.ino] = root
		fs.begin()
		fs.logInode(root)
		fs.end()
	}
}

func (fs *FS) newDir(f FID, perm uint32) *inode {
	now := fs.now()
	return &inode{
		ino: f.Ino(), mode: syscall.S_IFDIR | perm, nlink: 2,
		atime: now, mtime: now, ctime: now, dir: newDirectory(),
	}
}

// dropUnreferenced forgets files that lost their last name while they were open,
// and removes objects that no file refers to.
func (fs *FS) dropUnreferenced() error {
	used := make(map[uint64]bool)
	for ino, i := range fs.inodes {
		switch {
		case i.nlink == 0:
			delete(fs.inodes, ino)
		case i.obj != 0:
			used[i.obj] = true
		}
	}
	return fs.objects.sweep(func(id uint64) bool { return used[id] })
}

// recoverWriters is what an MDT does when it evicts a client that had files open
// for writing: what was written makes them dirty.
func (fs *FS) recoverWriters() {
	for _, i := range fs.inodes {
		if i.is.unsynced {
			fs.sync(i)
			fs.closeData(i)
			fs.logInode(i)
		}
	}
}

// Close ends the coordinator, writes a snapshot and lets go of the backing
// directory. It reports the first failure to write the journal, if any.
func (fs *FS) Close() error {
	fs.begin()
	if fs.closed {
		fs.end()
		return nil
	}
	fs.closed = true
	fs.end()
	close(fs.stop)
	<-fs.stopped

	fs.begin()
	defer fs.mu.Unlock()
	err := fs.journal.err
	if err == nil {
		err = fs.journal.compact(fs.dump)
	}
	fs.journal.file.Close()
	fs.journal.err = os.ErrClosed
	fs.lock.Close()
	return err
}

// begin and end bracket every access to the state. What was put into tx in
// between is one mutation, on its way to the disk before anybody sees it.
func (fs *FS) begin() { fs.mu.Lock() }

func (fs *FS) end() {
	if len(fs.tx.b) > 0 {
		fs.commit()
		if fs.journal.size > fs.journal.limit && fs.journal.err == nil {
			fs.journal.err = fs.journal.compact(fs.dump)
		}
	}
	for _, id := range fs.discarded {
		if fs.journal.err == nil {
			fs.objects.remove(id)
		}
	}
	fs.discarded = fs.discarded[:0]
	fs.mu.Unlock()
}

// discard removes an object, but not before the journal says that nobody needs
// it: a daemon killed in between would have lost somebody's data.
func (fs *FS) discard(id uint64) { fs.discarded = append(fs.discarded, id) }

// spill writes out what has gathered in tx when a mutation is so large that it
// would not fit into one frame.
func (fs *FS) spill() {
	if len(fs.tx.b) > maxFrame/4 {
		fs.commit()
	}
}

func (fs *FS) commit() {
	failed := fs.journal.err != nil
	fs.journal.append(fs.tx.b)
	if fs.journal.err != nil && !failed {
		fs.logger.Error("journal is lost: the state will not survive a restart", "err", fs.journal.err)
	}
	if fs.tx.b = fs.tx.b[:0]; cap(fs.tx.b) > 4<<20 {
		fs.tx.b = nil
	}
}

// FSName is the name of the file system.
func (fs *FS) FSName() string { return fs.name }

// MDTName is the name of the only MDT, as changelog readers give it.
func (fs *FS) MDTName() string { return fs.name + "-MDT0000" }

func (fs *FS) now() int64 { return time.Now().UnixNano() }

// oidBatch is how many FIDs one journal record reserves. FIDs of volatile files
// are not journaled, yet must never be given out again.
const oidBatch = 4096

func (fs *FS) allocFID() FID {
	ino := fs.nextOID
	fs.nextOID++
	if ino >= fs.reservedOID {
		fs.reservedOID = ino + oidBatch
		fs.logCounter(counterOID, fs.reservedOID)
	}
	return FIDFromIno(ino)
}

// find is get including the directories that Lustre makes up: .lustre and
// .lustre/fid, which nobody can change.
func (fs *FS) find(f FID) (*inode, error) {
	switch f {
	case DotLustreFID:
		return fs.dotLustre, nil
	case FIDDirFID:
		return fs.fidDir, nil
	}
	return fs.get(f)
}

// get finds a file that can be changed; ENOENT.
func (fs *FS) get(f FID) (*inode, error) {
	i := fs.inodes[f.Ino()]
	if i == nil || f.Ver != 0 || f.OID >= 1<<oidBits {
		return nil, syscall.ENOENT
	}
	return i, nil
}

// enter is the start of most calls: faults first, outside the lock, since they
// may wait.
func (fs *FS) enter(op string) error {
	if err := fs.Fault(context.Background(), op); err != nil {
		return err
	}
	fs.begin()
	return nil
}
