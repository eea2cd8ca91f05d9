package copytool

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
)

// A source is a file as it was when its archive began.
type source struct {
	version  uint64
	attr     Attr
	paths    []string // its names; never empty
	before   *Identity
	imported blobstore.Name // where another tool says the copy is; see foreignLocation
	layout   []byte
	xattrs   map[string][]byte
	// The file was released after the archive was asked for. To read it would
	// restore it.
	isReleased bool
	// A blob that is there already may be deleted at any moment: it is written anew.
	distrust bool
}

// look finds out all that the archive needs to know of the open file. The data
// version comes first: whatever changes afterwards is seen before the commit.
func (j *job) look() (*source, error) {
	s := &source{}
	var err error
	if s.version, err = j.fs.DataVersion(j.file); err != nil {
		return nil, fmt.Errorf("data version: %w", err)
	}
	if s.attr, err = attrOf(j.file); err != nil {
		return nil, fmt.Errorf("stat: %w", err)
	}
	if s.paths, err = j.fs.Paths(j.t.fid); err != nil {
		return nil, fmt.Errorf("path: %w", err)
	}
	return s, j.lookAtXattrs(s)
}

func (j *job) lookAtXattrs(s *source) error {
	names, err := j.fs.List(j.ref)
	if err != nil {
		return fmt.Errorf("list attributes: %w", err)
	}
	j.hasError = slices.Contains(names, ErrorXattr)
	if slices.Contains(names, IdentityXattr) {
		if s.before, err = readIdentity(j.fs, j.ref); err != nil {
			// Unreadable is not absent, but the blob itself tells whose it is.
			j.log.Warn("the file's identity is ignored", "err", err)
		}
	}
	if s.before == nil {
		s.imported = j.foreignLocation(names)
	}
	if s.before != nil || s.imported != "" || s.version == 0 {
		flags, err := j.hsmFlags()
		if err != nil {
			return err
		}
		s.isReleased = flags&llapi.HSReleased != 0
	}
	s.xattrs = j.savedXattrs(names)
	if lov, err := j.fs.Get(j.ref, layoutXattr); err == nil {
		s.layout = layoutTemplate(lov)
	}
	return nil
}

// savedXattrs reads what goes into the blob's metadata: what users and access
// control have put on the file, and nothing that belongs to Lustre or to us.
func (j *job) savedXattrs(names []string) map[string][]byte {
	var saved map[string][]byte
	for _, name := range names {
		if !IsUserXattr(name) {
			continue
		}
		value, err := j.fs.Get(j.ref, name)
		if err != nil {
			if !errors.Is(err, syscall.ENODATA) {
				j.log.Warn("an attribute is not archived", "xattr", name, "err", err)
			}
			continue
		}
		if saved == nil {
			saved = map[string][]byte{}
		}
		saved[name] = value
	}
	return saved
}

// metadata is what the blob will say about the file.
func (j *job) metadata(s *source, path string, name blobstore.Name) map[string]string {
	at := blobstore.Attributes{
		UID: s.attr.UID, GID: s.attr.GID, Mode: s.attr.Mode & 0o7777,
		ModTime: s.attr.Modified, AccessTime: s.attr.Accessed, ChangeTime: s.attr.Changed,
		FSName: j.o.FSName, FID: j.t.fid.String(), DataVersion: s.version,
		Layout: s.layout, Xattrs: s.xattrs, LinkCount: uint32(s.attr.Links), Cookie: j.t.cookie,
	}
	if name.Hashed() {
		at.Path = path
	}
	md, omitted := at.Metadata()
	if len(omitted) > 0 {
		j.log.Warn("attributes do not fit into the blob's metadata", "omitted", omitted)
	}
	return md
}

// unchanged is the last look before a blob is published.
func (j *job) unchanged(s *source) error {
	links, err := linksOf(j.file)
	if err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	if links == 0 {
		return failf(FileVanished, "the file was unlinked while it was archived")
	}
	now, err := j.fs.DataVersion(j.file)
	if err != nil {
		return fmt.Errorf("data version: %w", err)
	}
	if now != s.version {
		return failf(FileChanged, "the file was written while it was archived (data version %#x became %#x); archive it again", s.version, now)
	}
	return nil
}

// holdsContent tells whether a blob that says it is this file's holds what the
// file holds now.
func (s *source) holdsContent(info blobstore.Info, at blobstore.Attributes) bool {
	return !info.Unfinished && at.DataVersion == s.version && info.Size == s.attr.Size && sameTime(at.ModTime, s.attr.Modified)
}

// sameTime leaves out what metadata may not hold: fractions of a second.
func sameTime(a, b time.Time) bool { return a.Unix() == b.Unix() }
