package state

import (
	"context"
	"syscall"
)

// restore is a restore that was asked for and is not over. While there is one,
// the MDT holds the file's layout lock, and everybody who needs the data waits.
type restore struct {
	done   chan struct{} // closed at the end, however it ends
	failed bool          // valid when done: it ran, and did not succeed
}

// WaitRestored returns nil as soon as the data of a file are here: at once for a
// file that is not released. Otherwise it asks for a restore, if nobody has yet,
// and waits, for ever if need be. ENODATA when the restore it asked for failed or
// cannot be asked for, or with policy NonBlockingRestore; EINTR when ctx ends.
//
// As in Lustre, only the caller whose request failed is told; others who waited
// for the same restore ask for a new one. After a purge everybody asks again.
func (fs *FS) WaitRestored(ctx context.Context, fid FID) error {
	for asked := (*restore)(nil); ; {
		r, mine, err := fs.joinRestore(fid, asked)
		if r == nil {
			return err
		}
		if mine {
			asked = r
		}
		select {
		case <-r.done:
		case <-ctx.Done():
			return syscall.EINTR
		}
	}
}

// joinRestore finds the restore to wait for, or makes one; nil means that there
// is nothing to wait for. asked is the caller's own request, if it had made one.
func (fs *FS) joinRestore(fid FID, asked *restore) (r *restore, mine bool, err error) {
	fs.begin()
	defer fs.end()
	i, err := fs.get(fid)
	if err != nil {
		return nil, false, err
	}
	if !i.is.hollow {
		return nil, false, nil
	}
	if asked != nil && asked.failed {
		return nil, false, syscall.ENODATA
	}
	if r := fs.cdt.restores[i.ino]; r != nil {
		return r, false, nil
	}
	if err := fs.cdt.admissible(); err != nil {
		return nil, false, syscall.ENODATA
	}
	if i.checkRequest(ActionRestore, 0) != nil {
		return nil, false, syscall.ENODATA
	}
	fs.cdt.addRecord(&record{action: ActionRestore, fid: fid, dfid: fid, extent: WholeFile, archive: fs.archiveFor(i, 0), flags: FlagBlocking})
	fs.cdt.kick()
	if fs.params.nonBlockingRestore {
		return nil, false, syscall.ENODATA
	}
	return fs.cdt.restores[i.ino], true, nil
}

// beginRestore notes that a restore of a file was asked for.
func (c *coordinator) beginRestore(ino uint64) {
	if c.restores[ino] == nil {
		c.restores[ino] = &restore{done: make(chan struct{})}
	}
}

// endRestore wakes everybody who waits for a file.
func (c *coordinator) endRestore(ino uint64, failed bool) {
	if r := c.restores[ino]; r != nil {
		r.failed = failed
		delete(c.restores, ino)
		close(r.done)
	}
}
