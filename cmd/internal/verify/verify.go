package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/cmd/internal/severity"
	"lhsm-azblob/copytool"
	"lhsm-azblob/jobs"
	"lhsm-azblob/llapi"
)

// A Store is what is asked of a container.
type Store interface {
	Stat(ctx context.Context, n blobstore.Name) (blobstore.Info, error)
	Download(ctx context.Context, n blobstore.Name, dst io.WriterAt, o blobstore.DownloadOptions) (blobstore.Info, error)
}

// A Container is where copies may be.
type Container struct {
	Account, Name string
	Store         Store
}

// Options are what a [Verifier] knows.
type Options struct {
	FSName     string
	Containers []Container
	Deep       bool // read the blobs
}

// A Verdict is what was found of a file, in one word that never changes. It is one
// of those below or, where the copy cannot be had, a [copytool.Code].
type Verdict string

// The verdicts.
const (
	Matches        Verdict = "Matches"        // the copy is what Lustre believes
	NotArchived    Verdict = "NotArchived"    // Lustre does not believe that there is a copy
	NeverArchive   Verdict = "NeverArchive"   // nor does somebody want one
	Dirty          Verdict = "Dirty"          // the file was changed since its archive
	Lost           Verdict = "LostFromHSM"    // Lustre was told that the copy is lost
	NoIdentity     Verdict = "NoIdentity"     // nothing says which blob is the copy
	Superseded     Verdict = "Superseded"     // the copy is of an older archive than the one that Lustre means
	ContentDiffers Verdict = "ContentDiffers" // the bytes are not the file's
	Unreadable     Verdict = "Unreadable"     // Lustre does not show the file
)

// A Result is what was found of a file.
type Result struct {
	Path          string         `json:"path"` // from the root of the file system; see [jobs.EscapePath]
	FID           string         `json:"fid,omitempty"`
	Size          int64          `json:"size"`
	State         string         `json:"state,omitempty"` // as lfs hsm_state prints it
	Blob          string         `json:"blob,omitempty"`
	Verdict       Verdict        `json:"verdict"`
	Level         severity.Level `json:"level"`
	Released      bool           `json:"released"`
	SafeToRelease bool           `json:"safeToRelease"`
	Deep          bool           `json:"deep"` // the blob's bytes were read and found right
	Why           string         `json:"why,omitempty"`
}

// A Verifier looks at files. It is safe for concurrent use.
type Verifier struct{ o Options }

// New makes a Verifier.
func New(o Options) *Verifier { return &Verifier{o} }

// File looks at a file and its copy.
func (v *Verifier) File(ctx context.Context, f *jobs.File) Result {
	c := &comparison{Verifier: v, file: f, result: Result{
		Path: jobs.EscapePath(f.Path), FID: f.FID.String(), Size: f.Size, State: jobs.StateText(f.State),
		Released: f.State.Flags&llapi.HSReleased != 0,
	}}
	c.run(ctx)
	r := c.result
	r.SafeToRelease = r.Verdict == Matches && !r.Released && f.State.Flags&llapi.HSNoRelease == 0
	return r
}

// Refused is the result of what cannot be looked at.
func Refused(path string, err error) Result {
	return Result{Path: jobs.EscapePath(path), Verdict: Unreadable, Level: severity.Failure, Why: err.Error()}
}

// A comparison is one file on its way to a result.
type comparison struct {
	*Verifier
	file   *jobs.File
	id     copytool.Identity
	result Result
	// compared says that the blob's bytes are the file's: whatever archive they are of.
	compared bool
}

func (c *comparison) decide(v Verdict, level severity.Level, format string, args ...any) {
	c.result.Verdict, c.result.Level, c.result.Why = v, level, fmt.Sprintf(format, args...)
}

// fail is the verdict of an error on the way to the copy.
func (c *comparison) fail(err error) {
	c.decide(Verdict(copytool.VerdictFor(err).Code), severity.Failure, "%v", err)
}

func (c *comparison) run(ctx context.Context) {
	if !c.believed() || !c.identified() {
		return
	}
	store := c.store()
	if store == nil {
		return
	}
	info, err := store.Stat(ctx, c.id.Blob.Name)
	if err != nil {
		c.fail(err)
		return
	}
	if !c.described(info) {
		return
	}
	if info.Tier == archiveTier {
		c.note("it is in the archive tier: its bytes are not read, and a restore waits for rehydration")
	} else if c.o.Deep && !c.read(ctx, store, info) {
		return
	}
	if !c.compared && !c.sameArchive(info) {
		return
	}
	c.result.Verdict = Matches
}

const archiveTier = "Archive"

// note adds what is worth reading though all is well.
func (c *comparison) note(format string, args ...any) {
	c.result.Level = severity.Note
	if c.result.Why != "" {
		c.result.Why += "; "
	}
	c.result.Why += fmt.Sprintf(format, args...)
}

// believed tells whether Lustre believes that there is a copy of the file as it is.
func (c *comparison) believed() bool {
	switch flags := c.file.State.Flags; {
	case flags&llapi.HSLost != 0:
		c.decide(Lost, severity.Failure, "Lustre was told that the copy is lost")
	case flags&llapi.HSArchived == 0 && flags&llapi.HSNoArchive != 0:
		c.decide(NeverArchive, severity.Note, "it is not to be archived (lfs hsm_set --noarchive)")
	case flags&llapi.HSArchived == 0:
		c.decide(NotArchived, severity.Warning, "there is no copy of it; archive it")
	case flags&llapi.HSDirty != 0:
		c.decide(Dirty, severity.Warning, "it was changed since its archive; archive it again")
	default:
		return true
	}
	return false
}

