package copytool

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
)

// beginElsewhere has another mover do an action.
func (r *rig) beginElsewhere(action llapi.Action, fid llapi.FID) llapi.ActionItem {
	j := r.elsewhere(fid)
	j.t.item.Action = action
	ctx, cancel := context.WithCancelCause(context.Background())
	j.t.turn = &turn{cancel: cancel}
	go func() {
		defer cancel(nil)
		for rest := j.run(ctx, j.t); rest > 0; rest = j.run(ctx, j.t) {
			time.Sleep(rest)
		}
	}()
	return j.t.item
}

func (r *rig) wantEnd(it llapi.ActionItem, errno syscall.Errno) {
	r.t.Helper()
	if got := r.wait(it); got != errno {
		r.t.Errorf("%s ended with %v, want %v; the log:\n%s", it.Action, got, errno, r.log)
	}
}

// wantNoEnd fails if the action ends within a minute.
func (r *rig) wantNoEnd(it llapi.ActionItem) {
	r.t.Helper()
	time.Sleep(time.Minute)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over[key{it.Cookie, it.FID}] {
		r.t.Errorf("%s has ended", it.Action)
	}
}

func (r *rig) wantNoClaim(fid llapi.FID) {
	r.t.Helper()
	synctest.Wait()
	if c, ok := r.xattr(fid, ClaimXattr); ok {
		r.t.Errorf("the claim stays: %s", c)
	}
}

// claimed leaves the claim of an action on the file whose mover died.
func (r *rig) claimed(it llapi.ActionItem, age time.Duration) {
	r.t.Helper()
	b, err := json.Marshal(claim{Version: 1, Action: it.Action, Cookie: it.Cookie, FID: it.FID.String(), Host: "dead", Time: time.Now().Add(-age)})
	if err != nil {
		r.t.Error(err)
	}
	r.setXattr(it.FID, ClaimXattr, string(b))
}

func (r *rig) isOver(it llapi.ActionItem) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over[key{it.Cookie, it.FID}] = true
}

// TestRemoveWaitsForAnArchive that has recorded its copy, or is about to, on another
// mover. When it deletes, the file cannot be released.
func TestRemoveWaitsForAnArchive(t *testing.T) {
	for name, at := range map[string]struct {
		op   string // where the archive is held
		blob blobstore.Name
		want syscall.Errno // of the archive: the remove was there before its record, or not
	}{
		"recorded":  {"put", "d", 0},
		"committed": {"", "", syscall.EBUSY},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				fid := r.write("d/f", "content")
				r.setXattr(fid, "trusted.hsm", string(hsmAttr(llapi.HSExists)))
				caught, gate := make(chan struct{}, 1), make(chan struct{})
				stop := sync.OnceFunc(func() { caught <- struct{}{}; <-gate })
				var flags llapi.StateFlags
				r.store.before = func(_ context.Context, op string, n blobstore.Name) error {
					switch {
					case op == "delete":
						flags = r.flags(fid)
					case op == at.op && n == at.blob:
						stop()
					}
					return nil
				}
				if at.op == "" {
					r.store.afterPut = func(blobstore.Name) { stop() }
				}
				it := r.item(llapi.ActionArchive, fid)
				r.send(it)
				<-caught
				remove := r.beginElsewhere(llapi.ActionRemove, fid)
				r.wantNoEnd(remove)
				r.wantBlob("d/f", "content")
				close(gate)
				r.wantEnd(it, at.want)
				r.wantEnd(remove, 0)
				r.wantNoBlob("d/f")
				r.wantNoClaim(fid)
				if at.want == 0 && flags&llapi.HSDirty == 0 {
					t.Errorf("flags when the copy was deleted: %v; the file could have been released", flags)
				}
				if at.want == 0 && r.flags(fid) != 0 {
					t.Errorf("flags afterwards: %v", r.flags(fid))
				}
				r.archive(fid)
				r.wantBlob("d/f", "content")
			})
		})
	}
}

