package copytool

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
)

func withPolicy(p ConflictPolicy) func(*Options) { return func(o *Options) { o.Conflict = p } }

func TestForeignBlob(t *testing.T) {
	for _, tt := range []struct {
		policy ConflictPolicy
		errno  syscall.Errno
		want   string
	}{
		{IfOurs, syscall.EEXIST, "theirs"},
		{Fail, syscall.EEXIST, "theirs"},
		{Overwrite, 0, "ours"},
	} {
		t.Run(string(tt.policy), func(t *testing.T) {
			r := newRig(t, withPolicy(tt.policy))
			r.store.foreign("f", "theirs", map[string]string{"owner": "0"})
			fid := r.write("f", "ours")
			r.want(llapi.ActionArchive, fid, tt.errno)
			r.wantBlob("f", tt.want)
			if tt.errno != 0 {
				r.wantCode(fid, BlobExists)
			}
		})
	}
}

// TestBlobOfAnotherFileSystem has our FID, and is not ours.
func TestBlobOfAnotherFileSystem(t *testing.T) {
	r := newRig(t)
	fid := r.write("f", "ours")
	md, _ := blobstore.Attributes{FSName: "other", FID: fid.String()}.Metadata()
	r.store.foreign("f", "theirs", md)
	r.want(llapi.ActionArchive, fid, syscall.EEXIST)
	r.wantBlob("f", "theirs")
}

// TestImportedFile has its copy where another tool put it, and says so.
func TestImportedFile(t *testing.T) {
	r := newRig(t)
	r.store.foreign("f", "imported", map[string]string{"owner": "0"})
	fid := r.write("f", "changed since")
	r.setXattr(fid, "trusted.lhsm_uuid", "az://ctr/f")
	r.archive(fid)
	r.wantBlob("f", "changed since")
}

func TestReuseOfAPath(t *testing.T) {
	r := newRig(t)
	first := r.write("a", "first")
	r.archive(first)
	r.rename(first, "b")
	second := r.write("a", "second")
	r.archive(second)
	r.wantBlob("a", "second")
	r.wantBlob("b", "first")
	if id := r.identity(first); id.Blob.Name != "b" {
		t.Errorf("identity of the first file: %+v, want blob b", id)
	}
	r.release(first)
	r.restore(first)
	r.wantContent(first, "first")
}

// TestUnfinishedCopy: a copy that a mover has started before it died says already what it
// will hold, and does not hold it. The one it is made of stays until there is another,
// which may have that name.
func TestUnfinishedCopy(t *testing.T) {
	r := newRig(t)
	old := r.released("a", "old")
	r.rename(old, "b")
	r.leaveUnfinished("a", "b")
	r.archive(r.write("a", "new"))
	r.wantBlob("a", "new")
	r.wantBlob("b", "old")
	if id := r.identity(old); id.Blob.Name != "b" {
		t.Errorf("the old file's copy is %+v", id.Blob)
	}
	r.restore(old)
	r.wantContent(old, "old")
}

// TestPendingCopies: as long as the service still copies to all names that a copy can be
// moved to, whose blob it was stays, and the archive is to be tried again.
func TestPendingCopies(t *testing.T) {
	r := newRig(t)
	old := r.released("a", "old")
	r.rename(old, "b")
	r.leaveUnfinished("a", "b")
	r.store.before = func(_ context.Context, op string, n blobstore.Name) error {
		if op == "copy" {
			return fail(op, n, blobstore.ErrBusy)
		}
		return nil
	}
	r.want(llapi.ActionArchive, r.write("a", "new"), syscall.EAGAIN)
	r.wantBlob("a", "old")
}

// TestUnfinishedCopyInTheWay is nobody's copy, not even that of a file of which nobody
// knows where its copy is.
func TestUnfinishedCopyInTheWay(t *testing.T) {
	r := newRig(t)
	old := r.write("a", "old")
	r.archive(old)
	r.leaveUnfinished("a", "b")
	r.fakeLustre.mu.Lock()
	delete(r.files[old].xattrs, IdentityXattr)
	r.fakeLustre.mu.Unlock()
	r.archive(r.write("b", "new"))
	r.wantBlob("b", "new")
	if value, ok := r.xattr(old, IdentityXattr); ok {
		t.Errorf("the old file has the identity %s", value)
	}
}

// leaveUnfinished leaves at dst what a copy of src is before it is done.
func (r *rig) leaveUnfinished(src, dst blobstore.Name) {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	pending := *r.store.blobs[src]
	pending.etag, pending.unfinished, pending.content = "pending", true, "???"
	pending.md = maps.Clone(pending.md)
	r.store.blobs[dst] = &pending
}

