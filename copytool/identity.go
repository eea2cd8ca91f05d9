package copytool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
)

// IdentityXattr is the attribute of a Lustre file that says which blob is its
// copy. Setting it changes neither flags nor data version, and plain users do
// not see it.
const IdentityXattr = "trusted.lhsm_azblob"

// Bounds of what is kept in an identity. Attributes that outgrow the inode
// cost every stat of the file another block.
const (
	maxIdentity   = 64 << 10 // bytes; no attribute is larger, so what could be written can be read
	maxSuperseded = 8
	maxLayout     = 1 << 10 // bytes of a lustre.lov
)

// A BlobRef is one state of one blob.
type BlobRef struct {
	Name blobstore.Name `json:"name"`
	ETag string         `json:"etag"`
}

// An Identity is what [IdentityXattr] holds: the file's copy, and what a
// restore needs to know about it without asking the container.
type Identity struct {
	Account     string
	Container   string
	Blob        BlobRef
	VersionID   string
	Size        int64 // bytes
	CRC64       uint64
	HasCRC64    bool
	ZeroBlocks  int    // of the blob, as [blobstore.Info] has them
	DataVersion uint64 // of the file when it was archived
	Time        time.Time
	// Layout is the stripe layout to restore into. LayoutInBlob says that it
	// is too long to be kept here: the blob's metadata has it.
	Layout       []byte
	LayoutInBlob bool
	// Superseded are blobs of the same container that were this file's copy
	// under another name, and that nobody has deleted yet.
	Superseded []BlobRef
	// Archives are the cookies of the archives of this data version that have recorded
	// the copy, or found it recorded. What they rely on must not be removed before they
	// have ended. Copytools of before this field was leave it empty.
	Archives []uint64
}

// identityForm is an identity as it is stored. Keys are short for the sake of
// the inode and never change their meaning; Version does.
type identityForm struct {
	Version      int            `json:"v"`
	Account      string         `json:"acct"`
	Container    string         `json:"ctr"`
	Name         blobstore.Name `json:"name"`
	ETag         string         `json:"etag"`
	VersionID    string         `json:"ver,omitempty"`
	Size         int64          `json:"size"`
	CRC64        string         `json:"crc,omitempty"`
	ZeroBlocks   int            `json:"zeros,omitempty"`
	DataVersion  uint64         `json:"dv"`
	Time         time.Time      `json:"t"`
	Layout       []byte         `json:"lov,omitempty"`
	LayoutInBlob bool           `json:"lovblob,omitempty"`
	Superseded   []BlobRef      `json:"old,omitempty"`
	Archives     []uint64       `json:"arch,omitempty"`
}

const identityVersion = 1

// ParseIdentity decodes the value of [IdentityXattr].
func ParseIdentity(b []byte) (Identity, error) {
	var f identityForm
	if len(b) > maxIdentity {
		return Identity{}, fmt.Errorf("parse %s: %d bytes, at most %d are expected", IdentityXattr, len(b), maxIdentity)
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return Identity{}, fmt.Errorf("parse %s: %w", IdentityXattr, err)
	}
	if f.Version != identityVersion {
		return Identity{}, fmt.Errorf("parse %s: form %d, this copytool knows form %d; a newer one wrote it", IdentityXattr, f.Version, identityVersion)
	}
	if f.Account == "" || f.Container == "" || f.Name == "" || f.ETag == "" || f.Size < 0 || f.ZeroBlocks < 0 {
		return Identity{}, fmt.Errorf("parse %s: it names no blob", IdentityXattr)
	}
	if err := f.Name.Check(); err != nil {
		return Identity{}, fmt.Errorf("parse %s: %w", IdentityXattr, err)
	}
	id := Identity{
		Account: f.Account, Container: f.Container, Blob: BlobRef{f.Name, f.ETag}, VersionID: f.VersionID, Size: f.Size, ZeroBlocks: f.ZeroBlocks,
		DataVersion: f.DataVersion, Time: f.Time, Layout: f.Layout, LayoutInBlob: f.LayoutInBlob, Superseded: f.Superseded, Archives: f.Archives,
	}
	if f.CRC64 != "" {
		crc, err := strconv.ParseUint(f.CRC64, 16, 64)
		if err != nil {
			return Identity{}, fmt.Errorf("parse %s: CRC-64 %q: %w", IdentityXattr, f.CRC64, err)
		}
		id.CRC64, id.HasCRC64 = crc, true
	}
	return id, nil
}

