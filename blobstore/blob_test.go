package blobstore

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

func TestRoundTrip(t *testing.T) {
	c := openContainer(t, PoolOptions{Transfers: 4, Memory: 8 * testBlock}, ContainerOptions{})
	for _, size := range []int{0, 1, testBlock - 1, testBlock, testBlock + 1, 2 * testBlock, 20*testBlock + 7} {
		data := randomBytes(size)
		var sent int64
		info := mustUpload(t, c, "round/trip", data, UploadOptions{
			Condition: Overwrite(),
			Metadata:  map[string]string{"Owner": "7"},
			Progress:  func(n int64) { sent = n },
		})
		if sent != int64(size) {
			t.Errorf("%d bytes: progress ended at %d", size, sent)
		}
		if info.CRC64 != checksum(data) || !info.HasCRC64 || info.Size != int64(size) {
			t.Errorf("%d bytes: uploaded as %+v", size, info)
		}
		now, err := c.Stat(t.Context(), "round/trip")
		if err != nil {
			t.Fatal(err)
		}
		if now.ETag != info.ETag || now.CRC64 != info.CRC64 || now.Size != info.Size || !now.Modified.Equal(info.Modified) || !maps.Equal(now.Metadata, info.Metadata) {
			t.Errorf("%d bytes: uploaded as %+v,\nwhich is now %+v", size, info, now)
		}
		if now.Metadata["owner"] != "7" || now.Metadata["lhsm_crc64"] != formatCRC64(info.CRC64) {
			t.Errorf("%d bytes: metadata %v", size, now.Metadata)
		}
		wantContent(t, c, now, data)
	}
}

func TestContentTypeAndTier(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{Tier: "Cool"})
	for size, n := range map[int]Name{5: "put", 3 * testBlock: "blocks"} {
		mustUpload(t, c, n, randomBytes(size), UploadOptions{})
		_, p, err := c.stat(t.Context(), n)
		if err != nil || *p.ContentType != "application/octet-stream" || *p.AccessTier != "Cool" {
			t.Errorf("%s: content type %v, tier %v, %v", n, p.ContentType, p.AccessTier, err)
		}
		info := mustUpload(t, c, n, randomBytes(size), UploadOptions{Condition: Overwrite(), Tier: "Hot", ContentType: "text/plain"})
		_, p, err = c.stat(t.Context(), n)
		if err != nil || *p.ContentType != "text/plain" || *p.AccessTier != "Hot" || info.Tier != "Hot" {
			t.Errorf("%s: content type %v, tier %v, %v", n, p.ContentType, p.AccessTier, err)
		}
	}
}

func TestConditions(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	for n, size := range map[Name]int{"put": 3, "blocks": 2*testBlock + 1} {
		first, second := randomBytes(size), randomBytes(size+1)
		src := func(data []byte) *bytes.Reader { return bytes.NewReader(data) }

		_, err := c.Upload(t.Context(), n, src(first), int64(size), UploadOptions{Condition: IfMatch(`"0x1"`)})
		wantKind(t, err, ErrChanged)
		info := mustUpload(t, c, n, first, UploadOptions{})
		_, err = c.Upload(t.Context(), n, src(second), int64(size+1), UploadOptions{})
		wantKind(t, err, ErrExists)
		wantKind(t, err, fs.ErrExist)
		_, err = c.Upload(t.Context(), n, src(second), int64(size+1), UploadOptions{Condition: IfMatch(`"0x1"`)})
		wantKind(t, err, ErrChanged)
		wantContent(t, c, info, first)

		replaced := mustUpload(t, c, n, second, UploadOptions{Condition: IfMatch(info.ETag)})
		wantContent(t, c, replaced, second)
		_, err = c.Download(t.Context(), n, &target{}, DownloadOptions{ETag: info.ETag, Size: info.Size})
		wantKind(t, err, ErrChanged)
		wantKind(t, c.Delete(t.Context(), n, info.ETag), ErrChanged)
		if err := c.Delete(t.Context(), n, replaced.ETag); err != nil {
			t.Error(err)
		}
		wantKind(t, c.Delete(t.Context(), n, ""), ErrNotFound)
		_, err = c.Stat(t.Context(), n)
		wantKind(t, err, fs.ErrNotExist)
		_, err = c.Download(t.Context(), n, &target{}, DownloadOptions{ETag: replaced.ETag, Size: replaced.Size})
		wantKind(t, err, ErrNotFound)
	}
}

