package state

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Fault makes calls of one operation fail or wait.
type Fault struct {
	Op    string        // one of [FaultOps], or a name that only the caller of FS.Fault knows
	Skip  int           // let so many calls pass first
	Count int           // how many calls then; 0: every one until cleared
	Errno syscall.Errno // 0: the call is only delayed
	Delay time.Duration // before the call is carried out, or fails
}

// FaultOps names the operations that look for faults themselves.
var FaultOps = []string{
	"action", "begin", "changelog_clear", "create", "data_version", "end", "import", "link", "lookup", "mkdir", "mknod", "open",
	"progress", "register", "release", "removexattr", "rename", "request", "rmdir", "set_data_version", "setattr", "setxattr",
	"state_get", "state_set", "swap_layouts", "symlink", "unlink",
}

// faults has a lock of its own, since a fault may wait.
type faults struct {
	any  atomic.Bool // spares the lock as long as there are none
	mu   sync.Mutex  // guards list
	list []*Fault
}

// AddFault arms a fault. EINVAL if it would do nothing.
func (fs *FS) AddFault(f Fault) error {
	if f.Op == "" || f.Count < 0 || f.Skip < 0 || f.Delay < 0 || f.Errno == 0 && f.Delay == 0 {
		return syscall.EINVAL
	}
	fs.faults.mu.Lock()
	defer fs.faults.mu.Unlock()
	fs.faults.list = append(fs.faults.list, &f)
	fs.faults.any.Store(true)
	return nil
}

// ClearFaults disarms the faults of an operation, or all of them if op is empty.
func (fs *FS) ClearFaults(op string) {
	fs.faults.mu.Lock()
	defer fs.faults.mu.Unlock()
	fs.faults.list = slices.DeleteFunc(fs.faults.list, func(f *Fault) bool { return op == "" || f.Op == op })
	fs.faults.any.Store(len(fs.faults.list) > 0)
}

// Faults lists what is armed; the counts are those left.
func (fs *FS) Faults() []Fault {
	fs.faults.mu.Lock()
	defer fs.faults.mu.Unlock()
	var list []Fault
	for _, f := range fs.faults.list {
		list = append(list, *f)
	}
	return list
}

// Fault carries out the fault that is due for a call of op: it waits and returns
// the error the call should fail with. The methods of FS call it; others may for
// operations of their own.
func (fs *FS) Fault(ctx context.Context, op string) error {
	if !fs.faults.any.Load() {
		return nil
	}
	f := fs.faults.take(op)
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return syscall.EINTR
		}
	}
	if f.Errno != 0 {
		return f.Errno
	}
	return nil
}

// take uses up one call of the first fault armed for op.
func (l *faults) take(op string) Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n, f := range l.list {
		switch {
		case f.Op != op:
			continue
		case f.Skip > 0:
			f.Skip--
			return Fault{}
		}
		due := *f
		if f.Count > 0 {
			if f.Count--; f.Count == 0 {
				l.list = slices.Delete(l.list, n, n+1)
				l.any.Store(len(l.list) > 0)
			}
		}
		return due
	}
	return Fault{}
}
