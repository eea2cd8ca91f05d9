package copytool

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
)

// maxAttempts is how often a publication may find that the blob at its name
// has changed since it looked.
const maxAttempts = 5

// doArchive makes a blob of the file, or finds that it is one already.
func (j *job) doArchive(ctx context.Context) error {
	if err := j.begin(-1, 0); err != nil {
		return err
	}
	j.ref.File = j.file
	src, err := j.look()
	if err != nil {
		return err
	}
	j.sched.sized(j.t, src.attr.Size)
	j.setSize(src.attr.Size)
	if src.isReleased {
		j.setPath(src.paths[0])
		return nil // its data are in the container only, as they were archived
	}
	if err := j.archivable(); err != nil {
		j.setPath(src.paths[0])
		return err
	}
	path, name, err := j.chooseName(src)
	if err != nil {
		return err
	}
	j.setPath(path)
	j.blob = name
	for range maxAttempts {
		var info blobstore.Info
		if info, err = j.publish(ctx, src, path, name); err != nil {
			return err
		}
		j.blob = info.Name
		if err = j.recordCopy(ctx, src, info); !errors.Is(err, errCopyGone) {
			break
		}
	}
	if err != nil {
		return err
	}
	j.markParents(ctx)
	return nil
}

// unlessReleased gives the failure of an archive its name if the file was released in the
// meantime: what another archive has made serves. After 2.17 (LU-19829) a failure with
// any other number makes an archived file dirty, and Lustre restores no dirty file: nobody
// could read it any more.
func (j *job) unlessReleased(err error) error {
	if err == nil || j.t.item.Action != llapi.ActionArchive {
		return err
	}
	if code := codeOf(err); code == Forgotten || code == AlreadyArchived { // the second: it is owed
		return err
	}
	if flags, ferr := j.hsmFlags(); ferr != nil || flags&llapi.HSReleased == 0 {
		return err
	}
	return failf(AlreadyArchived, "the file was released before this archive of it ended; the copy of another one serves: %w", err)
}

// stillRecorded fails if the file does not say any more that this archive relies on
// its copy: for an end that is said long after the copy was recorded.
func (j *job) stillRecorded() error {
	now, err := readIdentity(j.fs, j.ref)
	switch {
	case err != nil:
		return err
	case now == nil || now.DataVersion != j.version || !slices.Contains(now.Archives, j.t.cookie):
		return failf(FileChanged, "the copy was removed, or replaced by a newer one, before its archive ended; archive the file again")
	}
	return nil
}

// chooseName keeps the name of the copy there is, as long as it still is one
// of the file's.
func (j *job) chooseName(s *source) (path string, name blobstore.Name, err error) {
	for _, p := range s.paths {
		n, err := j.archive.nameFor(p)
		if err != nil {
			return p, "", fmt.Errorf("name for %q: %w", p, err)
		}
		if path == "" {
			path, name = p, n
		}
		if s.before != nil && s.before.pointsAt(j.archive, n) {
			return p, n, nil
		}
	}
	return path, name, nil
}

// publish uploads the file under the condition that nobody else's blob, and no
// state of our own that we do not know, is replaced.
func (j *job) publish(ctx context.Context, s *source, path string, name blobstore.Name) (blobstore.Info, error) {
	if info, ok := j.alreadyThere(ctx, s); ok && !s.distrust {
		return info, nil
	}
	w := way{cond: blobstore.CreateOnly()}
	if s.before != nil && s.before.pointsAt(j.archive, name) {
		w.cond = blobstore.IfMatch(s.before.Blob.ETag)
	}
	look := j.t.adopted // then it may have been committed
	for range maxAttempts {
		if look {
			var err error
			if w, err = j.clearWay(ctx, s, name); err != nil {
				return blobstore.Info{}, err
			}
			if w.done {
				return w.info, nil
			}
		}
		info, err := j.upload(ctx, s, path, name, w.cond)
		if err == nil {
			return info, nil
		}
		if !errors.Is(err, blobstore.ErrExists) && !errors.Is(err, blobstore.ErrChanged) {
			return blobstore.Info{}, err
		}
		look = true
	}
	return blobstore.Info{}, failf(BlobChanged, "the blob %q changed %d times while it was written", name, maxAttempts)
}

