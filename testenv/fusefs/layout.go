package fusefs

import (
	"slices"
	"sync"

	"lhsm-azblob/testenv/state"
)

// layouts keeps reads and writes and changes of layout apart, as Lustre's
// layout lock does: without it a write could go to an object that has just
// been released, and be lost.
type layouts struct {
	locks [64]sync.RWMutex // files share them
}

func (l *layouts) index(fid state.FID) int { return int(fid.OID) % len(l.locks) }

// of is the lock of one file, to hold for reading during I/O.
func (l *layouts) of(fid state.FID) *sync.RWMutex { return &l.locks[l.index(fid)] }

// change runs f while there is no I/O on any of the files.
func (l *layouts) change(fids []state.FID, f func() error) error {
	var held []int
	for _, fid := range fids {
		held = append(held, l.index(fid))
	}
	slices.Sort(held) // one order for everybody
	held = slices.Compact(held)
	for _, i := range held {
		l.locks[i].Lock()
		defer l.locks[i].Unlock()
	}
	return f()
}