// TestUnfinishedCopyOfOurs is no copy of the file itself either.
func TestUnfinishedCopyOfOurs(t *testing.T) {
	r := newRig(t)
	fid := r.write("f", "content")
	r.archive(fid)
	r.setXattr(fid, IdentityXattr, "")
	puts := len(r.store.log())
	r.store.mu.Lock()
	r.store.blobs["f"].unfinished = true
	r.store.mu.Unlock()
	r.archive(fid)
	if log := r.store.log(); !slices.ContainsFunc(log[puts:], func(line string) bool { return strings.HasPrefix(line, "put ") }) {
		t.Errorf("nothing was sent: %q", log[puts:])
	}
}

// TestReuseThatFails leaves the first file's blob at the name that the second
// wanted. The first one's next archive deletes it.
func TestReuseThatFails(t *testing.T) {
	r := newRig(t)
	first := r.write("a", "first")
	r.archive(first)
	r.rename(first, "b")
	second := r.write("a", "second")
	var once sync.Once
	r.store.before = func(_ context.Context, op string, n blobstore.Name) error {
		if op == "copy" {
			once.Do(func() { r.change(second, "written meanwhile") })
		}
		return nil
	}
	r.want(llapi.ActionArchive, second, syscall.EBUSY)
	r.wantBlob("a", "first")
	r.wantBlob("b", "first")
	r.change(first, "changed")
	r.archive(first)
	r.stop() // when the old blob is gone
	r.wantBlob("b", "changed")
	r.wantNoBlob("a")
}

// TestMovedAsideTwice: two movers find the same copy in the way of something, and
// both make room. The copy that they have made is the only one; it must stay.
func TestMovedAsideTwice(t *testing.T) {
	r := newRig(t)
	first := r.write("a", "first")
	r.archive(first)
	r.rename(first, "b")
	before := r.identity(first)
	r.archive(r.write("a", "second")) // this mover
	moved := r.identity(first)
	ok, err := r.elsewhere(first).moveIdentity(t.Context(), first, before, moved) // the other one, which has found the copy of the first
	if err != nil || !ok {
		t.Errorf("moved to where it is: %t, %v; the copy would be deleted as a spare one", ok, err)
	}
	r.release(first)
	r.restore(first)
	r.wantContent(first, "first")
}

// TestReuseOfAPathUnderFail touches nothing, and keeps the copy.
func TestReuseOfAPathUnderFail(t *testing.T) {
	r := newRig(t, withPolicy(Fail))
	first := r.write("a", "first")
	r.archive(first)
	r.rename(first, "b")
	r.want(llapi.ActionArchive, r.write("a", "second"), syscall.EEXIST)
	r.wantBlob("a", "first")
}

// TestReuseOfAPathUnderOverwrite does not mean that copies may be lost.
func TestReuseOfAPathUnderOverwrite(t *testing.T) {
	r := newRig(t, withPolicy(Overwrite))
	first := r.write("a", "first")
	r.archive(first)
	r.rename(first, "b")
	r.archive(r.write("a", "second"))
	r.release(first)
	r.restore(first)
	r.wantContent(first, "first")
}

// TestOrphanIsReplaced: its file is gone for ever, and nobody has asked for the removal.
func TestOrphanIsReplaced(t *testing.T) {
	r := newRig(t)
	first := r.write("a", "first")
	r.archive(first)
	r.unlink(first)
	r.archive(r.write("a", "second"))
	if got := r.store.names(); !slices.Equal(got, []blobstore.Name{"a"}) {
		t.Errorf("blobs: %q, want a only", got)
	}
	r.wantBlob("a", "second")
}

// TestRotation shifts a chain of names, as log rotation does.
func TestRotation(t *testing.T) {
	r := newRig(t)
	oldest := r.write("log.1", "oldest")
	older := r.write("log.0", "older")
	r.archive(oldest)
	r.archive(older)
	r.rename(oldest, "log.2")
	r.rename(older, "log.1")
	r.archive(r.write("log.0", "new"))
	for name, want := range map[blobstore.Name]string{"log.0": "new", "log.1": "older", "log.2": "oldest"} {
		r.wantBlob(name, want)
	}
	for fid, want := range map[llapi.FID]string{oldest: "oldest", older: "older"} {
		r.release(fid)
		r.restore(fid)
		r.wantContent(fid, want)
	}
}