func TestDownloadChecksLengthAndSum(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	for n, size := range map[Name]int{"empty": 0, "put": 3, "blocks": 2*testBlock + 1} {
		info := mustUpload(t, c, n, randomBytes(size), UploadOptions{})
		for _, wrong := range []int64{info.Size + 1, info.Size + 3*testBlock, info.Size - 1, 1} {
			if wrong < 0 || wrong == info.Size {
				continue
			}
			_, err := c.Download(t.Context(), n, &target{}, DownloadOptions{ETag: info.ETag, Size: wrong})
			wantKind(t, err, ErrChanged)
		}
		_, err := c.Download(t.Context(), n, &target{}, DownloadOptions{ETag: info.ETag, Size: info.Size, CRC64: info.CRC64 + 1, CheckCRC64: true})
		wantKind(t, err, ErrChecksum)
		if _, err = c.Download(t.Context(), n, &target{}, DownloadOptions{Size: info.Size}); err == nil {
			t.Errorf("%s: a download without an ETag succeeds", n)
		}
	}
}

func TestDownloadLeavesHoles(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{BlockSize: 4 * HoleSize})
	data := make([]byte, 12*HoleSize+5)
	for _, at := range []int{0, 5*HoleSize - 1, 5 * HoleSize, 9 * HoleSize, len(data) - 1} {
		data[at] = 1
	}
	info := mustUpload(t, c, "sparse", data, UploadOptions{})
	var dst target
	var total int64
	_, err := c.Download(t.Context(), "sparse", &dst, DownloadOptions{
		ETag: info.ETag, Size: info.Size, CRC64: info.CRC64, CheckCRC64: true,
		Holes: true, Progress: func(n int64) { total = n },
	})
	if err != nil || !bytes.Equal(dst.data, data) {
		t.Errorf("sparse download: %v, same bytes: %t", err, bytes.Equal(dst.data, data))
	}
	if want := 4*HoleSize + 5; dst.written != want {
		t.Errorf("%d bytes were written, want %d", dst.written, want)
	}
	if total != info.Size {
		t.Errorf("progress ended at %d of %d", total, info.Size)
	}
}

// TestDownloadWritesASmallBlobWhole: its caller need not set its length.
func TestDownloadWritesASmallBlobWhole(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	info := mustUpload(t, c, "zeros", make([]byte, HoleSize), UploadOptions{})
	var dst target
	_, err := c.Download(t.Context(), "zeros", &dst, DownloadOptions{ETag: info.ETag, Size: info.Size, Holes: true})
	if err != nil || dst.written != HoleSize {
		t.Errorf("download: %v, %d bytes were written, want %d", err, dst.written, HoleSize)
	}
}

func TestBeforeCommitStopsTheUpload(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	no := errors.New("file has changed")
	for n, size := range map[Name]int{"put": 3, "blocks": 2*testBlock + 1} {
		src := &countingSource{data: randomBytes(size)}
		_, err := c.Upload(t.Context(), n, src, int64(size), UploadOptions{BeforeCommit: func() error {
			if src.bytesRead() != size {
				t.Errorf("%s: called after %d of %d bytes", n, src.bytesRead(), size)
			}
			return no
		}})
		wantKind(t, err, no)
		_, err = c.Stat(t.Context(), n)
		wantKind(t, err, ErrNotFound)
	}
}

