package copytool

import (
	"context"
	"fmt"
	"hash/crc64"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"lhsm-azblob/blobstore"
)

// fakeStore is a container in memory. It honours conditions, and counts what a
// real one would bill.
type fakeStore struct {
	t *testing.T

	mu       sync.Mutex // guards all below
	blobs    map[blobstore.Name]*fakeBlob
	etags    int
	resumed  []blobstore.StagedBlock    // what the last upload was resumed from
	nextData func(int64) (int64, int64) // by which the last upload could find holes
	zeros    int                        // blocks of zeros that uploads find
	fetched  blobstore.DownloadOptions  // of the last download
	requests []string                   // "put a", "head a", "get a", "copy a b", "delete a"
	// before is called without the lock, before each request; its error is the request's.
	before func(ctx context.Context, op string, n blobstore.Name) error
	// beforeCommit is called when all bytes of an upload are read.
	beforeCommit func(n blobstore.Name)
	// afterPut is called once an upload is visible, before its caller knows.
	afterPut func(n blobstore.Name)
}

type fakeBlob struct {
	content string
	etag    string
	md      map[string]string
	zeros   int

	unfinished bool
}

func newFakeStore(t *testing.T) *fakeStore {
	return &fakeStore{t: t, blobs: map[blobstore.Name]*fakeBlob{}}
}

var crcTable = crc64.MakeTable(crc64.ECMA)

func (b *fakeBlob) info(n blobstore.Name) blobstore.Info {
	return blobstore.Info{
		Name: n, ETag: b.etag, Size: int64(len(b.content)), CRC64: crc64.Checksum([]byte(b.content), crcTable), HasCRC64: b.md["lhsm_crc64"] != "",
		ZeroBlocks: b.zeros,
		Metadata:   maps.Clone(b.md),
		Unfinished: b.unfinished,
	}
}

func fail(op string, n blobstore.Name, kind error) error {
	return &blobstore.Error{Op: op, Name: n, Kind: kind, Err: fmt.Errorf("%s %q: %w", op, n, kind)}
}

// foreign puts a blob there as any other tool would.
func (s *fakeStore) foreign(n blobstore.Name, content string, md map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.putLocked(n, content, md)
}

func (s *fakeStore) putLocked(n blobstore.Name, content string, md map[string]string) *fakeBlob {
	s.etags++
	b := &fakeBlob{content: content, etag: fmt.Sprintf(`"0x%d"`, s.etags), md: md}
	s.blobs[n] = b
	return b
}

// touch changes a blob's metadata, and with it the ETag.
func (s *fakeStore) touch(n blobstore.Name) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.blobs[n]
	md := maps.Clone(b.md)
	md["somebody"] = "else"
	s.putLocked(n, b.content, md)
}

func (s *fakeStore) drop(n blobstore.Name) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.blobs, n)
}

func (s *fakeStore) content(n blobstore.Name) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.blobs[n]
	if !ok {
		return "", false
	}
	return b.content, true
}

func (s *fakeStore) names() []blobstore.Name {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.blobs))
}

// log returns the requests so far and forgets them.
func (s *fakeStore) log() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	log := s.requests
	s.requests = nil
	return log
}

