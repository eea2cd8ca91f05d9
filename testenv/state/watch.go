package state

import "context"

// watch collects the files whose data or size changed other than through a
// descriptor of the caller's: what a kernel may have cached of them is void.
// Guarded by FS.mu.
type watch struct {
	on      bool // somebody listens
	pending map[FID]bool
	order   []FID
	ready   chan struct{} // capacity 1
}

func (fs *FS) notify(i *inode) {
	w := &fs.watch
	if !w.on || w.pending[i.fid()] {
		return
	}
	w.pending[i.fid()] = true
	w.order = append(w.order, i.fid())
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// NextChange waits for a file whose data were released, restored or swapped, so
// that a mount can tell its kernel to forget them. Changes are collected from the
// first call on; several of one file may come as one. For one goroutine.
func (fs *FS) NextChange(ctx context.Context) (FID, error) {
	for {
		fs.begin()
		w := &fs.watch
		if !w.on {
			*w = watch{on: true, pending: make(map[FID]bool), ready: make(chan struct{}, 1)}
		}
		if len(w.order) > 0 {
			f := w.order[0]
			w.order = w.order[1:]
			delete(w.pending, f)
			fs.end()
			return f, nil
		}
		ready := w.ready
		fs.end()
		select {
		case <-ready:
		case <-ctx.Done():
			return FID{}, ctx.Err()
		}
	}
}
