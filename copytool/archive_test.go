package copytool

import (
	"context"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
)

func TestArchiveOfANewFileIsOneRequest(t *testing.T) {
	r := newRig(t)
	fid := r.write("f", "content")
	r.archive(fid)
	if got := r.store.log(); !slices.Equal(got, []string{"put f"}) {
		t.Errorf("requests: %q, want one put", got)
	}
	r.wantBlob("f", "content")
	id := r.identity(fid)
	if id.Blob.Name != "f" || id.Size != 7 || !id.HasCRC64 || id.Account != "acct" || id.Container != "ctr" {
		t.Errorf("identity: %+v", id)
	}
}

func TestArchiveSaysInMetadataWhoseItIs(t *testing.T) {
	r := newRig(t)
	fid := r.write("f", "content")
	r.setXattr(fid, "user.note", "keep me")
	r.setXattr(fid, "trusted.lov", "not me")
	r.archive(fid)
	info, err := r.store.Stat(t.Context(), "f")
	if err != nil {
		t.Fatal(err)
	}
	at, err := blobstore.ParseAttributes(info.Metadata)
	if err != nil {
		t.Fatal(err)
	}
	if at.FSName != "lustre" || !sameFID(at.FID, fid) || at.DataVersion != r.identity(fid).DataVersion || at.Mode != 0o644 {
		t.Errorf("attributes: %+v", at)
	}
	if string(at.Xattrs["user.note"]) != "keep me" || len(at.Xattrs) != 1 {
		t.Errorf("attributes in metadata: %q, want user.note only", at.Xattrs)
	}
}

// TestArchiveTwiceAtOnce: the coordinator sends both, with two cookies.
func TestArchiveTwiceAtOnce(t *testing.T) {
	r := newRig(t)
	fid := r.write("f", "content")
	a, b := r.item(llapi.ActionArchive, fid), r.item(llapi.ActionArchive, fid)
	r.send(a, b)
	if x, y := r.wait(a), r.wait(b); x != 0 || y != 0 {
		t.Errorf("ended with %v and %v, want success twice", x, y)
	}
	if got := r.store.log(); !slices.Equal(got, []string{"put f", "head f", "head f"}) {
		t.Errorf("requests: %q; the second archive must only look, and again when nobody can remove it any more", got)
	}
}

func TestArchiveAgainReplacesOurOwn(t *testing.T) {
	r := newRig(t)
	fid := r.write("f", "one")
	r.archive(fid)
	r.store.log()
	r.change(fid, "two")
	r.archive(fid)
	r.wantBlob("f", "two")
	if got := r.store.log(); !slices.Equal(got, []string{"put f"}) {
		t.Errorf("requests: %q, want one put", got)
	}
}

// TestArchiveAfterACrash finds the blob of an archive that died before it
// could write the identity.
func TestArchiveAfterACrash(t *testing.T) {
	r := newRig(t)
	fid := r.write("f", "content")
	r.archive(fid)
	before := r.identity(fid)
	if err := r.Set(Ref{FID: fid}, IdentityXattr, nil, SetAny); err != nil {
		t.Fatal(err)
	}
	r.archive(fid)
	if after := r.identity(fid); after.Blob != before.Blob {
		t.Errorf("the blob was written again: %+v, was %+v", after.Blob, before.Blob)
	}
}

func TestArchiveOfAFileThatIsWritten(t *testing.T) {
	r := newRig(t)
	fid := r.write("f", "one")
	r.store.beforeCommit = func(blobstore.Name) { r.change(fid, "longer") }
	r.want(llapi.ActionArchive, fid, syscall.EBUSY)
	r.wantNoBlob("f")
	r.wantCode(fid, FileChanged)
	if _, ok := r.xattr(fid, IdentityXattr); ok {
		t.Error("a file without a copy got an identity")
	}
	r.store.beforeCommit = nil
	r.archive(fid)
	r.wantBlob("f", "longer")
	if _, ok := r.xattr(fid, ErrorXattr); ok {
		t.Error("the error stayed after a success")
	}
}

// TestArchiveOfAFileThatShrinks runs into the end of the file before the look.
func TestArchiveOfAFileThatShrinks(t *testing.T) {
	r := newRig(t)
	fid := r.write("f", "long content")
	r.store.before = func(_ context.Context, op string, _ blobstore.Name) error {
		if op == "put" {
			r.change(fid, "")
		}
		return nil
	}
	r.want(llapi.ActionArchive, fid, syscall.EBUSY)
	r.wantCode(fid, FileChanged)
}