// alreadyThere asks whether the copy that the identity names is there and is
// what the file holds: the coordinator sends the same archive twice, and an
// archive whose end was lost is asked for again.
func (j *job) alreadyThere(ctx context.Context, s *source) (blobstore.Info, bool) {
	id := s.before
	if id == nil || id.DataVersion != s.version || id.Size != s.attr.Size || !j.archive.holds(id.Account, id.Container) {
		return blobstore.Info{}, false
	}
	info, err := j.archive.Store.Stat(ctx, id.Blob.Name)
	if err != nil || info.ETag != id.Blob.ETag {
		return blobstore.Info{}, false
	}
	at := attributesOf(info)
	return info, j.owns(at) && at.DataVersion == s.version
}

// owns tells whether a blob says that it is this file's.
func (j *job) owns(at blobstore.Attributes) bool {
	return isCopyOf(at, j.o.FSName, j.t.fid)
}

func (j *job) upload(ctx context.Context, s *source, path string, name blobstore.Name, cond blobstore.Condition) (blobstore.Info, error) {
	j.t.moved.Store(0)
	info, err := j.archive.Store.Upload(ctx, name, j.file, s.attr.Size, blobstore.UploadOptions{
		Condition:    cond,
		Metadata:     j.metadata(s, path, name),
		BeforeCommit: func() error { return j.unchanged(s) },
		Progress:     j.t.moved.Store,
		Resume:       j.t.resumable(s.version),
		Staged:       func(b blobstore.StagedBlock) { j.o.Journal.staged(j.t, s.version, b) },
		NextData:     j.dataOf(s),
	})
	if err == nil {
		j.bytes, j.wrote = s.attr.Size, BlobRef{name, info.ETag}
		j.t.moved.Store(s.attr.Size)
		j.metrics.archived.Add(float64(s.attr.Size))
		return info, nil
	}
	// A file that shrinks under the upload fails in many ways; the version tells.
	var known *Failure
	if !errors.As(err, &known) && ctx.Err() == nil {
		if changed := j.unchanged(s); changed != nil {
			return blobstore.Info{}, changed
		}
	}
	return blobstore.Info{}, err
}

// recordCopy writes the identity. Blobs that it supersedes are deleted when the
// coordinator has taken the success, and not before.
func (j *job) recordCopy(ctx context.Context, s *source, info blobstore.Info) error {
	mine := identityOf(j.archive, info, s.version, s.layout)
	mine.Archives = []uint64{j.t.cookie}
	mine, err := j.record(ctx, s, mine)
	if err != nil {
		return err
	}
	j.recent.put(j.t.fid, mine)
	j.version = s.version
	j.afterwards = func(ctx context.Context) { j.deleteSuperseded(ctx, mine) }
	return nil
}

// superseded are the blobs that nobody needs once id is the file's copy.
func superseded(before, id *Identity) []BlobRef {
	if before == nil || before.Account != id.Account || before.Container != id.Container {
		return nil
	}
	old := slices.Clone(before.Superseded)
	if before.Blob.Name != id.Blob.Name {
		old = append(old, before.Blob)
	}
	// A name that is the file's copy again is not to be deleted.
	old = slices.DeleteFunc(old, func(r BlobRef) bool { return r.Name == id.Blob.Name })
	return old[max(0, len(old)-maxSuperseded):]
}

// deleteSuperseded deletes what the file's copy has replaced, each under the
// ETag that was recorded: a blob that is another's by now stays.
func (j *job) deleteSuperseded(ctx context.Context, id *Identity) {
	if len(id.Superseded) == 0 {
		return
	}
	left := slices.DeleteFunc(slices.Clone(id.Superseded), func(r BlobRef) bool { return j.deleteOld(ctx, r) })
	if len(left) == len(id.Superseded) {
		return
	}
	if err := j.forgetSuperseded(ctx, id, left); err != nil {
		j.log.Debug("forget superseded blobs", "err", err)
	}
}

// deleteOld tells whether there is nothing left to delete.
func (j *job) deleteOld(ctx context.Context, r BlobRef) bool {
	err := j.archive.Store.Delete(ctx, r.Name, r.ETag)
	switch {
	case err == nil:
		j.log.Info("the blob at the file's former path is deleted", "blob", string(r.Name))
		return true
	case errors.Is(err, blobstore.ErrNotFound), errors.Is(err, blobstore.ErrChanged):
		return true
	}
	j.log.Warn("the blob at the file's former path stays; the next archive tries again", "blob", string(r.Name), "err", err)
	return false
}
