package copytool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
)

// ConflictPolicy says what an archive does with a blob that it finds at its
// name and that is not the file's own copy.
type ConflictPolicy string

// The policies. None of them loses the copy of a file that lives: that is
// moved out of the way under the first two, and the third touches nothing.
const (
	IfOurs    ConflictPolicy = "if-ours"   // replace blobs that this file system wrote, refuse others
	Overwrite ConflictPolicy = "overwrite" // replace others as well
	Fail      ConflictPolicy = "fail"      // refuse
)

// ConflictPolicies are the policies, the default first.
var ConflictPolicies = []ConflictPolicy{IfOurs, Overwrite, Fail}

func (p ConflictPolicy) check() error {
	switch p {
	case IfOurs, Overwrite, Fail:
		return nil
	}
	return fmt.Errorf("conflict policy %q is none of %v", p, ConflictPolicies)
}

// displaced is the folder for copies that cannot have their file's own path as
// a name, since another file's copy has it.
const displaced = ".lhsm_displaced"

// A way is what a look at a name has shown: the condition under which it may
// be written, or that the copy is there already.
type way struct {
	cond blobstore.Condition
	done bool
	info blobstore.Info
}

// clearWay looks at the blob that has the name, and moves it out of the way
// if a living file needs it.
func (j *job) clearWay(ctx context.Context, s *source, name blobstore.Name) (way, error) {
	info, err := j.archive.Store.Stat(ctx, name)
	if errors.Is(err, blobstore.ErrNotFound) {
		return way{cond: blobstore.CreateOnly()}, nil
	}
	if err != nil {
		return way{}, err
	}
	at := attributesOf(info)
	switch {
	case j.owns(at) && s.holdsContent(info, at) && !s.distrust:
		return way{done: true, info: info}, nil
	case j.owns(at), s.imported == name:
		return way{cond: blobstore.IfMatch(info.ETag)}, nil
	}
	cond, err := j.contest(ctx, j.archive, info, map[blobstore.Name]bool{})
	return way{cond: cond}, err
}

// contest decides about a blob of another owner. seen are the names that are
// being cleared already.
func (j *job) contest(ctx context.Context, ar *Archive, info blobstore.Info, seen map[blobstore.Name]bool) (blobstore.Condition, error) {
	at := attributesOf(info)
	owner, err := llapi.ParseFID(at.FID)
	ours := at.FSName == j.o.FSName && (err == nil || at.IsFolder)
	switch {
	case j.o.Conflict == Fail:
		return blobstore.Condition{}, failf(BlobExists, "the blob %q exists and is not this file's; --on-conflict is fail", info.Name)
	case !ours && j.o.Conflict != Overwrite:
		return blobstore.Condition{}, failf(BlobExists, "the blob %q exists and was not written by file system %s; move it away, or allow it with --on-conflict overwrite",
			info.Name, j.o.FSName)
	case ours && !at.IsFolder && !info.Unfinished:
		if err := j.moveAside(ctx, ar, info, owner, seen); err != nil {
			return blobstore.Condition{}, fmt.Errorf("move the copy of %s out of the way: %w", owner, err)
		}
	}
	return blobstore.IfMatch(info.ETag), nil
}

// moveAside gives a blob another name if it is the copy of a living file, and
// tells that file. The blob itself stays for its name's new owner to replace.
// An orphan, whose file is gone or has another copy, is left to be replaced.
func (j *job) moveAside(ctx context.Context, ar *Archive, info blobstore.Info, owner llapi.FID, seen map[blobstore.Name]bool) error {
	for range maxAttempts {
		id, err := readIdentity(j.fs, Ref{FID: owner})
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		// A living file without identity may be one whose archive has just been
		// committed, so its blob is kept as well.
		if id != nil && !id.pointsAt(ar, info.Name) {
			return nil
		}
		paths, err := j.fs.Paths(owner)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		moved, made, err := j.copyAside(ctx, ar, info, owner, paths[0], seen)
		if err != nil {
			return err
		}
		ok, err := j.moveIdentity(ctx, owner, id, movedIdentity(ar, id, info, moved))
		if err != nil {
			return err
		}
		if ok {
			j.Agent.log.Info("a copy was moved out of the way", "fid", owner.String(), "path", paths[0], "from", string(info.Name), "blob", string(moved.Name))
			return nil
		}
		if made {
			j.dropSpare(ctx, ar, owner, moved)
		}
	}
	return failf(BlobChanged, "its identity changed %d times meanwhile", maxAttempts)
}

