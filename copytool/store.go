package copytool

import (
	"context"
	"fmt"
	"io"
	"strings"

	"lhsm-azblob/blobstore"
)

// Transfers moves the content of blobs.
type Transfers interface {
	Upload(ctx context.Context, n blobstore.Name, src io.ReaderAt, size int64, o blobstore.UploadOptions) (blobstore.Info, error)
	Download(ctx context.Context, n blobstore.Name, dst io.WriterAt, o blobstore.DownloadOptions) (blobstore.Info, error)
}

// Blobs looks at blobs, and moves them about without their content passing here.
type Blobs interface {
	Stat(ctx context.Context, n blobstore.Name) (blobstore.Info, error)
	Copy(ctx context.Context, src, dst blobstore.Name, o blobstore.CopyOptions) (blobstore.Info, error)
	Delete(ctx context.Context, n blobstore.Name, ifMatch string) error
}

// Store is what the copytool needs of a container.
type Store interface {
	Transfers
	Blobs
}

// AnyArchive is the archive id that stands for every id not named otherwise.
const AnyArchive = 0

// An Archive is where the files of one archive id go.
type Archive struct {
	ID        uint32 // AnyArchive for the rest
	Account   string
	Container string
	Prefix    string // before every blob name; without slashes at its ends
	Store     Store
}

// nameFor returns the name of the blob for a path relative to the mount root.
func (a *Archive) nameFor(path string) (blobstore.Name, error) {
	if a.Prefix != "" {
		path = a.Prefix + "/" + path
	}
	return blobstore.NameForPath(path)
}

// within tells whether a name is below the prefix.
func (a *Archive) within(name blobstore.Name) bool {
	return a.Prefix == "" || strings.HasPrefix(string(name), a.Prefix+"/")
}

func (a *Archive) holds(account, container string) bool {
	return a.Account == account && a.Container == container
}

// archives are the configured ones.
type archives []*Archive

// byID returns the archive for an id of the coordinator's. Id 0 comes with
// actions on files that are gone; it is the first archive's then.
func (as archives) byID(id uint32) (*Archive, error) {
	var rest *Archive
	for _, a := range as {
		if a.ID == id && id != AnyArchive {
			return a, nil
		}
		if a.ID == AnyArchive {
			rest = a
		}
	}
	switch {
	case rest != nil:
		return rest, nil
	case id == AnyArchive && len(as) > 0:
		return as[0], nil
	}
	return nil, failf(NoArchiveConfigured, "archive id %d is not configured here", id)
}

// byPlace returns the archive that is a certain container. The configured
// prefixes do not matter: an identity has the whole name.
func (as archives) byPlace(account, container string) (*Archive, error) {
	for _, a := range as {
		if a.holds(account, container) {
			return a, nil
		}
	}
	return nil, failf(NoArchiveConfigured, "the copy is in container %s of account %s, which no archive here names; add one for it", container, account)
}

// ids returns the ids to register for; none means all.
func (as archives) ids() []uint32 {
	var ids []uint32
	for _, a := range as {
		if a.ID == AnyArchive {
			return nil
		}
		ids = append(ids, a.ID)
	}
	return ids
}

func (as archives) check() error {
	seen := map[uint32]bool{}
	for _, a := range as {
		if seen[a.ID] {
			return fmt.Errorf("archive id %d is configured twice", a.ID)
		}
		seen[a.ID] = true
		if a.Prefix != strings.Trim(a.Prefix, "/") {
			return fmt.Errorf("archive id %d: prefix %q begins or ends with a slash", a.ID, a.Prefix)
		}
	}
	if len(as) == 0 {
		return fmt.Errorf("no archive is configured")
	}
	return nil
}
