package doctor

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"lhsm-azblob/blobstore"
)

// A scratch is what became of the blob that was made, read and deleted.
type scratch struct {
	info     blobstore.Info // as it was looked at before its deletion
	tags     error          // of the try to set some
	left     blobstore.Remainder
	leftErr  error
	up, down float64 // bytes per second
}

const (
	scratchSize   = 32 << 20
	transferLimit = 2 * time.Minute
	// slow is a rate at which large files take long enough for users to call.
	slow = 2 << 20
	// deleteTime is for the deletion when time is up.
	deleteTime = 20 * time.Second
)

// scratchName is one that no path has: see [blobstore.NameForPath].
func (s *store) scratchName() blobstore.Name {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	name := "%~doctor-" + hex.EncodeToString(b[:])
	if s.archive.Prefix != "" {
		name = s.archive.Prefix + "/" + name
	}
	return blobstore.Name(name)
}

// transfer moves a blob there and back, looks at it, and deletes it. It keeps so
// much of its time that the deletion never lacks it.
func (s *store) transfer(ctx context.Context) (res result) {
	work, cancel := context.WithTimeout(ctx, transferLimit-2*deleteTime)
	defer cancel()
	name := s.scratchName()
	defer func() {
		if err := s.remove(ctx, name); err != nil && !errors.Is(err, blobstore.ErrNotFound) {
			res = failf("delete it", "the scratch blob %s is left behind: %s", name, failed(err).seen)
		}
	}()
	if err := s.thereAndBack(work, name); err != nil {
		return failed(err)
	}
	up, down := s.scratch.up, s.scratch.down
	text := fmt.Sprintf("%s to the container, %s back", rate(up), rate(down))
	if up < slow || down < slow && down > 0 {
		return warnf("", "%s; a file of 100 GiB takes more than half a day", text)
	}
	return okf("%s", text)
}

func (s *store) thereAndBack(ctx context.Context, name blobstore.Name) error {
	info, err := s.send(ctx, name)
	if err == nil {
		err = s.fetch(ctx, info)
	}
	if err == nil {
		s.scratch.info, err = s.container.Stat(ctx, name)
	}
	if err == nil {
		s.scratch.tags = s.container.SetTags(ctx, name, map[string]string{"lhsm": "doctor"})
	}
	return err
}

func rate(bytesPerSecond float64) string {
	if bytesPerSecond == 0 {
		return "(not tried)"
	}
	return fmt.Sprintf("%.0f MiB/s", bytesPerSecond/(1<<20))
}

func (s *store) send(ctx context.Context, name blobstore.Name) (blobstore.Info, error) {
	content := make([]byte, scratchSize)
	_, _ = rand.Read(content) // never fails
	start := time.Now()
	info, err := s.container.Upload(ctx, name, bytes.NewReader(content), scratchSize, blobstore.UploadOptions{})
	s.scratch.up = scratchSize / time.Since(start).Seconds()
	return info, err
}

// fetch reads the blob back, unless its tier cannot be read at once.
func (s *store) fetch(ctx context.Context, info blobstore.Info) error {
	if s.archive.Container.Tier == archiveTier {
		return nil
	}
	start := time.Now()
	_, err := s.container.Download(ctx, info.Name, discard{}, blobstore.DownloadOptions{
		ETag: info.ETag, Size: info.Size, CRC64: info.CRC64, CheckCRC64: info.HasCRC64,
	})
	s.scratch.down = scratchSize / time.Since(start).Seconds()
	return err
}

const archiveTier = "Archive"

// discard takes bytes for any place.
type discard struct{}

func (discard) WriteAt(p []byte, _ int64) (int, error) { return io.Discard.Write(p) }

// remove deletes the blob also when time is up, and looks at what is left of it.
func (s *store) remove(ctx context.Context, name blobstore.Name) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteTime)
	defer cancel()
	if err := s.container.Delete(ctx, name, ""); err != nil {
		return err
	}
	s.scratch.left, s.scratch.leftErr = s.container.Remainder(ctx, name)
	return nil
}

func (s *store) tier(context.Context) result {
	switch tier := s.scratch.info.Tier; {
	case tier == "":
		return okf("the account has no access tiers")
	case tier == archiveTier:
		return warnf("use Hot, Cool or Cold for what users read, or expect hours of rehydration", "new blobs are in the archive tier: a restore fails with BlobArchived until somebody rehydrates the blob")
	default:
		return okf("new blobs are in tier %s", tier)
	}
}

func (s *store) versioning(context.Context) result {
	if s.scratch.info.VersionID != "" || s.scratch.left.Versions {
		return notef("let a lifecycle rule delete old versions", "on: what a changed file's archive replaces is kept, and paid for")
	}
	return okf("off")
}

func (s *store) softDelete(context.Context) result {
	switch {
	case s.scratch.leftErr != nil:
		return notef("az storage account blob-service-properties show --account-name "+s.container.Account(), "not seen: %v", s.scratch.leftErr)
	case s.scratch.left.Deleted:
		return okf("on: deleted blobs can be brought back for a while")
	}
	return notef("the container may hold the only copy of files: az storage account blob-service-properties update --enable-delete-retention true --delete-retention-days 14 --account-name "+s.container.Account(),
		"off: a blob that somebody deletes is gone")
}

// tags are not needed; who plans lifecycle rules by tag wants to know.
func (s *store) tags(context.Context) result {
	if s.scratch.tags != nil {
		return okf("index tags may not be set; nothing here needs them")
	}
	return okf("index tags may be set; nothing here needs them")
}
