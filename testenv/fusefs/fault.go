package fusefs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"lhsm-azblob/testenv/lioc"
	"lhsm-azblob/testenv/state"
)

// A Fault spoils calls that the state does not see or does not tell apart: data,
// messages on a copytool's pipe, look-ups by FID. The state has its own for the
// rest.
type Fault struct {
	Op    string    // one of FaultOps
	FID   state.FID // only this file; zero: every file. Not for pipes
	Count int       // how many calls; 0: all until cleared
	Skip  int       // let so many pass first
	Errno syscall.Errno
	Delay time.Duration // before the call fails or goes on
}

var (
	// While one of these is armed new opens are direct, since passthrough data
	// do not come by here.
	dataOps = []string{"read", "write", "lseek", "fsync"}

	pipeOps = []string{
		"pipe-split",    // a message in two pieces; the second when the first has been read
		"pipe-garbage",  // a message with a wrong magic number instead of the real one
		"pipe-close",    // the pipe closed instead of the message
		"pipe-late",     // a message after the next one
		"pipe-shutdown", // a shutdown message instead of the message
	}

	ioctlOps = map[uint32]string{
		lioc.FID2Path:   "fid2path",
		lioc.Path2FID:   "path2fid",
		lioc.GetParent:  "getparent",
		lioc.FID2MDTIdx: "mdt_index",
		lioc.Futimes3:   "futimes",
	}
)

// FaultOps are the operations a Fault can name.
var FaultOps = slices.Concat(dataOps, pipeOps, slices.Sorted(maps.Values(ioctlOps)))

type faults struct {
	active atomic.Int32 // length of list; the hot path looks no further
	mu     sync.Mutex   // guards list
	list   []*Fault
}

// AddFault arms a fault.
func (fs *FS) AddFault(f Fault) error {
	if !slices.Contains(FaultOps, f.Op) {
		return fmt.Errorf("add fault: no operation %q; there are %s", f.Op, strings.Join(FaultOps, ", "))
	}
	fs.faults.mu.Lock()
	defer fs.faults.mu.Unlock()
	fs.faults.list = append(fs.faults.list, &f)
	fs.faults.active.Store(int32(len(fs.faults.list)))
	return nil
}

// ClearFaults disarms the faults of one operation, or with "" all.
func (fs *FS) ClearFaults(op string) {
	fs.faults.mu.Lock()
	defer fs.faults.mu.Unlock()
	fs.faults.list = slices.DeleteFunc(fs.faults.list, func(f *Fault) bool { return op == "" || f.Op == op })
	fs.faults.active.Store(int32(len(fs.faults.list)))
}

// onData tells whether a data fault is armed.
func (s *faults) onData() bool {
	if s.active.Load() == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.list, func(f *Fault) bool { return slices.Contains(dataOps, f.Op) })
}

// check delays or fails one call, as armed.
func (s *faults) check(ctx context.Context, op string, fid state.FID) error {
	f, hit := s.take(op, fid)
	if !hit {
		return nil
	}
	if f.Delay > 0 {
		t := time.NewTimer(f.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return syscall.EINTR
		}
	}
	if f.Errno == 0 {
		return nil
	}
	return f.Errno
}

// take counts the call and returns the fault that hits it.
func (s *faults) take(op string, fid state.FID) (Fault, bool) {
	if s.active.Load() == 0 {
		return Fault{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.list {
		if f.Op != op || !f.FID.IsZero() && f.FID != fid {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		hit := *f
		if f.Count > 0 {
			if f.Count--; f.Count == 0 {
				s.list = slices.Delete(s.list, i, i+1)
				s.active.Store(int32(len(s.list)))
			}
		}
		return hit, true
	}
	return Fault{}, false
}

// pipe returns the pipe fault that hits the next message.
func (s *faults) pipe() string {
	for _, op := range pipeOps {
		if _, hit := s.take(op, state.FID{}); hit {
			return op
		}
	}
	return ""
}