// dropSpare deletes a copy that we have made of a copy, if its file has got another
// meanwhile. Another mover that cleared the same name may have taken ours for its own
// and told the file of it. For the same reason what somebody else has made stays.
func (j *job) dropSpare(ctx context.Context, ar *Archive, owner llapi.FID, spare blobstore.Info) {
	now, err := readIdentity(j.fs, Ref{FID: owner})
	if err == nil && now != nil && now.pointsAt(ar, spare.Name) {
		return
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = ar.Store.Delete(ctx, spare.Name, spare.ETag)
	}
	if err != nil {
		j.Agent.log.Warn("a spare copy stays in the container", "blob", string(spare.Name), "err", err)
		return
	}
	j.Agent.log.Info("a spare copy is deleted", "fid", owner.String(), "blob", string(spare.Name))
}

// copyAside copies the blob to its owner's present path, or where that name
// cannot be had, to a name of its own. made is false if the copy was there already.
func (j *job) copyAside(ctx context.Context, ar *Archive, info blobstore.Info, owner llapi.FID, path string, seen map[blobstore.Name]bool) (moved blobstore.Info, made bool, err error) {
	seen = maps.Clone(seen)
	seen[info.Name] = true
	if name, err := ar.nameFor(path); err == nil && !seen[name] {
		moved, made, err = j.copyTo(ctx, ar, info, owner, name, seen)
		if err == nil || ctx.Err() != nil {
			return moved, made, err
		}
		j.Agent.log.Info("a copy cannot have its file's path as a name", "fid", owner.String(), "blob", string(name), "err", err)
	}
	at := attributesOf(info)
	name, err := ar.nameFor(fmt.Sprintf("%s/%s-%x", displaced, owner.Bare(), at.DataVersion))
	if err != nil {
		return blobstore.Info{}, false, err
	}
	return j.copyTo(ctx, ar, info, owner, name, seen)
}

// copyTo copies the blob to a name, after clearing that name's way in turn:
// a rotation of logs shifts a whole chain of them.
func (j *job) copyTo(ctx context.Context, ar *Archive, info blobstore.Info, owner llapi.FID, name blobstore.Name, seen map[blobstore.Name]bool) (moved blobstore.Info, made bool, err error) {
	cond := blobstore.CreateOnly()
	there, err := ar.Store.Stat(ctx, name)
	switch {
	case errors.Is(err, blobstore.ErrNotFound):
	case err != nil:
		return blobstore.Info{}, false, err
	case j.isCopyOf(there, info, owner):
		return there, false, nil // of an attempt that was interrupted, or of another mover
	case j.belongsTo(there, owner) && there.Unfinished: // of a copy that was given up; no identity names it
		cond = blobstore.IfMatch(there.ETag)
	case j.belongsTo(there, owner): // perhaps of an archive that has just been committed
		return blobstore.Info{}, false, failf(BlobExists, "the blob %q is another copy of %s", name, owner)
	default:
		if cond, err = j.contest(ctx, ar, there, seen); err != nil {
			return blobstore.Info{}, false, err
		}
	}
	moved, err = ar.Store.Copy(ctx, info.Name, name, blobstore.CopyOptions{SourceIfMatch: info.ETag, Condition: cond})
	moved.Name = name
	return moved, err == nil, err
}

func (a *Agent) belongsTo(info blobstore.Info, owner llapi.FID) bool {
	at := attributesOf(info)
	return at.FSName == a.o.FSName && sameFID(at.FID, owner)
}

// isCopyOf tells whether a blob is a copy of another, and complete: as long as it is not,
// the other must stay as it is.
func (a *Agent) isCopyOf(there, info blobstore.Info, owner llapi.FID) bool {
	return !there.Unfinished && a.belongsTo(there, owner) && there.Size == info.Size && there.HasCRC64 && info.HasCRC64 && there.CRC64 == info.CRC64 &&
		attributesOf(there).DataVersion == attributesOf(info).DataVersion
}

// movedIdentity is the owner's identity with its copy under another name. The
// blob is what was copied, so it, and not the old identity, says what it holds.
// If the new owner of the blob's name never comes to replace it, nobody but the
// old one is there to delete it.
func movedIdentity(ar *Archive, id *Identity, info, moved blobstore.Info) *Identity {
	at := attributesOf(info)
	next := identityOf(ar, info, at.DataVersion, layoutTemplate(at.Layout))
	next.Blob, next.VersionID = BlobRef{moved.Name, moved.ETag}, moved.VersionID
	if id != nil {
		next.Superseded = slices.Clone(id.Superseded)
	}
	next.Superseded = append(next.Superseded, BlobRef{info.Name, info.ETag})
	next.Superseded = next.Superseded[max(0, len(next.Superseded)-maxSuperseded):]
	return next
}

// attributesOf reads what a blob says of itself. Values that make no sense
// leave gaps, and a gap never makes a blob ours.
func attributesOf(info blobstore.Info) blobstore.Attributes {
	at, _ := blobstore.ParseAttributes(info.Metadata)
	return at
}

func sameFID(text string, fid llapi.FID) bool {
	parsed, err := llapi.ParseFID(text)
	return err == nil && parsed == fid
}