func (s *fakeStore) request(ctx context.Context, op string, n blobstore.Name, more ...any) error {
	s.mu.Lock()
	s.requests = append(s.requests, fmt.Sprint(append([]any{op + " " + string(n)}, more...)...))
	before := s.before
	s.mu.Unlock()
	if before != nil {
		if err := before(ctx, op, n); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (s *fakeStore) permits(op string, n blobstore.Name, c blobstore.Condition) error {
	b := s.blobs[n]
	switch {
	case c == blobstore.Overwrite():
		return nil
	case c == blobstore.CreateOnly() && b != nil:
		return fail(op, n, blobstore.ErrExists)
	case c == blobstore.CreateOnly():
		return nil
	case b == nil || c != blobstore.IfMatch(b.etag):
		return fail(op, n, blobstore.ErrChanged)
	}
	return nil
}

func (s *fakeStore) Upload(ctx context.Context, n blobstore.Name, src io.ReaderAt, size int64, o blobstore.UploadOptions) (blobstore.Info, error) {
	if err := s.request(ctx, "put", n); err != nil {
		return blobstore.Info{}, err
	}
	s.mu.Lock()
	s.resumed, s.nextData = o.Resume, o.NextData
	s.mu.Unlock()
	buf := make([]byte, size)
	if k, err := src.ReadAt(buf, 0); int64(k) < size {
		return blobstore.Info{}, fmt.Errorf("read %d of %d: %w", k, size, err)
	}
	if o.Progress != nil {
		o.Progress(size)
	}
	if s.beforeCommit != nil {
		s.beforeCommit(n)
	}
	if o.BeforeCommit != nil {
		if err := o.BeforeCommit(); err != nil {
			return blobstore.Info{}, err
		}
	}
	if err := ctx.Err(); err != nil {
		return blobstore.Info{}, err
	}
	info, err := s.commit(n, string(buf), o)
	if err == nil && s.afterPut != nil {
		s.afterPut(n)
	}
	return info, err
}

func (s *fakeStore) commit(n blobstore.Name, content string, o blobstore.UploadOptions) (blobstore.Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.permits("upload", n, o.Condition); err != nil {
		return blobstore.Info{}, err
	}
	md := map[string]string{"lhsm_crc64": "set"}
	maps.Copy(md, o.Metadata)
	b := s.putLocked(n, content, md)
	b.zeros = s.zeros
	return b.info(n), nil
}

func (s *fakeStore) Download(ctx context.Context, n blobstore.Name, dst io.WriterAt, o blobstore.DownloadOptions) (blobstore.Info, error) {
	if err := s.request(ctx, "get", n); err != nil {
		return blobstore.Info{}, err
	}
	s.mu.Lock()
	b := s.blobs[n]
	s.fetched = o
	s.mu.Unlock()
	switch {
	case b == nil:
		return blobstore.Info{}, fail("download", n, blobstore.ErrNotFound)
	case o.ETag != b.etag || o.Size != int64(len(b.content)):
		_, _ = dst.WriteAt([]byte("rubbish"), 0) // as pieces of before the change are
		return blobstore.Info{}, fail("download", n, blobstore.ErrChanged)
	case o.CheckCRC64 && o.CRC64 != b.info(n).CRC64:
		return blobstore.Info{}, fail("download", n, blobstore.ErrChecksum)
	}
	if o.Holes && o.Size > blobstore.HoleSize && strings.Trim(b.content, "\x00") == "" {
		return b.info(n), nil
	}
	_, err := dst.WriteAt([]byte(b.content), 0)
	return b.info(n), err
}

func (s *fakeStore) Stat(ctx context.Context, n blobstore.Name) (blobstore.Info, error) {
	if err := s.request(ctx, "head", n); err != nil {
		return blobstore.Info{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.blobs[n]
	if b == nil {
		return blobstore.Info{}, fail("stat", n, blobstore.ErrNotFound)
	}
	return b.info(n), nil
}

func (s *fakeStore) Delete(ctx context.Context, n blobstore.Name, ifMatch string) error {
	if err := s.request(ctx, "delete", n); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.blobs[n]
	switch {
	case b == nil:
		return fail("delete", n, blobstore.ErrNotFound)
	case ifMatch != "" && ifMatch != b.etag:
		return fail("delete", n, blobstore.ErrChanged)
	}
	delete(s.blobs, n)
	return nil
}

func (s *fakeStore) Copy(ctx context.Context, src, dst blobstore.Name, o blobstore.CopyOptions) (blobstore.Info, error) {
	if err := s.request(ctx, "copy", src, " ", dst); err != nil {
		return blobstore.Info{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.blobs[src]
	switch {
	case b == nil:
		return blobstore.Info{}, fail("copy", src, blobstore.ErrNotFound)
	case o.SourceIfMatch != "" && o.SourceIfMatch != b.etag:
		return blobstore.Info{}, fail("copy", src, blobstore.ErrChanged)
	}
	if err := s.permits("copy", dst, o.Condition); err != nil {
		return blobstore.Info{}, err
	}
	copied := s.putLocked(dst, b.content, maps.Clone(b.md))
	copied.zeros = b.zeros
	return copied.info(dst), nil
}
