package copytool

import (
	"container/list"
	"sync"

	"lhsm-azblob/llapi"
)

// recentSize is how many copies a process remembers: about 20 MiB.
const recentSize = 50_000

// recent remembers the copies made last, for a REMOVE that comes when the file
// and its identity are gone.
type recent struct {
	size int

	mu    sync.Mutex // guards all below
	order *list.List // of recentCopy, the newest first
	byFID map[llapi.FID]*list.Element
}

type recentCopy struct {
	fid llapi.FID
	id  *Identity
}

func newRecent(size int) *recent {
	return &recent{size: size, order: list.New(), byFID: map[llapi.FID]*list.Element{}}
}

func (r *recent) put(fid llapi.FID, id *Identity) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropLocked(fid)
	r.byFID[fid] = r.order.PushFront(recentCopy{fid, id})
	for r.order.Len() > r.size {
		r.dropLocked(r.order.Back().Value.(recentCopy).fid)
	}
}

// get returns nil for a file it does not know.
func (r *recent) get(fid llapi.FID) *Identity {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.byFID[fid]
	if e == nil {
		return nil
	}
	return e.Value.(recentCopy).id
}

func (r *recent) drop(fid llapi.FID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropLocked(fid)
}

func (r *recent) dropLocked(fid llapi.FID) {
	if e := r.byFID[fid]; e != nil {
		r.order.Remove(e)
		delete(r.byFID, fid)
	}
}
