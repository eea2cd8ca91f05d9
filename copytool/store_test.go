package copytool

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/testenv/azurite"
)

// TestStore checks that a Store keeps the promises that the agent leans on. It
// is run on the fake and on the real thing, which is what makes the fake worth
// anything.
func TestStore(t *testing.T) {
	stores := map[string]func(t *testing.T) Store{
		"fake": func(t *testing.T) Store { return newFakeStore(t) },
		"container": func(t *testing.T) Store {
			server := azurite.Start(t)
			pool := blobstore.NewPool(blobstore.PoolOptions{})
			t.Cleanup(pool.Close)
			c, err := blobstore.Open(blobstore.ContainerOptions{
				URL:        server.NewContainer(t),
				Credential: blobstore.Credential{Mode: blobstore.ModeSharedKey, AccountKey: blobstore.Secret(server.AccountKey)},
			}, pool)
			if err != nil {
				t.Fatal(err)
			}
			return c
		},
	}
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			t.Run("conditions", func(t *testing.T) { testStoreConditions(t, open(t)) })
			t.Run("publication", func(t *testing.T) { testStorePublication(t, open(t)) })
			t.Run("download", func(t *testing.T) { testStoreDownload(t, open(t)) })
			t.Run("copy", func(t *testing.T) { testStoreCopy(t, open(t)) })
		})
	}
}

func putText(s Store, n blobstore.Name, text string, o blobstore.UploadOptions) (blobstore.Info, error) {
	return s.Upload(context.Background(), n, strings.NewReader(text), int64(len(text)), o)
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func testStoreConditions(t *testing.T, s Store) {
	ctx := t.Context()
	first, err := putText(s, "f", "one", blobstore.UploadOptions{Metadata: map[string]string{"lhsm_fid": "x"}})
	if err != nil {
		t.Fatal(err)
	}
	if first.Name != "f" || first.ETag == "" || first.Size != 3 || !first.HasCRC64 {
		t.Errorf("info: %+v", first)
	}
	seen, err := s.Stat(ctx, "f")
	if err != nil || seen.ETag != first.ETag || seen.Size != 3 || seen.CRC64 != first.CRC64 || !seen.HasCRC64 || seen.Metadata["lhsm_fid"] != "x" {
		t.Errorf("stat: %+v, %v; want what upload said: %+v", seen, err, first)
	}
	_, err = putText(s, "f", "two", blobstore.UploadOptions{})
	wantErr(t, "create over a blob", err, blobstore.ErrExists)
	_, err = putText(s, "none", "two", blobstore.UploadOptions{Condition: blobstore.IfMatch(first.ETag)})
	wantErr(t, "replace nothing", err, blobstore.ErrChanged)
	second, err := putText(s, "f", "two", blobstore.UploadOptions{Condition: blobstore.IfMatch(first.ETag)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = putText(s, "f", "three", blobstore.UploadOptions{Condition: blobstore.IfMatch(first.ETag)})
	wantErr(t, "replace under an old ETag", err, blobstore.ErrChanged)
	wantErr(t, "delete under an old ETag", s.Delete(ctx, "f", first.ETag), blobstore.ErrChanged)
	if err := s.Delete(ctx, "f", second.ETag); err != nil {
		t.Error(err)
	}
	wantErr(t, "delete nothing", s.Delete(ctx, "f", second.ETag), blobstore.ErrNotFound)
	_, err = s.Stat(ctx, "f")
	wantErr(t, "stat nothing", err, blobstore.ErrNotFound)
}

// testStorePublication: what BeforeCommit refuses is never seen.
func testStorePublication(t *testing.T, s Store) {
	refusal := errors.New("changed")
	var moved int64
	_, err := putText(s, "f", "one", blobstore.UploadOptions{
		BeforeCommit: func() error { return refusal },
		Progress:     func(total int64) { moved = total },
	})
	wantErr(t, "refused upload", err, refusal)
	if moved > 3 {
		t.Errorf("progress of 3 bytes: %d", moved)
	}
	_, err = s.Stat(t.Context(), "f")
	wantErr(t, "stat of a refused upload", err, blobstore.ErrNotFound)
	if info, err := putText(s, "dir", "", blobstore.UploadOptions{Metadata: map[string]string{"hdi_isfolder": "true"}}); err != nil || info.Size != 0 {
		t.Errorf("empty blob: %+v, %v", info, err)
	}
}

// buffer is an io.WriterAt that does not care where.
type buffer struct{ bytes.Buffer }

func (b *buffer) WriteAt(p []byte, _ int64) (int, error) { return b.Write(p) }

func testStoreDownload(t *testing.T, s Store) {
	ctx := t.Context()
	info, err := putText(s, "f", "content", blobstore.UploadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	good := blobstore.DownloadOptions{ETag: info.ETag, Size: 7, CRC64: info.CRC64, CheckCRC64: true}
	var b buffer
	if _, err := s.Download(ctx, "f", &b, good); err != nil || b.String() != "content" {
		t.Errorf("download: %q, %v", b.String(), err)
	}
	bad := good
	bad.CRC64++
	_, err = s.Download(ctx, "f", &b, bad)
	wantErr(t, "another CRC", err, blobstore.ErrChecksum)
	bad = good
	bad.ETag = `"0x0"`
	_, err = s.Download(ctx, "f", &b, bad)
	wantErr(t, "another ETag", err, blobstore.ErrChanged)
	_, err = s.Download(ctx, "none", &b, good)
	wantErr(t, "nothing", err, blobstore.ErrNotFound)
}

func testStoreCopy(t *testing.T, s Store) {
	ctx := t.Context()
	info, err := putText(s, "f", "content", blobstore.UploadOptions{Metadata: map[string]string{"lhsm_fid": "x"}})
	if err != nil {
		t.Fatal(err)
	}
	moved, err := s.Copy(ctx, "f", "g", blobstore.CopyOptions{SourceIfMatch: info.ETag})
	if err != nil {
		t.Fatal(err)
	}
	seen, err := s.Stat(ctx, "g")
	if err != nil || seen.ETag != moved.ETag || seen.Size != 7 || seen.CRC64 != info.CRC64 || !seen.HasCRC64 || seen.Metadata["lhsm_fid"] != "x" {
		t.Errorf("copy: %+v, then %+v, %v; want the source's content and metadata, %+v", moved, seen, err, info)
	}
	_, err = s.Copy(ctx, "f", "g", blobstore.CopyOptions{SourceIfMatch: info.ETag})
	wantErr(t, "copy over a blob", err, blobstore.ErrExists)
	_, err = s.Copy(ctx, "f", "h", blobstore.CopyOptions{SourceIfMatch: moved.ETag})
	wantErr(t, "copy of another state", err, blobstore.ErrChanged)
	if _, err := s.Copy(ctx, "f", "g", blobstore.CopyOptions{SourceIfMatch: info.ETag, Condition: blobstore.IfMatch(moved.ETag)}); err != nil {
		t.Errorf("copy over a blob that is known: %v", err)
	}
}
