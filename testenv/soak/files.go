package soak

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
)

// files are all that live, and all that ever lived.
type files struct {
	bytes atomic.Int64 // of all that live

	mu    sync.Mutex // guards live and dead
	live  []*file
	dead  map[string]string // FID to last path of what is unlinked
	asked []string          // FIDs among them that nobody has asked yet to remove
}

func newFiles() *files { return &files{dead: map[string]string{}} }

func (fs *files) add(f *file) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.live = append(fs.live, f)
}

// bury notes that a file has lost its last name.
func (fs *files) bury(f *file, last string) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.live = slices.DeleteFunc(fs.live, func(g *file) bool { return g == f })
	fs.dead[f.fid] = last
	fs.asked = append(fs.asked, f.fid)
}

// some picks up to n files that live.
func (fs *files) some(r *rand.Rand, n int) []*file {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	var picked []*file
	for range min(n, len(fs.live)) {
		if f := fs.live[r.IntN(len(fs.live))]; !slices.Contains(picked, f) {
			picked = append(picked, f)
		}
	}
	return picked
}

func (fs *files) all() []*file {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return slices.Clone(fs.live)
}

// takeDead picks a file that is unlinked, once each.
func (fs *files) takeDead(r *rand.Rand) (fid, path string, ok bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if len(fs.asked) == 0 {
		return "", "", false
	}
	i := r.IntN(len(fs.asked))
	fid = fs.asked[i]
	fs.asked = slices.Delete(fs.asked, i, i+1)
	return fid, fs.dead[fid], true
}

func (fs *files) isDead(fid string) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	_, dead := fs.dead[fid]
	return dead
}

// path is one of the file's names, or "" if it is gone.
func (f *file) path(r *rand.Rand) string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.gone {
		return ""
	}
	return f.paths[r.IntN(len(f.paths))]
}