// Encode returns the value for [IdentityXattr].
func (id Identity) Encode() ([]byte, error) {
	f := identityForm{
		Version: identityVersion, Account: id.Account, Container: id.Container, Name: id.Blob.Name, ETag: id.Blob.ETag, VersionID: id.VersionID,
		Size: id.Size, ZeroBlocks: id.ZeroBlocks, DataVersion: id.DataVersion, Time: id.Time.UTC().Truncate(time.Second), Layout: id.Layout, LayoutInBlob: id.LayoutInBlob,
		Superseded: id.Superseded, Archives: id.Archives,
	}
	if id.HasCRC64 {
		f.CRC64 = fmt.Sprintf("%016x", id.CRC64)
	}
	return json.Marshal(f)
}

// Claims tells whether a blob claims to be the copy of the file, whatever its ETag
// is by now, in a way that a download proves: somebody may have changed its
// metadata.
func (id *Identity) Claims(info blobstore.Info, fsname string, fid llapi.FID) bool {
	return id.HasCRC64 && info.HasCRC64 && id.CRC64 == info.CRC64 && id.Size == info.Size && isCopyOf(attributesOf(info), fsname, fid)
}

// isCopyOf tells whether a blob says that it is the file's.
func isCopyOf(at blobstore.Attributes, fsname string, fid llapi.FID) bool {
	return !at.IsFolder && at.FSName == fsname && sameFID(at.FID, fid)
}

// pointsAt tells whether the file's copy is the named blob of the archive.
func (id *Identity) pointsAt(a *Archive, name blobstore.Name) bool {
	return a.holds(id.Account, id.Container) && id.Blob.Name == name
}

// identityOf makes the identity of a blob that was just written or found.
func identityOf(a *Archive, info blobstore.Info, version uint64, layout []byte) *Identity {
	id := &Identity{
		Account: a.Account, Container: a.Container, Blob: BlobRef{info.Name, info.ETag}, VersionID: info.VersionID,
		Size: info.Size, CRC64: info.CRC64, HasCRC64: info.HasCRC64, ZeroBlocks: info.ZeroBlocks, DataVersion: version, Time: time.Now(),
	}
	if len(layout) <= maxLayout {
		id.Layout = layout
	} else {
		id.LayoutInBlob = true
	}
	return id
}

// ImportedIdentity is the identity of a file that is made of a blob: it has not been
// archived in its present life, so no version of its data is that of the copy.
func ImportedIdentity(account, container string, info blobstore.Info) *Identity {
	return identityOf(&Archive{Account: account, Container: container}, info, 0, layoutTemplate(attributesOf(info).Layout))
}

// IsUserXattr tells whether an attribute goes with a file's data into the archive and
// back: what users and access control have put there.
func IsUserXattr(name string) bool {
	return strings.HasPrefix(name, "user.") || strings.HasPrefix(name, "system.posix_acl_") || name == "security.capability"
}

// readIdentity returns nil where the file has none, and fs.ErrNotExist where
// there is no file.
func readIdentity(x Xattrs, r Ref) (*Identity, error) {
	b, err := x.Get(r, IdentityXattr)
	if errors.Is(err, syscall.ENODATA) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the identity of %s: %w", r.FID, err)
	}
	id, err := ParseIdentity(b)
	if err != nil {
		return nil, fmt.Errorf("read the identity of %s: %w", r.FID, err)
	}
	return &id, nil
}

func writeIdentity(x Xattrs, r Ref, id *Identity, mode SetMode) error {
	b, err := id.Encode()
	if err == nil {
		err = x.Set(r, IdentityXattr, b, mode)
	}
	if err != nil {
		return fmt.Errorf("write the identity of %s: %w", r.FID, err)
	}
	return nil
}

// sameCopy tells whether two states of an identity mean the same blob.
func sameCopy(a, b *Identity) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Account == b.Account && a.Container == b.Container && a.Blob == b.Blob
}

// record makes mine the identity of the file, and notes in it what it supersedes. The
// identity that it returns may be another's: see recordClaimed.
func (j *job) record(ctx context.Context, s *source, mine *Identity) (*Identity, error) {
	if s.before == nil && j.wrote == mine.Blob {
		err := writeIdentity(j.fs, j.ref, mine, SetCreate)
		if err == nil {
			// A remove that comes later sees whose identity it is, and waits for our end.
			there, err := readClaim(j.fs, j.ref)
			if err == nil && there == nil {
				return mine, nil
			}
		} else if !errors.Is(err, syscall.EEXIST) {
			return nil, err
		}
	}
	held, err := j.takeClaim(ctx, j.ref)
	if err != nil {
		return nil, err
	}
	defer held.giveBack()
	if s.distrust = held.afterRemove; s.distrust && j.wrote != mine.Blob {
		return nil, errCopyGone
	}
	return j.recordClaimed(ctx, s, mine)
}

