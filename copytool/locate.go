package copytool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strings"
	"syscall"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
)

// The attributes in which Lemur, and Microsoft's importer, say where a file's
// copy is: as az://container/name, a URL, or a name in the container. They are
// read, and never written.
var foreignXattrs = []string{"trusted.lhsm_url", "trusted.lhsm_uuid"}

// A place is where a file's copy was found to be.
type place struct {
	archive *Archive
	name    blobstore.Name
	// id is nil where there is no identity. Then info is what a look at the
	// blob showed: only the identity spares that look.
	id   *Identity
	info blobstore.Info
}

func (p *place) size() int64 {
	if p.id != nil {
		return p.id.Size
	}
	return p.info.Size
}

// locate finds the copy to restore the file from. A path is looked at only if
// the file does not say where its copy is.
func (j *job) locate(ctx context.Context) (*place, error) {
	names, err := j.fs.List(j.ref)
	if err != nil {
		return nil, fmt.Errorf("list attributes: %w", err)
	}
	j.hasError = slices.Contains(names, ErrorXattr)
	if slices.Contains(names, IdentityXattr) {
		id, err := readIdentity(j.fs, j.ref)
		if err != nil {
			return nil, err
		}
		if id != nil {
			return j.placeOf(id)
		}
	}
	if name := j.foreignLocation(names); name != "" {
		return j.placeAt(ctx, name)
	}
	return j.placeByPath(ctx)
}

func (j *job) placeOf(id *Identity) (*place, error) {
	ar, err := j.archives.byPlace(id.Account, id.Container)
	if err != nil {
		return nil, err
	}
	return &place{archive: ar, name: id.Blob.Name, id: id}, nil
}

// placeAt is where the file itself says that its copy is.
func (j *job) placeAt(ctx context.Context, name blobstore.Name) (*place, error) {
	j.blob = name
	info, err := j.archive.Store.Stat(ctx, name)
	if err != nil {
		return nil, err
	}
	if info.Unfinished {
		return nil, failf(BlobChanged, "the blob %q is not whole: the copy that is to make it has not ended, or has failed", name)
	}
	return &place{archive: j.archive, name: name, info: info}, nil
}

// findPath finds the file's path for the log, where nothing else needs it.
func (j *job) findPath() {
	if paths, err := j.fs.Paths(j.t.fid); err == nil {
		j.setPath(paths[0])
	}
}

// placeByPath is where the file's present path leads. A blob that says it is
// another living file's is not taken.
func (j *job) placeByPath(ctx context.Context) (*place, error) {
	paths, err := j.fs.Paths(j.t.fid)
	if err != nil {
		return nil, fmt.Errorf("path: %w", err)
	}
	j.setPath(paths[0])
	name, err := j.archive.nameFor(j.path)
	if err != nil {
		return nil, err
	}
	p, err := j.placeAt(ctx, name)
	if err != nil {
		return nil, err
	}
	owner, err := llapi.ParseFID(attributesOf(p.info).FID)
	if err != nil || j.owns(attributesOf(p.info)) || attributesOf(p.info).FSName != j.o.FSName {
		return p, nil
	}
	if _, err := j.fs.Stat(owner); !errors.Is(err, fs.ErrNotExist) {
		return nil, failf(BlobChanged, "the blob %q is the copy of another file, %s", name, owner)
	}
	return p, nil
}

// foreignLocation is the blob that another tool's attributes name, or "".
func (j *job) foreignLocation(names []string) blobstore.Name {
	for _, x := range foreignXattrs {
		if !slices.Contains(names, x) {
			continue
		}
		value, err := j.fs.Get(j.ref, x)
		if err != nil {
			if !errors.Is(err, syscall.ENODATA) {
				j.log.Debug("read another tool's attribute", "xattr", x, "err", err)
			}
			continue
		}
		if name, ok := j.archive.parseForeign(string(value)); ok {
			return name
		}
	}
	return ""
}

// parseForeign understands "az://container/name", "https://host/container/name"
// and "name". A place in another container or account is not ours to read.
func (a *Archive) parseForeign(value string) (blobstore.Name, bool) {
	value = strings.TrimRight(value, "\x00")
	scheme, rest, isURL := strings.Cut(value, "://")
	name, ok := strings.TrimLeft(value, "/"), true
	switch {
	case !isURL:
	case scheme == "az":
		name, ok = strings.CutPrefix(rest, a.Container+"/")
	default:
		name, ok = a.nameInURL(value)
	}
	return blobstore.Name(name), ok && blobstore.Name(name).Check() == nil
}

// nameInURL finds the blob of a URL that has the account in the host's name or, as
// private clouds may, before the container.
func (a *Archive) nameInURL(value string) (string, bool) {
	u, err := url.Parse(value) // undoes escapes, and leaves a SAS behind
	if err != nil {
		return "", false
	}
	if name, ok := strings.CutPrefix(u.Path, "/"+a.Account+"/"+a.Container+"/"); ok {
		return name, true
	}
	account, _, _ := strings.Cut(u.Host, ".")
	name, ok := strings.CutPrefix(u.Path, "/"+a.Container+"/")
	return name, ok && account == a.Account
}
