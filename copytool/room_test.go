package copytool

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
)

// failWrites lets what restores write meet an error, until it is nil again.
func (r *rig) failWrites(errno syscall.Errno) (heal func()) {
	var healed atomic.Bool
	r.store.before = func(_ context.Context, op string, _ blobstore.Name) error {
		if op == "get" && !healed.Load() {
			return fmt.Errorf("write: %w", errno)
		}
		return nil
	}
	return func() { healed.Store(true) }
}

// restores are actions for so many released files.
func (r *rig) restores(files int) []llapi.ActionItem {
	r.t.Helper()
	var items []llapi.ActionItem
	for i := range files {
		items = append(items, r.item(llapi.ActionRestore, r.released(fmt.Sprintf("f%d", i), "content")))
	}
	return items
}

func (r *rig) attempts() int {
	return strings.Count(strings.Join(r.store.log(), "\n"), "get ")
}

// TestNoRoom: a file system that is full fails none of the restores that nobody
// waits for, starts no more of them than it must, and tells a reader at once.
func TestNoRoom(t *testing.T) {
	const files, limit = 20, 2
	inBubble(t, func(t *testing.T, r *rig) {
		items := r.restores(files)
		reader := r.item(llapi.ActionRestore, r.released("read", "content"))
		heal := r.failWrites(syscall.ENOSPC)
		r.send(items...)
		synctest.Wait()
		if n := r.attempts(); n != limit {
			t.Errorf("%d restores were tried, want %d", n, limit)
		}
		r.sendFlags(llapi.FlagBlocking, reader)
		if errno := r.wait(reader); errno != syscall.ENOSPC {
			t.Errorf("the reader was told %v, want ENOSPC", errno)
		}
		synctest.Wait()
		for _, l := range r.agent.sched.state() {
			if l.name == "RESTORE" && (l.parked != limit || l.waiting != files-limit || l.running != 0) {
				t.Errorf("of the restores %d are parked, %d wait and %d run", l.parked, l.waiting, l.running)
			}
		}
		r.attempts()
		time.Sleep(roomPatience / 2)
		if n := r.attempts(); n == 0 || n > 30 {
			t.Errorf("it was tried %d times in %v", n, roomPatience/2)
		}
		heal()
		for _, it := range items {
			if errno := r.wait(it); errno != 0 {
				t.Errorf("restore of %s: %v", it.FID, errno)
			}
			r.wantContent(it.FID, "content")
		}
	}, func(o *Options) { o.Limits.Restores = limit })
}

// TestRoomElsewhere: what is full is a target, and a reader need not hear of it. Two more
// nameless files are tried at most.
func TestRoomElsewhere(t *testing.T) {
	for full, want := range map[int]syscall.Errno{1: 0, mostMoves: 0, mostMoves + 1: syscall.ENOSPC} {
		inBubble(t, func(t *testing.T, r *rig) {
			reader := r.item(llapi.ActionRestore, r.released("f", "content"))
			r.free = 1 << 30
			begun := r.begun
			r.store.before = func(_ context.Context, op string, _ blobstore.Name) error {
				if op == "get" && r.begun-begun <= full {
					r.scribble()
					return fmt.Errorf("write: %w", syscall.ENOSPC)
				}
				return nil
			}
			r.sendFlags(llapi.FlagBlocking, reader)
			if errno := r.wait(reader); errno != want {
				t.Errorf("with %d files on full targets: %v, want %v", full, errno, want)
			}
			if n := r.begun - begun; n != min(full, mostMoves)+1 {
				t.Errorf("with %d files on full targets %d were begun", full, n)
			}
		})
	}
}

// TestNoRoomForLong: in the end it is said, a few at a time.
func TestNoRoomForLong(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		items := r.restores(6)
		heal := r.failWrites(syscall.ENOSPC)
		begin := time.Now()
		r.send(items...)
		for _, it := range items[:2] {
			if errno := r.wait(it); errno != syscall.ENOSPC {
				t.Errorf("after %v: %v, want ENOSPC", time.Since(begin), errno)
			}
		}
		if took := time.Since(begin); took < roomPatience || took > roomPatience+2*roomLongest {
			t.Errorf("it took %v, want about %v", took, roomPatience)
		}
		heal()
		for _, it := range items[2:] {
			if errno := r.wait(it); errno != 0 {
				t.Errorf("one of those that came next: %v", errno)
			}
		}
	}, func(o *Options) { o.Limits.Restores = 2 })
}

// TestCancelWithoutRoom: a restore that waits for room can be cancelled, and the
// others go on waiting.
func TestCancelWithoutRoom(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		items := r.restores(2)
		heal := r.failWrites(syscall.ENOSPC)
		r.send(items...)
		synctest.Wait()
		r.send(llapi.ActionItem{Action: llapi.ActionCancel, FID: items[0].FID, Cookie: items[0].Cookie})
		if errno := r.wait(items[0]); errno != syscall.ECANCELED {
			t.Errorf("cancelled: %v", errno)
		}
		heal()
		if errno := r.wait(items[1]); errno != 0 {
			t.Errorf("the other: %v", errno)
		}
	})
}

// TestQuotaIsNotRoom: it is one user's, and no reason to hold back the rest.
func TestQuotaIsNotRoom(t *testing.T) {
	r := newRig(t)
	items := r.restores(1)
	r.failWrites(syscall.EDQUOT)
	r.want(llapi.ActionRestore, items[0].FID, syscall.EDQUOT)
}
