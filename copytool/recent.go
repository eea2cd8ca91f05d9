package copytool

import (
	"sync"

	"lhsm-azblob/llapi"
)

// recentSize is how many copies a process remembers: about 20 MiB.
const recentSize = 50_000

// recent remembers the copies made last, for a REMOVE that comes when the file
// and its identity are gone. It keeps them encoded: as they are, the garbage collector
// would have ten objects to look at for each.
type recent struct {
	size int

	mu     sync.Mutex // guards all below
	copies []recentCopy
	next   int // where the oldest of them is, once all places are taken
	byFID  map[llapi.FID]int
}

// A recentCopy is empty where a copy was dropped.
type recentCopy struct {
	fid      llapi.FID
	identity []byte
}

func newRecent(size int) *recent {
	return &recent{size: size, byFID: map[llapi.FID]int{}}
}

func (r *recent) put(fid llapi.FID, id *Identity) {
	text, err := id.Encode()
	if err != nil {
		return // nor could it be written to the file
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropLocked(fid)
	at := r.makeRoom()
	r.copies[at] = recentCopy{fid, text}
	r.byFID[fid] = at
}

// makeRoom forgets the oldest where there is no place left.
func (r *recent) makeRoom() (at int) {
	if at = len(r.copies); at < r.size {
		r.copies = append(r.copies, recentCopy{})
		return at
	}
	at = r.next
	r.next = (at + 1) % len(r.copies)
	r.dropLocked(r.copies[at].fid)
	return at
}

// get returns nil for a file it does not know.
func (r *recent) get(fid llapi.FID) *Identity {
	r.mu.Lock()
	at, ok := r.byFID[fid]
	var text []byte
	if ok {
		text = r.copies[at].identity
	}
	r.mu.Unlock()
	id, err := ParseIdentity(text)
	if err != nil {
		return nil // there is none
	}
	return &id
}

func (r *recent) drop(fid llapi.FID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropLocked(fid)
}

func (r *recent) dropLocked(fid llapi.FID) {
	if at, ok := r.byFID[fid]; ok {
		r.copies[at] = recentCopy{}
		delete(r.byFID, fid)
	}
}