// errCopyGone is that a blob which was found to be the file's copy is none any more.
var errCopyGone = &Failure{BlobChanged, errors.New("the copy was deleted, or is about to be, when it was to be recorded")}

// recordClaimed is for who has the claim. Somebody may have
// recorded something else since the archive began: put the copy aside, or on another
// mover archived the same data, or newer. Theirs is kept then, and the blob at our name
// is another file's by now, or to be deleted.
func (j *job) recordClaimed(ctx context.Context, s *source, mine *Identity) (*Identity, error) {
	now, err := readIdentity(j.fs, j.ref)
	if err != nil {
		now = nil // unreadable; it was said at the beginning
	}
	switch {
	case now != nil && now.DataVersion == mine.DataVersion:
		there, err := j.isThere(ctx, now)
		if err != nil {
			return nil, err
		}
		now.Archives = append(j.stillAlive(now.Archives), j.t.cookie)
		if there {
			return now, j.leaveIdentity(now, mine)
		}
		mine.Archives = now.Archives
	case now != nil && !sameCopy(now, s.before):
		version, err := j.fs.DataVersion(j.file)
		if err != nil {
			return nil, fmt.Errorf("data version: %w", err)
		}
		if version != mine.DataVersion {
			return nil, errors.Join(j.leaveIdentity(now, mine), failf(FileChanged, "the file was written, and archived anew, while its copy was made"))
		}
	}
	if j.wrote != mine.Blob {
		there, err := j.isThere(ctx, mine)
		switch {
		case err != nil:
			return nil, err
		case !there:
			return nil, errCopyGone
		}
	}
	mine.Superseded = superseded(now, mine)
	return mine, writeIdentity(j.fs, j.ref, mine, SetAny)
}

// isThere tells whether the blob of an identity is in the container that the file is
// to be archived into.
func (j *job) isThere(ctx context.Context, id *Identity) (bool, error) {
	switch {
	case !j.archive.holds(id.Account, id.Container):
		return false, nil
	case id.Blob == j.wrote:
		return true, nil
	}
	info, err := j.archive.Store.Stat(ctx, id.Blob.Name)
	if errors.Is(err, blobstore.ErrNotFound) {
		return false, nil
	}
	return err == nil && info.ETag == id.Blob.ETag, err
}

// leaveIdentity leaves the identity to another's copy. Ours is to be deleted.
func (j *job) leaveIdentity(now, mine *Identity) error {
	if now.Blob.Name != mine.Blob.Name && now.Account == mine.Account && now.Container == mine.Container {
		now.Superseded = append(now.Superseded, mine.Blob)
		now.Superseded = now.Superseded[max(0, len(now.Superseded)-maxSuperseded):]
	}
	return writeIdentity(j.fs, j.ref, now, SetAny)
}

// forgetSuperseded leaves only some of the superseded blobs in an identity, if it still
// is the file's.
func (j *job) forgetSuperseded(ctx context.Context, id *Identity, left []BlobRef) error {
	held, err := j.takeClaim(ctx, j.ref)
	if err != nil {
		return err
	}
	defer held.giveBack()
	now, err := readIdentity(j.fs, j.ref)
	if err != nil || !sameCopy(now, id) {
		return err
	}
	now.Superseded = left
	return writeIdentity(j.fs, j.ref, now, SetAny)
}

// moveIdentity points a file's identity at a copy of its blob, unless it has
// changed since it was read as before. That somebody else has moved the copy to
// the same place is as good.
func (j *job) moveIdentity(ctx context.Context, fid llapi.FID, before, moved *Identity) (bool, error) {
	r := Ref{FID: fid}
	if before == nil {
		err := writeIdentity(j.fs, r, moved, SetCreate)
		if !errors.Is(err, syscall.EEXIST) {
			return err == nil, err
		}
	}
	held, err := j.takeClaim(ctx, r)
	if err != nil {
		return false, err
	}
	defer held.giveBack()
	now, err := readIdentity(j.fs, r)
	switch {
	case err != nil:
		return false, err
	case sameCopy(now, moved):
		return true, nil
	case before == nil || !sameCopy(now, before):
		return false, nil
	}
	moved.Archives = now.Archives
	return true, writeIdentity(j.fs, r, moved, SetAny)
}

// ignore returns nil in place of an error that is as good as success.
func ignore(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}