// TestArchiveEndsWhileARemoveAsks, and lets the file be released again.
func TestArchiveEndsWhileARemoveAsks(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		fid := r.write("d/f", "content")
		caught, release := r.hold("put")
		release = sync.OnceFunc(release)
		it := r.item(llapi.ActionArchive, fid)
		r.onReport = func(asked llapi.ActionItem) {
			if asked.Cookie != it.Cookie {
				return
			}
			release()
			for over := false; !over; time.Sleep(time.Millisecond) {
				r.mu.Lock()
				over = r.over[key{it.Cookie, fid}]
				r.mu.Unlock()
			}
		}
		hold := r.store.before
		var flags llapi.StateFlags
		r.store.before = func(ctx context.Context, op string, n blobstore.Name) error {
			switch {
			case op == "delete":
				flags = r.flags(fid)
			case n == "d":
				return hold(ctx, op, n)
			}
			return nil
		}
		r.send(it)
		<-caught
		r.wantEnd(r.beginElsewhere(llapi.ActionRemove, fid), 0)
		r.wantNoBlob("d/f")
		if flags&llapi.HSDirty == 0 {
			t.Errorf("flags when the copy was deleted: %v; the file could have been released", flags)
		}
	})
}

// TestArchiveMeetsARemove that has looked at the file before the archive recorded
// anything, and is still at work. Neither what the archive has made is lost, nor does
// it end well.
func TestArchiveMeetsARemove(t *testing.T) {
	for name, again := range map[string]bool{"first archive": false, "second archive": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				fid := r.write("f", "content")
				op := "head"
				if again {
					r.archive(fid)
					r.change(fid, "other")
					op = "delete"
				}
				caught, release := r.hold(op)
				remove := r.beginElsewhere(llapi.ActionRemove, fid)
				<-caught
				r.want(llapi.ActionArchive, fid, syscall.EBUSY)
				r.wantCode(fid, Busy)
				release()
				r.wantEnd(remove, 0)
				r.wantNoClaim(fid)
				r.archive(fid)
				r.wantBlob("f", r.content(fid))
			})
		})
	}
}

// TestArchivesShareACopy: the second finds the copy of the first. A remove waits for both.
func TestArchivesShareACopy(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		fid := r.write("d/f", "content")
		r.archive(fid)
		caught, gate := make(chan struct{}, 1), make(chan struct{})
		stop := sync.OnceFunc(func() { caught <- struct{}{}; <-gate })
		r.store.before = func(_ context.Context, _ string, n blobstore.Name) error {
			if n == "d" { // the second has recorded that it relies on the copy
				stop()
			}
			return nil
		}
		second := r.beginElsewhere(llapi.ActionArchive, fid)
		<-caught
		remove := r.item(llapi.ActionRemove, fid)
		r.send(remove)
		r.wantNoEnd(remove)
		r.wantBlob("d/f", "content")
		close(gate)
		r.wantEnd(second, 0)
		r.wantEnd(remove, 0)
		r.wantNoBlob("d/f")
	})
}

// TestArchiveDiedForGood between its record and its end. Its coordinator waits for it
// as long as somebody asks, so the remove ends it.
func TestArchiveDiedForGood(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		fid := r.write("f", "content")
		r.archive(fid)
		dead := r.item(llapi.ActionArchive, fid)
		id := r.identity(fid)
		id.Archives = []uint64{dead.Cookie}
		r.record(fid, id)
		remove := r.item(llapi.ActionRemove, fid)
		r.send(remove)
		r.wantNoEnd(remove)
		r.wantEnd(dead, syscall.EBUSY)
		r.wantEnd(remove, 0)
		r.wantNoBlob("f")
	})
}

// TestRemoveDiedForGood: its claim is in the way only until the coordinator has given
// it up, or its time is over. The blob that it may still delete is not relied upon.
func TestRemoveDiedForGood(t *testing.T) {
	for name, tt := range map[string]struct {
		over bool
		age  time.Duration
		want syscall.Errno
	}{
		"over":     {true, 0, 0},
		"goes on":  {false, time.Minute, syscall.EBUSY},
		"too long": {false, time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				fid := r.write("f", "content")
				r.archive(fid)
				old := r.identity(fid).Blob
				dead := r.item(llapi.ActionRemove, fid)
				if tt.over {
					r.isOver(dead)
				}
				r.claimed(dead, tt.age)
				r.want(llapi.ActionArchive, fid, tt.want)
				if tt.want == 0 {
					r.wantNoClaim(fid)
					if now := r.identity(fid).Blob; now == old {
						t.Error("the archive relies on a blob that the dead one may have asked to delete")
					}
				}
				if tt.age > removePatience {
					r.wantEnd(dead, syscall.EBUSY)
				}
				r.wantBlob("f", "content")
			})
		})
	}
}