// TestArchiveOfAFileWrittenAfterTheCommit: only the kernel sees it, at the end.
// The copy is complete, older than the file, and known.
func TestArchiveOfAFileWrittenAfterTheCommit(t *testing.T) {
	r := newRig(t)
	fid := r.write("f", "one")
	r.onSet = func(llapi.FID, string) { r.onSet = nil; r.change(fid, "two") }
	r.want(llapi.ActionArchive, fid, syscall.EBUSY)
	r.wantBlob("f", "one")
	r.archive(fid)
	r.wantBlob("f", "two")
	r.stop()
	if !strings.Contains(r.log.String(), "code=FileChanged") {
		t.Errorf("no code FileChanged in the log:\n%s", r.log)
	}
}

func TestArchiveOfAnUnlinkedFile(t *testing.T) {
	r := newRig(t)
	fid := r.write("f", "one")
	r.store.beforeCommit = func(blobstore.Name) { r.unlink(fid) }
	r.want(llapi.ActionArchive, fid, syscall.ENOENT)
	r.wantNoBlob("f")
	r.want(llapi.ActionArchive, fid, syscall.ENOENT) // begin fails
}

func TestArchiveAfterRename(t *testing.T) {
	r := newRig(t)
	fid := r.write("old", "one")
	r.archive(fid)
	r.rename(fid, "new")
	r.change(fid, "two")
	it := r.item(llapi.ActionArchive, fid)
	r.store.beforeCommit = func(blobstore.Name) { r.wantBlob("old", "one") }
	r.send(it)
	if errno := r.wait(it); errno != 0 {
		t.Fatal(errno)
	}
	r.stop()
	r.wantBlob("new", "two")
	r.wantNoBlob("old")
	if old := r.identity(fid).Superseded; len(old) != 0 {
		t.Errorf("superseded blobs are still recorded: %v", old)
	}
}

// TestArchiveAfterRenameKeepsTheOldCopyUntilTheEnd: when the end fails the old
// blob stays, and the next archive deletes it.
func TestArchiveAfterRenameKeepsTheOldCopyUntilTheEnd(t *testing.T) {
	r := newRig(t)
	fid := r.write("old", "one")
	r.archive(fid)
	r.rename(fid, "new")
	r.change(fid, "two")
	r.onSet = func(_ llapi.FID, name string) {
		if name == IdentityXattr {
			r.onSet = nil
			r.change(fid, "three")
		}
	}
	r.want(llapi.ActionArchive, fid, syscall.EBUSY)
	r.wantBlob("old", "one")
	r.wantBlob("new", "two")
	r.archive(fid)
	r.stop()
	r.wantBlob("new", "three")
	r.wantNoBlob("old")
}

func TestArchiveKeepsTheNameAmongHardLinks(t *testing.T) {
	r := newRig(t)
	fid := r.write("b", "one")
	r.archive(fid)
	r.rename(fid, "a", "b")
	r.change(fid, "two")
	r.archive(fid)
	r.wantBlob("b", "two")
	r.wantNoBlob("a")
}

func TestArchiveRestoresABlobThatVanished(t *testing.T) {
	r := newRig(t)
	fid := r.write("f", "one")
	r.archive(fid)
	r.store.drop("f")
	r.archive(fid) // the same data version, but nothing is there
	r.wantBlob("f", "one")
}

func TestErrorsOfTheServiceHaveCodes(t *testing.T) {
	for _, tt := range []struct {
		err   error
		errno syscall.Errno
		code  Code
	}{
		{blobstore.ErrBusy, syscall.EAGAIN, Throttled},
		{blobstore.ErrNoContainer, syscall.ENODEV, ContainerMissing},
		{blobstore.ErrPermission, syscall.EACCES, AuthFailed},
		{blobstore.ErrImmutable, syscall.EROFS, BlobImmutable},
		{blobstore.ErrUnreachable, syscall.EHOSTUNREACH, AccountUnreachable},
	} {
		t.Run(string(tt.code), func(t *testing.T) {
			r := newRig(t)
			fid := r.write("f", "one")
			r.store.before = func(_ context.Context, op string, n blobstore.Name) error { return fail(op, n, tt.err) }
			r.want(llapi.ActionArchive, fid, tt.errno)
			r.wantCode(fid, tt.code)
			r.log.wait(t, "code="+string(tt.code))
			if got := r.agent.Status().CredentialRefused; got != (tt.code == AuthFailed) {
				t.Errorf("the status says that the credential is refused: %t", got)
			}
			r.store.before = nil
			r.archive(fid)
			r.log.wait(t, "code=OK")
			if r.agent.Status().CredentialRefused {
				t.Error("the status says that the credential is refused, and it works again")
			}
		})
	}
}

