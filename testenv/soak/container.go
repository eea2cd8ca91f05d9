package soak

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"golang.org/x/sys/unix"
)

// A blobInfo is what a listing says of a blob.
type blobInfo struct {
	name string
	size int64
	etag string
	fid  string // with brackets; empty for what is not a file's copy
	crc  string
}

// list lists the files' copies. Markers of directories are not among them.
func (w *world) list(ctx context.Context) ([]blobInfo, error) {
	var list []blobInfo
	pager := w.blobs.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Include: container.ListBlobsInclude{Metadata: true}})
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the container: %w", err)
		}
		for _, item := range page.Segment.BlobItems {
			md := map[string]string{}
			for k, v := range item.Metadata {
				md[strings.ToLower(k)] = *v
			}
			if md["hdi_isfolder"] == "" {
				list = append(list, blobInfo{*item.Name, *item.Properties.ContentLength, `"` + strings.Trim(string(*item.Properties.ETag), `"`) + `"`, "[" + strings.Trim(md["lhsm_fid"], "[]") + "]", md["lhsm_crc64"]})
			}
		}
	}
	return list, nil
}

// compareContainer expects one blob for each file, with the file's bytes, and
// besides only copies of files that are unlinked.
func (w *world) compareContainer(ctx context.Context) error {
	list, err := w.list(ctx)
	if err != nil {
		return err
	}
	byFID := map[string][]blobInfo{}
	for _, b := range list {
		byFID[b.fid] = append(byFID[b.fid], b)
	}
	var errs []error
	for _, f := range w.files.all() {
		copies := slices.DeleteFunc(byFID[f.fid], w.superseded(f))
		delete(byFID, f.fid)
		if len(copies) != 1 {
			errs = append(errs, mismatchf("%q, %s, has %d blobs, want one: %+v", f.paths, f.fid, len(copies), copies))
		}
		for _, b := range copies {
			errs = append(errs, w.compareBlob(ctx, f, b))
		}
	}
	for fid, copies := range byFID {
		if !w.files.isDead(fid) {
			errs = append(errs, mismatchf("blobs without owner: %+v", copies))
			continue
		}
		w.seen.add(checked, "blobs of unlinked files", len(copies))
	}
	return errors.Join(errs...)
}

// superseded tells of a blob whether its file knows that it is to be deleted, as
// its identity has it. A failure of the storage puts that off.
func (w *world) superseded(f *file) func(blobInfo) bool {
	buf := make([]byte, 16<<10)
	var identity struct {
		Old []struct{ Name, ETag string } `json:"old"`
	}
	n, err := unix.Getxattr(filepath.Join(w.mounts[0], f.paths[0]), "trusted.lhsm_azblob", buf)
	if err == nil {
		err = json.Unmarshal(buf[:n], &identity)
	}
	return func(b blobInfo) bool {
		found := err == nil && slices.ContainsFunc(identity.Old, func(old struct{ Name, ETag string }) bool { return old.Name == b.name && old.ETag == b.etag })
		if found {
			w.seen.count(checked, "superseded blobs, not deleted yet")
		}
		return found
	}
}

// nvme is CRC-64/NVME, reversed, in the standard library's own implementation.
var nvme = crc64.MakeTable(0x9a6c9329ac4bc9b5)

// compareBlob compares a blob's bytes with the model.
func (w *world) compareBlob(ctx context.Context, f *file, b blobInfo) error {
	r, err := w.blobs.NewBlobClient(b.name).DownloadStream(ctx, nil)
	if err != nil {
		return fmt.Errorf("download %q: %w", b.name, err)
	}
	defer r.Body.Close()
	sum := crc64.New(nvme)
	got, want := make([]byte, compareSize), make([]byte, compareSize)
	for off := int64(0); ; {
		n, err := io.ReadFull(r.Body, got)
		if k := f.content.fill(want[:n], off); k < n || !bytes.Equal(got[:n], want[:n]) {
			return mismatchf("blob %q differs from its file %q, %s, after offset %d", b.name, f.paths, f.fid, off)
		}
		sum.Write(got[:n])
		off += int64(n)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			if crc := fmt.Sprintf("%016x", sum.Sum64()); off != f.content.size || crc != b.crc {
				return mismatchf("blob %q has %d bytes and says CRC-64 %s; its file %q has %d and %s", b.name, off, b.crc, f.paths, f.content.size, crc)
			}
			w.seen.count(checked, "blobs")
			return nil
		case err != nil:
			return fmt.Errorf("download %q: %w", b.name, err)
		}
	}
}

// compareEmptied expects no copy of a file that lives.
func (w *world) compareEmptied(ctx context.Context) error {
	list, err := w.list(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, b := range list {
		if !w.files.isDead(b.fid) {
			errs = append(errs, mismatchf("after every copy was removed there is a blob %+v", b))
		}
	}
	return errors.Join(errs...)
}

// logContainer writes what there is to the log.
func (w *world) logContainer(ctx context.Context) {
	list, err := w.list(ctx)
	for _, b := range list {
		w.log.add("end", fmt.Sprintf("blob %+v dead %t", b, w.files.isDead(b.fid)), nil)
	}
	if err != nil {
		w.log.add("end", "list the container", err)
	}
}
