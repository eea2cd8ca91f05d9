package copytool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
)

// doRemove deletes the file's copy. The file is often gone by now, and its
// identity with it. The library has nothing to do for a remove before its end, so it
// is begun last: until then it can wait for another action, and begin anew.
func (j *job) doRemove(ctx context.Context) error {
	names, err := j.fs.List(j.ref)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = j.removeOfVanished(ctx)
	case err != nil:
		return fmt.Errorf("list attributes: %w", err)
	default:
		err = j.removeOfLiving(ctx, names)
	}
	if err != nil {
		return err
	}
	return j.begin(-1, 0)
}

func (j *job) removeOfLiving(ctx context.Context, names []string) error {
	j.findPath()
	j.hasError = slices.Contains(names, ErrorXattr)
	held, err := j.takeClaim(ctx, j.ref)
	switch {
	case VerdictFor(err).Code == Busy:
		return &waitError{err}
	case err != nil:
		return err
	}
	j.claim = held // until the end is taken
	if err := j.forbidRelease(); err != nil {
		return err
	}
	if err := j.removeCopy(ctx, names); err != nil {
		return err
	}
	return j.forgetCopy()
}

func (j *job) removeCopy(ctx context.Context, names []string) error {
	id, err := readIdentity(j.fs, j.ref)
	if err != nil {
		return err
	}
	if id != nil {
		if err := j.await(id.Archives...); err != nil {
			return err
		}
		return j.removeIdentified(ctx, id)
	}
	return j.removeUnidentified(ctx, names)
}

func (j *job) removeIdentified(ctx context.Context, id *Identity) error {
	if err := j.deleteCopy(ctx, id); err != nil {
		return err
	}
	j.recent.drop(j.t.fid)
	if err := j.claim.check(); err != nil {
		return err
	}
	if err := j.fs.Set(j.ref, IdentityXattr, nil, SetAny); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("drop the identity: %w", err)
	}
	return nil
}

// deleteCopy deletes the blob of an identity, and those it superseded.
func (j *job) deleteCopy(ctx context.Context, id *Identity) error {
	p, err := j.placeOf(id)
	if err != nil {
		return err
	}
	j.blob = p.name
	for _, old := range id.Superseded {
		err := j.deleteBlob(ctx, p.archive, old.Name, old.ETag)
		if err != nil && !errors.Is(err, blobstore.ErrNotFound) && !errors.Is(err, blobstore.ErrChanged) {
			return err
		}
	}
	err = j.deleteBlob(ctx, p.archive, p.name, id.Blob.ETag)
	switch {
	case errors.Is(err, blobstore.ErrNotFound):
		return nil
	case errors.Is(err, blobstore.ErrChanged):
		return j.deleteIfOurs(ctx, p.archive, p.name)
	}
	return err
}

// deleteBlob deletes one state of a blob, after a last look whether the remove is still
// wanted: it may have been stopped for so long that somebody else has ended it, and a
// newer archive found the blob there.
func (j *job) deleteBlob(ctx context.Context, ar *Archive, name blobstore.Name, etag string) error {
	if err := j.stillWanted(); err != nil {
		return err
	}
	if j.claim != nil {
		if err := j.claim.check(); err != nil {
			return err
		}
		// An archive that has ended since the first look has made a release possible again.
		if err := j.forbidRelease(); err != nil {
			return err
		}
	}
	return ar.Store.Delete(ctx, name, etag)
}

// errNotOurs is the refusal of a blob that does not say whose it is.
var errNotOurs = errors.New("the blob does not say that it is this file's copy")