// TestOldBlobThatCannotBeDeleted is not forgotten.
func TestOldBlobThatCannotBeDeleted(t *testing.T) {
	r := newRig(t)
	fid := r.write("old", "one")
	r.archive(fid)
	r.rename(fid, "new")
	r.change(fid, "two")
	failed := make(chan struct{})
	r.store.before = func(_ context.Context, op string, n blobstore.Name) error {
		if op != "delete" {
			return nil
		}
		close(failed)
		return fail(op, n, blobstore.ErrImmutable)
	}
	r.archive(fid)
	<-failed
	if old := r.identity(fid).Superseded; len(old) != 1 || old[0].Name != "old" {
		t.Errorf("superseded blobs: %v, want old", old)
	}
	r.store.before = nil
	r.want(llapi.ActionArchive, fid, 0) // the file has not changed, and is there
	r.stop()
	r.wantNoBlob("old")
	r.wantBlob("new", "two")
}

// TestArchiveOfAReleasedFile: to read it would restore it, and what the fake
// gives in its place must not become the copy.
func TestArchiveOfAReleasedFile(t *testing.T) {
	r := newRig(t)
	fid := r.write("f", "content")
	r.archive(fid)
	r.release(fid)
	r.want(llapi.ActionArchive, fid, 0)
	r.wantBlob("f", "content")
	r.want(llapi.ActionRestore, fid, 0)
	if got := r.content(fid); got != "content" {
		t.Errorf("restored %q", got)
	}
}

// TestReleasedDuringItsArchive: another archive has made the copy by which the file was
// released. Newer Lustre takes every number but one for a reason to forget that.
func TestReleasedDuringItsArchive(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		fid := r.write("f", "content")
		r.archive(fid)
		r.change(fid, "content")
		r.store.before = func(_ context.Context, op string, n blobstore.Name) error {
			if op != "put" {
				return nil
			}
			r.release(fid)
			return fail(op, n, blobstore.ErrBusy)
		}
		it := r.owes(llapi.ActionArchive, fid, syscall.ESHUTDOWN)
		time.Sleep(10 * time.Minute) // in which it is said again and again
		r.takeEnds(it)
		if errno := r.wait(it); errno != syscall.EALREADY {
			t.Errorf("ended with %v", errno)
		}
		synctest.Wait()
		if log := r.log.String(); strings.Count(log, "code=AlreadyArchived") != 1 || strings.Count(log, "the file was released before") != 1 {
			t.Errorf("the log:\n%s", log)
		}
		if _, noted := r.files[fid].xattrs[ErrorXattr]; noted {
			t.Error("the file is said to have failed")
		}
		r.store.before = nil
		r.want(llapi.ActionRestore, fid, 0)
		r.wantContent(fid, "content")
	})
}

// TestArchiveOnTwoMoversAtOnce: the other one, which saw the file under another
// name, has recorded its copy first. One blob is enough.
func TestArchiveOnTwoMoversAtOnce(t *testing.T) {
	r := newRig(t)
	fid := r.write("a", "one")
	r.archive(fid)
	r.rename(fid, "b")
	r.change(fid, "two")
	r.store.foreign("c", "two", nil)
	r.store.before = func(_ context.Context, op string, n blobstore.Name) error {
		if op == "put" && n == "b" {
			theirs := r.identity(fid)
			r.mu.Lock()
			theirs.DataVersion = r.files[fid].version
			r.mu.Unlock()
			c, err := r.store.Stat(t.Context(), "c")
			if err != nil {
				return err
			}
			theirs.Blob = BlobRef{"c", c.ETag}
			r.record(fid, theirs)
		}
		return nil
	}
	r.archive(fid)
	r.stop() // when the old blob is gone
	r.wantNoBlob("b")
	r.wantBlob("c", "two")
	if id := r.identity(fid); id.Blob.Name != "c" {
		t.Errorf("the identity names %q", id.Blob.Name)
	}
}

// TestOlderArchiveComesLast: while this mover's blob was on its way, the file was
// renamed and written, and another mover has archived what it holds now. The older
// copy must not become the one that a restore takes.
func TestOlderArchiveComesLast(t *testing.T) {
	r := newRig(t)
	fid := r.write("a", "one")
	r.archive(fid)
	r.rename(fid, "b")
	r.change(fid, "two")
	r.store.foreign("c", "six", nil)
	r.store.afterPut = func(n blobstore.Name) {
		if n != "b" {
			return
		}
		r.change(fid, "six")
		theirs := r.identity(fid)
		r.mu.Lock()
		theirs.DataVersion = r.files[fid].version
		r.mu.Unlock()
		theirs.Blob.Name = "c"
		r.record(fid, theirs)
	}
	r.want(llapi.ActionArchive, fid, syscall.EBUSY)
	if id := r.identity(fid); id.Blob.Name != "c" {
		t.Errorf("the identity names %q, an older copy than the one that was recorded", id.Blob.Name)
	}
}
