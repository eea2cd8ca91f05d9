package jobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lhsm-azblob/llapi"
	"lhsm-azblob/testenv"
)

// A fakeCopytool is a copytool without storage: it is registered with the
// coordinator through the same library as the real one, and ends actions as the
// test says.
type fakeCopytool struct {
	t     *testing.T
	mount string
	ct    *llapi.Copytool
	stop  context.CancelFunc
	done  sync.WaitGroup

	// handle decides about an archive before it ends; nil: it succeeds. What it
	// returns is noted on the file, as the real one does.
	handle func(item llapi.ActionItem) *failure

	mu       sync.Mutex // guards what follows
	archives map[llapi.FID]int
	cancels  map[llapi.FID]bool
}

// A failure is how an archive fails: with a note on the file if code is not "".
type failure struct {
	code  string
	errno syscall.Errno
}

func startFake(t *testing.T, l *testenv.Lustre, handle func(llapi.ActionItem) *failure, ids ...uint32) *fakeCopytool {
	t.Helper()
	return startFakeAt(t, l.Mount(), handle, ids...)
}

func startFakeAt(t *testing.T, mount string, handle func(llapi.ActionItem) *failure, ids ...uint32) *fakeCopytool {
	t.Helper()
	c := &fakeCopytool{t: t, mount: mount, handle: handle, archives: map[llapi.FID]int{}, cancels: map[llapi.FID]bool{}}
	var err error
	if c.ct, err = llapi.Register(mount, ids...); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	c.done.Add(1)
	go c.serve(ctx)
	t.Cleanup(c.close)
	return c
}

// close ends the copytool when its actions have ended.
func (c *fakeCopytool) close() {
	c.stop()
	c.done.Wait()
	if err := c.ct.Close(); err != nil && !errors.Is(err, llapi.ErrClosed) && !errors.Is(err, syscall.ENOTCONN) {
		c.t.Errorf("close the copytool: %v", err)
	}
}

func (c *fakeCopytool) serve(ctx context.Context) {
	defer c.done.Done()
	for {
		list, err := c.ct.Recv(ctx)
		if err != nil {
			return
		}
		c.mu.Lock()
		for _, item := range list.Items {
			if item.Action == llapi.ActionCancel {
				c.cancels[item.FID] = true
			}
		}
		c.mu.Unlock()
		for _, item := range list.Items {
			if item.Action == llapi.ActionArchive {
				c.done.Add(1)
				go c.archive(item)
			}
		}
	}
}

// canceled tells whether a file's archive was cancelled.
func (c *fakeCopytool) canceled(f llapi.FID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cancels[f]
}

// count is how often a file's archive was asked for.
func (c *fakeCopytool) count(f llapi.FID) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.archives[f]
}

// most is the largest count of all files.
func (c *fakeCopytool) most() (most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.archives {
		most = max(most, n)
	}
	return most
}

func (c *fakeCopytool) archive(item llapi.ActionItem) {
	defer c.done.Done()
	c.mu.Lock()
	c.archives[item.FID]++
	c.mu.Unlock()
	a, err := c.ct.Begin(item, -1, 0)
	if err != nil {
		_ = c.ct.Fail(item, 0, syscall.ECANCELED) // cancelled before it began, or gone
		return
	}
	var f *failure
	if c.handle != nil {
		f = c.handle(item)
	}
	path := llapi.FIDPath(c.mount, item.FID)
	switch {
	case f == nil:
		_ = unix.Lremovexattr(path, "trusted.lhsm_azblob_error")
		_ = a.End(llapi.Extent{}, 0, 0) // EBUSY if the file has changed
		return
	case f.code != "":
		note, _ := json.Marshal(map[string]any{"v": 1, "t": time.Now().UTC(), "op": "ARCHIVE", "code": f.code, "msg": "said the test", "host": "test"})
		if err := unix.Lsetxattr(path, "trusted.lhsm_azblob_error", note, 0); err != nil && !errors.Is(err, unix.ENOENT) {
			c.t.Errorf("note a failure: %v", err)
		}
	}
	_ = a.End(llapi.Extent{}, 0, f.errno)
}