// deleteIfOurs deletes a blob that says it is this file's. One that says it is
// another's means that ours is gone already.
func (j *job) deleteIfOurs(ctx context.Context, ar *Archive, name blobstore.Name) error {
	for range maxAttempts {
		info, err := ar.Store.Stat(ctx, name)
		if errors.Is(err, blobstore.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		at := attributesOf(info)
		if !j.owns(at) {
			if at.FID != "" || at.IsFolder {
				return nil
			}
			return failf(BlobChanged, "delete blob %q: %w; delete it by hand if it is", name, errNotOurs)
		}
		if err := j.await(at.Cookie); err != nil {
			return err // its archive is about to record it
		}
		err = j.deleteBlob(ctx, ar, name, info.ETag)
		if !errors.Is(err, blobstore.ErrChanged) {
			return ignore(err, blobstore.ErrNotFound)
		}
	}
	return failf(BlobChanged, "the blob %q changed %d times while it was deleted", name, maxAttempts)
}

// removeUnidentified is for a file that lives and does not say where its copy
// is, or that never had one.
func (j *job) removeUnidentified(ctx context.Context, names []string) error {
	if name := j.foreignLocation(names); name != "" {
		return j.deleteNamed(ctx, name)
	}
	if found, err := j.deleteAsked(ctx); found || err != nil {
		return err
	}
	paths, err := j.fs.Paths(j.t.fid)
	if err != nil {
		return fmt.Errorf("path: %w", err)
	}
	j.setPath(paths[0])
	name, err := j.archive.nameFor(j.path)
	if err != nil {
		return err
	}
	j.blob = name
	err = j.deleteIfOurs(ctx, j.archive, name)
	if !errors.Is(err, errNotOurs) {
		return err
	}
	if flags, ferr := j.hsmFlags(); ferr == nil && flags&llapi.HSArchived == 0 {
		return nil // somebody else's: the reason why ours was never made
	}
	return err
}

// hsmFlags are what Lustre says of the file; none for one that HSM never saw.
func (j *job) hsmFlags() (llapi.StateFlags, error) {
	flags, err := j.fs.Flags(j.ref)
	if err != nil {
		return 0, fmt.Errorf("read the HSM state: %w", err)
	}
	return flags, nil
}

// removeOfVanished goes by what the request says, then by what this process
// remembers.
func (j *job) removeOfVanished(ctx context.Context) error {
	if found, err := j.deleteAsked(ctx); found || err != nil {
		return err
	}
	if id := j.recent.get(j.t.fid); id != nil {
		if err := j.deleteCopy(ctx, id); err != nil {
			return err
		}
		j.recent.drop(j.t.fid)
		return nil
	}
	if len(j.askedNames()) > 0 {
		return nil // what was named is not there
	}
	return failf(BlobUnknown, `the file is gone, and nothing says which blob was its copy; name it: lfs hsm_remove --archive ID --mntpath MOUNT --data '{"file_id": "PATH"}' %s`, j.t.fid)
}

// deleteAsked deletes the first of the blobs that the request can mean, if there is one.
func (j *job) deleteAsked(ctx context.Context) (found bool, err error) {
	for _, name := range j.askedNames() {
		_, err := j.archive.Store.Stat(ctx, name)
		if errors.Is(err, blobstore.ErrNotFound) {
			continue
		}
		if err != nil {
			return false, err
		}
		return true, j.deleteNamed(ctx, name)
	}
	return false, nil
}

// deleteNamed deletes a blob that somebody named. One without a FID is taken
// at its namer's word: other tools write none.
func (j *job) deleteNamed(ctx context.Context, name blobstore.Name) error {
	j.blob = name
	info, err := j.archive.Store.Stat(ctx, name)
	if errors.Is(err, blobstore.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	at := attributesOf(info)
	switch {
	case at.IsFolder:
		return failf(BlobUnknown, "the blob %q is the marker of a directory, not a file's copy", name)
	case at.FID != "" && !j.owns(at):
		j.log.Info("the blob is another file's copy and stays", "blob", string(name), "owner", at.FID)
		return nil
	}
	if j.owns(at) {
		if err := j.await(at.Cookie); err != nil {
			return err
		}
	}
	return ignore(j.deleteBlob(ctx, j.archive, name, info.ETag), blobstore.ErrNotFound)
}

// askedNames are the blobs that the request's opaque data can mean: a path, as
// Lemur's tools send it, below the prefix or including it. What is outside of the
// prefix belongs to others.
func (j *job) askedNames() []blobstore.Name {
	path := fileID(j.t.item.Data)
	if path == "" {
		return nil
	}
	var names []blobstore.Name
	if name, err := j.archive.nameFor(path); err == nil {
		names = append(names, name)
	}
	raw := blobstore.Name(path)
	if j.archive.within(raw) && !slices.Contains(names, raw) && raw.Check() == nil {
		names = append(names, raw)
	}
	return names
}

// fileID reads {"file_id": "path"} from a request's data. Other tools' data is
// not an error: requests carry what their policy engines like.
func fileID(data []byte) string {
	var request struct {
		FileID string `json:"file_id"`
	}
	text := strings.TrimRight(string(data), "\x00 \n")
	if err := json.Unmarshal([]byte(text), &request); err != nil {
		return ""
	}
	return strings.Trim(request.FileID, "/")
}