func TestShortSource(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	for n, size := range map[Name]int{"put": 3, "blocks": 2*testBlock + 1} {
		_, err := c.Upload(t.Context(), n, bytes.NewReader(randomBytes(size-1)), int64(size), UploadOptions{})
		wantKind(t, err, ErrShortSource)
		_, err = c.Upload(t.Context(), n, failingSource{}, int64(size), UploadOptions{})
		wantKind(t, err, errSource)
		_, err = c.Stat(t.Context(), n)
		wantKind(t, err, ErrNotFound)
	}
}

func TestDestinationErrors(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	info := mustUpload(t, c, "a", randomBytes(5*testBlock), UploadOptions{})
	_, err := c.Download(t.Context(), "a", failingSource{}, DownloadOptions{ETag: info.ETag, Size: info.Size})
	wantKind(t, err, errSource)
	if errors.Is(err, ErrUnreachable) {
		t.Errorf("an error of the destination counts as one of the network: %v", err)
	}
}

func TestTooLargeIsRefusedAtOnce(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	_, err := c.Upload(t.Context(), "a", failingSource{}, maxBlob+1, UploadOptions{})
	wantKind(t, err, ErrTooLarge)
	_, err = c.Upload(t.Context(), "a", failingSource{}, maxBlob, UploadOptions{})
	wantKind(t, err, ErrTooLarge)
	if err != nil && !strings.Contains(err.Error(), "memory") {
		t.Errorf("error does not name the remedy: %v", err)
	}
	_, err = c.Upload(t.Context(), "a", failingSource{}, 1, UploadOptions{Metadata: map[string]string{"k": strings.Repeat("x", 8<<10)}})
	wantKind(t, err, ErrTooLarge)
}

func TestSetMetadata(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	info := mustUpload(t, c, "a", randomBytes(5), UploadOptions{})
	md := maps.Clone(info.Metadata)
	md["lhsm_fid"] = "[0x1:0x2:0x3]"
	changed, err := c.SetMetadata(t.Context(), "a", md, info.ETag)
	if err != nil {
		t.Fatal(err)
	}
	now, err := c.Stat(t.Context(), "a")
	if err != nil || now.ETag != changed.ETag || now.ETag == info.ETag || !maps.Equal(now.Metadata, md) || now.CRC64 != info.CRC64 {
		t.Errorf("metadata set as %+v, is now %+v, %v", changed, now, err)
	}
	_, err = c.SetMetadata(t.Context(), "a", nil, info.ETag)
	wantKind(t, err, ErrChanged)
	for _, bad := range []map[string]string{{"a-b": "x"}, {"1a": "x"}, {"": "x"}, {"a": "ü"}, {"a": "x\n"}, {"a": " x"}} {
		if _, err := c.SetMetadata(t.Context(), "a", bad, ""); err == nil {
			t.Errorf("metadata %v is accepted", bad)
		}
	}
}

func TestCopy(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	data := randomBytes(3*testBlock + 1)
	src := mustUpload(t, c, "a b/ü", data, UploadOptions{Metadata: map[string]string{"owner": "7"}})
	dst, err := c.Copy(t.Context(), "a b/ü", "copy #1", CopyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if dst.Metadata["owner"] != "7" || dst.CRC64 != src.CRC64 || !dst.HasCRC64 || dst.Size != src.Size {
		t.Errorf("copy is %+v", dst)
	}
	wantContent(t, c, dst, data)

	_, err = c.Copy(t.Context(), "a b/ü", "copy #1", CopyOptions{})
	wantKind(t, err, ErrExists)
	_, err = c.Copy(t.Context(), "a b/ü", "copy #1", CopyOptions{Condition: IfMatch(`"0x1"`)})
	wantKind(t, err, ErrChanged)
	_, err = c.Copy(t.Context(), "a b/ü", "other", CopyOptions{SourceIfMatch: `"0x1"`})
	wantKind(t, err, ErrChanged)
	_, err = c.Copy(t.Context(), "none", "other", CopyOptions{})
	wantKind(t, err, ErrNotFound)
	again, err := c.Copy(t.Context(), "a b/ü", "copy #1", CopyOptions{
		SourceIfMatch: src.ETag, Condition: IfMatch(dst.ETag), Metadata: map[string]string{"owner": "8"},
	})
	if err != nil || again.Metadata["owner"] != "8" {
		t.Errorf("copy over a copy: %+v, %v", again, err)
	}
}

func TestList(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	want := map[Name]Info{}
	for _, n := range []Name{"dir/a", "dir/b", "dir.txt", "other"} {
		info := mustUpload(t, c, n, randomBytes(len(n)), UploadOptions{Metadata: map[string]string{"lhsm_fid": "x"}})
		if strings.HasPrefix(string(n), "dir") {
			want[n] = info
		}
	}
	var names []Name
	for info, err := range c.List(t.Context(), "dir") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, info.Name)
		w := want[info.Name]
		if info.ETag != w.ETag || info.Size != w.Size || info.CRC64 != w.CRC64 || !info.HasCRC64 || !maps.Equal(info.Metadata, w.Metadata) {
			t.Errorf("listed as %+v, uploaded as %+v", info, w)
		}
	}
	if !slices.Equal(names, []Name{"dir.txt", "dir/a", "dir/b"}) {
		t.Errorf("listed %q", names)
	}
	for range c.List(t.Context(), "") {
		break // must not go on, nor leave anything behind
	}
}