// identified finds out which blob is the copy.
func (c *comparison) identified() bool {
	b, err := c.file.Xattr(copytool.IdentityXattr)
	switch {
	case err != nil:
		c.decide(Unreadable, severity.Failure, "%v", err)
		return false
	case b == nil:
		c.decide(NoIdentity, severity.Warning, "another copytool archived it, and nothing says where to; archive it again with this one")
		return false
	}
	if c.id, err = copytool.ParseIdentity(b); err != nil {
		c.decide(NoIdentity, severity.Failure, "%v", err)
		return false
	}
	c.result.Blob = string(c.id.Blob.Name)
	if n := len(c.id.Superseded); n > 0 {
		c.note("%d blobs of its former names are still to be deleted", n)
	}
	if c.id.Size != c.file.Size {
		c.decide(Verdict(copytool.SizeMismatch), severity.Failure, "the copy has %d bytes, the file has %d", c.id.Size, c.file.Size)
		return false
	}
	return true
}

// store is the container that the copy is in.
func (c *comparison) store() Store {
	for _, k := range c.o.Containers {
		if k.Account == c.id.Account && k.Name == c.id.Container {
			return k.Store
		}
	}
	c.decide(Verdict(copytool.NoArchiveConfigured), severity.Failure, "the copy is in container %s of account %s, which this configuration does not name", c.id.Container, c.id.Account)
	return nil
}

// described tells whether the blob is what the file's identity describes.
func (c *comparison) described(info blobstore.Info) bool {
	same := info.ETag == c.id.Blob.ETag
	switch {
	case !same && !c.id.Claims(info, c.o.FSName, c.file.FID):
		c.decide(Verdict(copytool.BlobChanged), severity.Failure, "the blob has the ETag %s, not %s; it was changed %s", info.ETag, c.id.Blob.ETag, info.Modified.UTC().Format(time.DateTime))
	case info.Size != c.id.Size:
		c.decide(Verdict(copytool.SizeMismatch), severity.Failure, "the blob has %d bytes, not %d", info.Size, c.id.Size)
	case c.id.HasCRC64 && info.HasCRC64 && info.CRC64 != c.id.CRC64:
		c.decide(Verdict(copytool.ChecksumMismatch), severity.Failure, "the blob says it has CRC-64 %016x, not %016x", info.CRC64, c.id.CRC64)
	default:
		if !same {
			c.note("somebody changed the blob's metadata since; its content claims to be the same")
		}
		return true
	}
	return false
}

// sameArchive tells whether the copy is of the archive that Lustre means. The time of the
// last change tells in nearly every case, and costs nothing; where somebody has set it
// since, the data version, for which the object servers are asked. That alone would not
// do: a restore gives the data another one.
func (c *comparison) sameArchive(info blobstore.Info) bool {
	if c.isUntouched(info) {
		return true
	}
	if version, err := c.archivedVersion(); err == nil && version == c.id.DataVersion {
		return true
	}
	c.decide(Superseded, severity.Warning, "neither data version nor time of change are those of the copy: another copytool may have archived it since, or somebody set its time; --deep compares the data, where Lustre has them")
	return false
}

// archivedVersion is the data version that Lustre has archived last. While it has the
// data, and they are not dirty, that is theirs. The attribute that has it is kept by
// clients, and not taken back from them when another copytool archives the file; but
// a release takes it back.
func (c *comparison) archivedVersion() (uint64, error) {
	if c.result.Released {
		return c.file.ArchivedVersion()
	}
	file, err := c.file.Open()
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }() // nothing was written
	return llapi.DataVersion(int(file.Fd()), llapi.ReadFlush)
}

// isUntouched tells whether the file has the time of change that it had when the blob
// was made of it.
func (c *comparison) isUntouched(info blobstore.Info) bool {
	at, err := blobstore.ParseAttributes(info.Metadata)
	return err == nil && at.ModTime.Unix() == c.file.ModTime.Unix()
}

// read reads the blob, and tells whether its bytes are right.
func (c *comparison) read(ctx context.Context, store Store, info blobstore.Info) bool {
	proved, err := c.compare(ctx, store, info)
	switch {
	case errors.Is(err, errChanged):
		c.decide(Verdict(copytool.FileChanged), severity.Warning, "%v; archive it again", errChanged)
	case errors.Is(err, errDiffers):
		c.decide(ContentDiffers, severity.Failure, "%v", err)
	case err != nil:
		c.fail(err)
	}
	c.result.Deep = proved
	return err == nil
}

// compare tells also whether the bytes are proved to be right: by a checksum, or by
// those of the file.
func (c *comparison) compare(ctx context.Context, store Store, info blobstore.Info) (proved bool, err error) {
	data, err := openData(c.file, c.id.DataVersion, c.isUntouched(info))
	if err != nil {
		return false, err
	}
	defer data.close()
	_, err = store.Download(ctx, info.Name, data, blobstore.DownloadOptions{
		ETag: info.ETag, Size: info.Size, CRC64: c.id.CRC64, CheckCRC64: c.id.HasCRC64,
	})
	if err == nil {
		err = data.unchanged()
	}
	c.compared = err == nil && !data.released()
	return err == nil && (c.id.HasCRC64 || c.compared), err
}