// TestSwap exchanges two names: neither copy can have its file's name first.
func TestSwap(t *testing.T) {
	r := newRig(t)
	a, b := r.write("a", "A"), r.write("b", "B")
	r.archive(a)
	r.archive(b)
	r.rename(a, "b")
	r.rename(b, "a")
	r.change(a, "A2")
	r.archive(a)
	r.wantBlob("b", "A2")
	r.release(b)
	r.restore(b)
	r.wantContent(b, "B")
	r.change(b, "B2")
	r.archive(b)
	r.wantBlob("a", "B2")
	r.stop()
	for _, n := range r.store.names() {
		if strings.HasPrefix(string(n), displaced) {
			t.Errorf("the displaced copy %q stayed after its file was archived again", n)
		}
	}
}

// TestPathIsTakenDuringAnArchive: between the commit of a file's blob and its
// identity another mover archives a new file at the same path. The first
// file's copy is moved aside, and its archive must not write over that.
func TestPathIsTakenDuringAnArchive(t *testing.T) {
	for name, again := range map[string]bool{"first archive": false, "second archive": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			first := r.write("a", "first")
			if again {
				r.archive(first)
				r.change(first, "other")
			}
			want := r.content(first)
			r.store.afterPut = func(blobstore.Name) {
				r.store.afterPut = nil
				r.rename(first, "b")
				r.takePath(t, r.write("a", "second"))
			}
			r.archive(first)
			if id := r.identity(first); id.Blob.Name != "b" {
				t.Errorf("identity: %+v, want blob b", id)
			}
			r.wantBlob("a", "second")
			r.release(first)
			r.restore(first)
			r.wantContent(first, want)
		})
	}
}

// elsewhere is an archive of the file on another mover, which has nothing in common
// with the agent but the file system and the container.
func (r *rig) elsewhere(fid llapi.FID) *job {
	r.t.Helper()
	o := r.agent.o
	o.Metrics, o.Journal = nil, nil
	other, err := New(o, r.fakeLustre, r.newSession)
	if err != nil {
		r.t.Fatal(err)
	}
	s, err := r.newSession(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	other.session.Store(&s)
	it := r.item(llapi.ActionArchive, fid)
	return other.jobOf(&task{key: key{it.Cookie, fid}, item: it, archiveID: 1})
}

// takePath is what another mover does: it has no lock in common with the agent.
func (r *rig) takePath(t *testing.T, fid llapi.FID) {
	t.Helper()
	f, err := (&fakeAction{s: &fakeSession{fakeLustre: r.fakeLustre}, file: r.files[fid]}).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	j := r.elsewhere(fid)
	j.file, j.archive = f, j.archives[0]
	src, err := j.look()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.publish(context.Background(), src, "a", "a"); err != nil {
		t.Fatal(err)
	}
}

// TestMarkerInTheWay: a file has the name that a directory had.
func TestMarkerInTheWay(t *testing.T) {
	r := newRig(t)
	r.archive(r.write("x/f", "in a directory"))
	r.wantBlob("x", "")
	r.archive(r.write("x", "a file now"))
	r.wantBlob("x", "a file now")
}

// TestTwoMoversClearOneName: the other one has copied the owner's blob when we look,
// and has told the owner of it, under an ETag that is not the blob's any more. Its copy
// is the only one by then.
func TestTwoMoversClearOneName(t *testing.T) {
	r := newRig(t)
	first := r.write("a", "first")
	r.archive(first)
	r.rename(first, "b")
	theirs := r.identity(first)
	var once sync.Once
	r.store.before = func(ctx context.Context, op string, n blobstore.Name) (err error) {
		if op != "head" || n != "b" {
			return nil
		}
		once.Do(func() {
			var moved blobstore.Info
			moved, err = r.store.Copy(ctx, "a", "b", blobstore.CopyOptions{Condition: blobstore.CreateOnly()})
			theirs.Blob = BlobRef{"b", moved.ETag}
			r.record(first, theirs)
			r.store.touch("b")
		})
		return err
	}
	r.archive(r.write("a", "second"))
	r.stop()
	r.wantBlob("a", "second")
	r.wantBlob("b", "first")
	if id := r.identity(first); id.Blob != theirs.Blob {
		t.Errorf("the identity names %+v, want %+v", id.Blob, theirs.Blob)
	}
}

// TestNewerCopyAtTheOwnersName: its owner has just committed it, and will say so.
func TestNewerCopyAtTheOwnersName(t *testing.T) {
	r := newRig(t)
	first := r.write("a", "first")
	r.archive(first)
	old := r.identity(first)
	r.rename(first, "b")
	r.change(first, "newer")
	r.archive(first)
	r.store.mu.Lock()
	r.store.putLocked("a", "first", r.store.blobs["b"].md)
	r.store.mu.Unlock()
	r.record(first, old) // as it was before the commit
	r.archive(r.write("a", "second"))
	r.stop()
	r.wantBlob("b", "newer")
}