// TestRemoveThatWasStopped for so long that the coordinator has given it up deletes
// nothing, and neither does one whose claim somebody has taken.
func TestRemoveThatWasStopped(t *testing.T) {
	for name, stop := range map[string]func(r *rig, it llapi.ActionItem){
		"given up": func(r *rig, it llapi.ActionItem) { r.isOver(it) },
		"claimed":  func(r *rig, it llapi.ActionItem) { r.claimed(r.item(llapi.ActionArchive, it.FID), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				fid := r.write("f", "content")
				r.archive(fid)
				it := r.item(llapi.ActionRemove, fid)
				r.onSet = func(_ llapi.FID, name string) {
					if name == "trusted.hsm" {
						r.onSet = nil
						stop(r, it)
					}
				}
				r.send(it)
				time.Sleep(30 * time.Second)
				r.wantBlob("f", "content")
				r.identity(fid)
			})
		})
	}
}

// TestTwoTakeOneClaim of a dead action: the one that wrote last has it.
func TestTwoTakeOneClaim(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		fid := r.write("f", "content")
		r.archive(fid)
		dead, other := r.item(llapi.ActionArchive, fid), r.item(llapi.ActionArchive, fid)
		r.isOver(dead)
		r.claimed(dead, 0)
		it := r.item(llapi.ActionArchive, fid)
		r.change(fid, "other")
		r.send(it)
		for {
			if c, err := readClaim(r, Ref{FID: fid}); err == nil && c.Cookie == it.Cookie {
				break
			}
			time.Sleep(claimFirst)
		}
		r.claimed(other, 0)
		r.wantEnd(it, syscall.EBUSY)
		r.wantCode(fid, Busy)
		if c, err := readClaim(r, Ref{FID: fid}); err != nil || c == nil || c.Cookie != other.Cookie {
			t.Errorf("the other's claim is now %+v, %v", c, err)
		}
	})
}

// TestRemoveIsCancelledWhileItWaits, and leaves everything as it was.
func TestRemoveIsCancelledWhileItWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		fid := r.write("f", "content")
		r.archive(fid)
		dead := r.item(llapi.ActionArchive, fid)
		r.claimed(dead, 0)
		it := r.item(llapi.ActionRemove, fid)
		r.send(it)
		r.wantNoEnd(it)
		cancel := it
		cancel.Action = llapi.ActionCancel
		r.send(cancel)
		r.wantEnd(it, syscall.ECANCELED)
		r.wantBlob("f", "content")
	})
}

// TestRemovedBeforeTheSecondEnd: while the coordinator took no end, the copy was
// removed. To say then that the file is archived would lose it.
func TestRemovedBeforeTheSecondEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		fid := r.write("f", "content")
		it := r.owes(llapi.ActionArchive, fid, syscall.EIO)
		r.store.drop("f")
		if err := r.Set(Ref{FID: fid}, IdentityXattr, nil, SetAny); err != nil {
			t.Fatal(err)
		}
		r.takeEnds(it)
		r.wantEnd(it, syscall.EBUSY)
	})
}

func TestClaimThatCannotBeRead(t *testing.T) {
	for value, want := range map[string]string{"x": "invalid character", `{"v":2}`: "newer copytool"} {
		r := newRig(t)
		fid := r.write("f", "content")
		r.archive(fid)
		r.change(fid, "other")
		r.setXattr(fid, ClaimXattr, value)
		r.want(llapi.ActionArchive, fid, syscall.EIO)
		r.wantNoBlob("never")
		if v, _ := r.xattr(fid, ErrorXattr); !strings.Contains(string(v), want) {
			t.Errorf("%s: the file says %s, want %q", value, v, want)
		}
	}
}