// Other programs look for the keys as they are written: in lower case. (Reading
// them one by one would not show it, since net/http changes what it reads.)
func TestMetadataKeysAreLowerCaseOnTheWire(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	md, _ := Attributes{UID: 7, Mode: 0o644}.Metadata()
	mustUpload(t, c, "put", nil, UploadOptions{Metadata: md})
	mustUpload(t, c, "blocks", randomBytes(2*testBlock), UploadOptions{Metadata: map[string]string{"Owner": "7"}})
	page, err := c.client().NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Include: container.ListBlobsInclude{Metadata: true}}).NextPage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range page.Segment.BlobItems {
		if item.Metadata["owner"] == nil || item.Metadata["lhsm_crc64"] == nil {
			t.Errorf("%s is stored with the keys %q", *item.Name, slices.Sorted(maps.Keys(item.Metadata)))
		}
	}
}

func TestDeleteTakesSnapshotsAlong(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	mustUpload(t, c, "a", randomBytes(5), UploadOptions{})
	if _, err := c.blob("a").CreateSnapshot(t.Context(), &blob.CreateSnapshotOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(t.Context(), "a", ""); err != nil {
		t.Error(err)
	}
}

// Every name that NameForPath gives must be one that the service takes, gives
// back, and does not mix up with another.
func TestOddNames(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	content := map[Name]string{}
	for _, path := range []string{
		"line\nbreak", `"quoted"`, "it's", "100%", "a%20b", "a b", "%2E", "#hash", "q?m=1&x", "a+b", "semi;colon",
		`back\slash`, "back/slash", "\xff\xfe", "trailing.", "dots/...", "tab\t", "\x7f", " lead", "trail ",
		"größe", "文件", "🙂", "\ue000", "\u0081", "\ufffe", "x:y", "a*b|c<d>e", "[0x1:0x2:0x3]", "@", "=", "~", "^`{}",
		strings.Repeat("n", 255), strings.Repeat("ü", 127), strings.Repeat("\xff", 255),
		strings.Repeat(strings.Repeat("d", 200)+"/", 10) + "f",
		strings.Repeat("s/", 253) + "f", strings.Repeat("s/", 254) + "f", strings.Repeat("文", 1024),
	} {
		n, err := NameForPath(path)
		if err != nil {
			t.Fatal(err)
		}
		mustUpload(t, c, n, []byte(path), UploadOptions{})
		content[n] = path
	}
	for info, err := range c.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		path, ok := content[info.Name]
		if !ok {
			t.Errorf("listed as %q, which nobody uploaded", info.Name)
			continue
		}
		wantContent(t, c, info, []byte(path))
		delete(content, info.Name)
	}
	for n := range content {
		t.Errorf("%q is not listed", n)
	}
}
