package copytool

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
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
	maxIdentity   = 16 << 10 // bytes read; the kernel allows 64 KiB
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
	DataVersion uint64 // of the file when it was archived
	Time        time.Time
	// Layout is the stripe layout to restore into. LayoutInBlob says that it
	// is too long to be kept here: the blob's metadata has it.
	Layout       []byte
	LayoutInBlob bool
	// Superseded are blobs of the same container that were this file's copy
	// under another name, and that nobody has deleted yet.
	Superseded []BlobRef
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
	DataVersion  uint64         `json:"dv"`
	Time         time.Time      `json:"t"`
	Layout       []byte         `json:"lov,omitempty"`
	LayoutInBlob bool           `json:"lovblob,omitempty"`
	Superseded   []BlobRef      `json:"old,omitempty"`
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
	if f.Account == "" || f.Container == "" || f.Name == "" || f.ETag == "" || f.Size < 0 {
		return Identity{}, fmt.Errorf("parse %s: it names no blob", IdentityXattr)
	}
	if err := f.Name.Check(); err != nil {
		return Identity{}, fmt.Errorf("parse %s: %w", IdentityXattr, err)
	}
	id := Identity{
		Account: f.Account, Container: f.Container, Blob: BlobRef{f.Name, f.ETag}, VersionID: f.VersionID, Size: f.Size,
		DataVersion: f.DataVersion, Time: f.Time, Layout: f.Layout, LayoutInBlob: f.LayoutInBlob, Superseded: f.Superseded,
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
		Size: id.Size, DataVersion: id.DataVersion, Time: id.Time.UTC().Truncate(time.Second), Layout: id.Layout, LayoutInBlob: id.LayoutInBlob,
		Superseded: id.Superseded,
	}
	if id.HasCRC64 {
		f.CRC64 = fmt.Sprintf("%016x", id.CRC64)
	}
	return json.Marshal(f)
}

// pointsAt tells whether the file's copy is the named blob of the archive.
func (id *Identity) pointsAt(a *Archive, name blobstore.Name) bool {
	return a.holds(id.Account, id.Container) && id.Blob.Name == name
}

// identityOf makes the identity of a blob that was just written or found.
func identityOf(a *Archive, info blobstore.Info, version uint64, layout []byte) *Identity {
	id := &Identity{
		Account: a.Account, Container: a.Container, Blob: BlobRef{info.Name, info.ETag}, VersionID: info.VersionID,
		Size: info.Size, CRC64: info.CRC64, HasCRC64: info.HasCRC64, DataVersion: version, Time: time.Now(),
	}
	if len(layout) <= maxLayout {
		id.Layout = layout
	} else {
		id.LayoutInBlob = true
	}
	return id
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

// recordIdentity makes mine the identity of the file, and notes in it what it
// supersedes. before is what it was when the archive began, and r has the open
// file. Somebody may have recorded something else since: put the copy aside, or
// on another mover archived the same data, or newer. Theirs is kept then, and
// the blob at our name is another file's by now, or to be deleted.
func (a *Agent) recordIdentity(r Ref, before, mine *Identity) (*Identity, error) {
	a.identityMu.Lock()
	defer a.identityMu.Unlock()
	if before == nil {
		err := writeIdentity(a.fs, r, mine, SetCreate)
		if !errors.Is(err, syscall.EEXIST) {
			return mine, err
		}
	}
	now, err := readIdentity(a.fs, r)
	if err == nil && now != nil && !sameCopy(now, before) {
		keep, err := a.isNoOlder(r, now, mine)
		if err != nil {
			return nil, err
		}
		if keep {
			return a.keepIdentity(r, now, mine)
		}
	}
	mine.Superseded = superseded(now, mine)
	return mine, writeIdentity(a.fs, r, mine, SetAny)
}

// isNoOlder tells whether a copy that another has recorded is as good as ours,
// or better: the file is not what we have copied any more.
func (a *Agent) isNoOlder(r Ref, now, mine *Identity) (bool, error) {
	if now.DataVersion == mine.DataVersion {
		return true, nil
	}
	version, err := a.fs.DataVersion(r.File)
	if err != nil {
		return false, fmt.Errorf("data version: %w", err)
	}
	return version != mine.DataVersion, nil
}

// keepIdentity leaves the identity to another's copy. Ours is to be deleted.
func (a *Agent) keepIdentity(r Ref, now, mine *Identity) (*Identity, error) {
	if now.Blob.Name == mine.Blob.Name || now.Account != mine.Account || now.Container != mine.Container {
		return now, nil
	}
	now.Superseded = append(now.Superseded, mine.Blob)
	now.Superseded = now.Superseded[max(0, len(now.Superseded)-maxSuperseded):]
	return now, writeIdentity(a.fs, r, now, SetAny)
}

// forgetSuperseded leaves only some of the superseded blobs in an identity, if
// it still is the file's.
func (a *Agent) forgetSuperseded(r Ref, id *Identity, left []BlobRef) error {
	a.identityMu.Lock()
	defer a.identityMu.Unlock()
	now, err := readIdentity(a.fs, r)
	if err != nil || !sameCopy(now, id) {
		return err
	}
	now.Superseded = left
	return writeIdentity(a.fs, r, now, SetAny)
}

// moveIdentity points a file's identity at a copy of its blob, unless it has
// changed since it was read as before. That somebody else has moved the copy to
// the same place is as good.
func (a *Agent) moveIdentity(fid llapi.FID, before, moved *Identity) (bool, error) {
	a.identityMu.Lock()
	defer a.identityMu.Unlock()
	r := Ref{FID: fid}
	if before == nil {
		err := writeIdentity(a.fs, r, moved, SetCreate)
		if !errors.Is(err, syscall.EEXIST) {
			return err == nil, err
		}
	}
	now, err := readIdentity(a.fs, r)
	switch {
	case err != nil:
		return false, err
	case sameCopy(now, moved):
		return true, nil
	case before == nil || !sameCopy(now, before):
		return false, nil
	}
	return true, writeIdentity(a.fs, r, moved, SetAny)
}

// ignore returns nil in place of an error that is as good as success.
func ignore(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}
