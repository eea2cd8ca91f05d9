package copytool

import (
	"bytes"
	"context"
	"errors"
	"path"
	"sync"
	"time"

	"lhsm-azblob/blobstore"
)

// How often a directory is looked at, and how often its marker is written again
// when nothing but its times has changed, as they do with every file made in it.
const (
	markerLook    = 10 * time.Second
	markerRefresh = 10 * time.Minute
)

// maxMarkers is how many directories are remembered: about 20 MiB.
const maxMarkers = 100_000

// A marker is an empty blob with the name of a directory. It keeps the
// directory's owner, mode and times for tools that build a file system from a
// container; nothing of ours depends on it.
type marker struct {
	looked  time.Time
	written time.Time // zero: not yet
	attr    Attr      // as written
	etag    string    // of the blob; empty: not known, or not ours
}

type markerKey struct {
	archive *Archive
	dir     string
}

// markers remembers which directories need nothing now.
type markers struct {
	mu    sync.Mutex // guards byDir
	byDir map[markerKey]*marker
}

func newMarkers() *markers { return &markers{byDir: map[markerKey]*marker{}} }

// claim returns what is known of a directory if it is time to look at it, and
// keeps everybody else from it for a while.
func (ms *markers) claim(k markerKey, now time.Time) (marker, bool) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	m := ms.byDir[k]
	if m == nil {
		ms.makeRoom()
		m = &marker{}
		ms.byDir[k] = m
	} else if now.Sub(m.looked) < markerLook {
		return marker{}, false
	}
	m.looked = now
	return *m, true
}

// makeRoom forgets any one: at worst, its directory is looked at once more.
func (ms *markers) makeRoom() {
	for k := range ms.byDir {
		if len(ms.byDir) < maxMarkers {
			return
		}
		delete(ms.byDir, k)
	}
}

func (ms *markers) store(k markerKey, m marker) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	ms.byDir[k] = &m
}

// stale tells whether the marker no longer says what the directory is.
func (m *marker) stale(attr Attr, now time.Time) bool {
	if m.written.IsZero() || !sameOwner(m.attr, attr) {
		return true
	}
	return !m.attr.Changed.Equal(attr.Changed) && now.Sub(m.written) >= markerRefresh
}

func sameOwner(a, b Attr) bool {
	return a.UID == b.UID && a.GID == b.GID && a.Mode&0o7777 == b.Mode&0o7777
}

// markParents writes the markers that are missing or out of date above the
// file. A failure does not fail the archive: a file that comes
// after markerLook tries again.
func (j *job) markParents(ctx context.Context) {
	for dir := path.Dir(j.path); dir != "." && ctx.Err() == nil; dir = path.Dir(dir) {
		k := markerKey{j.archive, dir}
		m, ok := j.markers.claim(k, time.Now())
		if !ok {
			continue
		}
		attr, err := j.fs.StatDir(dir)
		if err != nil {
			j.log.Debug("a directory is not marked", "dir", dir, "err", err) // renamed or removed meanwhile
			continue
		}
		if !m.stale(attr, m.looked) {
			continue
		}
		if m.etag, err = j.writeMarker(ctx, dir, attr, m); err != nil {
			j.metrics.markersFailed.Inc()
			j.log.Warn("the marker of a directory is not written; a later file in it tries again", "dir", dir, "err", err)
			continue
		}
		m.attr, m.written = attr, m.looked
		j.markers.store(k, m)
	}
}

// writeMarker returns the ETag of the marker, or "" when somebody else's blob
// is there and stays.
func (j *job) writeMarker(ctx context.Context, dir string, attr Attr, m marker) (string, error) {
	name, err := j.archive.nameFor(dir)
	if err != nil {
		return "", err
	}
	cond := blobstore.CreateOnly()
	if m.etag != "" {
		cond = blobstore.IfMatch(m.etag)
	}
	for range maxAttempts {
		info, err := j.putMarker(ctx, dir, name, attr, cond)
		if err == nil {
			j.metrics.markersWritten.Inc()
			return info.ETag, nil
		}
		if !errors.Is(err, blobstore.ErrExists) && !errors.Is(err, blobstore.ErrChanged) {
			return "", err
		}
		info, err = j.archive.Store.Stat(ctx, name)
		if errors.Is(err, blobstore.ErrNotFound) {
			cond = blobstore.CreateOnly()
			continue
		}
		if err != nil {
			return "", err
		}
		if keep, etag := j.keepMarker(dir, info, attr); keep {
			return etag, nil
		}
		cond = blobstore.IfMatch(info.ETag)
	}
	return "", failf(BlobChanged, "the marker %q changed %d times while it was written", name, maxAttempts)
}

// keepMarker decides about a blob that has the directory's name.
func (j *job) keepMarker(dir string, info blobstore.Info, attr Attr) (keep bool, etag string) {
	at := attributesOf(info)
	same := at.IsFolder && sameOwner(attr, Attr{UID: at.UID, GID: at.GID, Mode: at.Mode})
	switch {
	case same:
		return true, info.ETag
	case at.IsFolder && (at.FSName == j.o.FSName || j.o.Conflict == Overwrite):
		return false, ""
	}
	j.log.Info("a directory is not marked: somebody else's blob has its name", "dir", dir, "blob", string(info.Name))
	return true, ""
}

func (j *job) putMarker(ctx context.Context, dir string, name blobstore.Name, attr Attr, cond blobstore.Condition) (blobstore.Info, error) {
	at := blobstore.Attributes{
		UID: attr.UID, GID: attr.GID, Mode: attr.Mode & 0o7777, ModTime: attr.Modified, ChangeTime: attr.Changed,
		IsFolder: true, FSName: j.o.FSName,
	}
	if name.Hashed() {
		at.Path = dir
	}
	md, _ := at.Metadata() // nothing in it is optional
	return j.archive.Store.Upload(ctx, name, bytes.NewReader(nil), 0, blobstore.UploadOptions{Condition: cond, Metadata: md})
}
