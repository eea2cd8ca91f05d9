package checks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// A Blob is what a listing says of one.
type Blob struct {
	Name     string
	FID      string // of the file whose copy it is, in brackets; empty for others
	IsFolder bool   // the marker of a directory
}

// List lists the blobs whose names begin with a prefix.
func List(ctx context.Context, c *container.Client, prefix string) ([]Blob, error) {
	var list []Blob
	pager := c.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix, Include: container.ListBlobsInclude{Metadata: true}})
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the container: %w", err)
		}
		for _, item := range page.Segment.BlobItems {
			md := lower(item.Metadata)
			b := Blob{Name: *item.Name, IsFolder: md["hdi_isfolder"] != ""}
			if fid := strings.Trim(md["lhsm_fid"], "[]"); fid != "" {
				b.FID = "[" + fid + "]"
			}
			list = append(list, b)
		}
	}
	return list, nil
}

// lower makes metadata of what the HTTP layer made of it.
func lower(md map[string]*string) map[string]string {
	m := map[string]string{}
	for k, v := range md {
		if v != nil {
			m[strings.ToLower(k)] = *v
		}
	}
	return m
}

// files are the copies of files in this check's folder.
func (c *C) files() []Blob {
	c.Helper()
	list, err := List(c.Context(), c.Container, c.blob("")+"/")
	if err != nil {
		c.Fatalf("%v", err)
	}
	return slices.DeleteFunc(list, func(b Blob) bool { return b.IsFolder })
}

// blobContent is false if there is no such blob.
func (c *C) blobContent(rel string) ([]byte, bool) {
	c.Helper()
	r, err := c.Container.NewBlobClient(c.blob(rel)).DownloadStream(c.Context(), nil)
	if bloberror.HasCode(err, bloberror.BlobNotFound) {
		return nil, false
	}
	if err != nil {
		c.Fatalf("download %q: %v", c.blob(rel), oneLine(err))
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		c.Fatalf("download %q: %v", c.blob(rel), err)
	}
	return b, true
}

func (c *C) wantBlob(rel string, want []byte) {
	c.Helper()
	got, ok := c.blobContent(rel)
	switch {
	case !ok:
		c.Errorf("there is no blob %q; does the copytool use this container, and --prefix %q?", c.blob(rel), c.Prefix)
	case !bytes.Equal(got, want):
		c.Errorf("blob %q has %d bytes, which are not the %d wanted", c.blob(rel), len(got), len(want))
	}
}

func (c *C) wantNoBlob(rel string) {
	c.Helper()
	if _, ok := c.blobContent(rel); ok {
		c.Errorf("there is a blob %q, and none is wanted", c.blob(rel))
	}
}

func (c *C) properties(rel string) blob.GetPropertiesResponse {
	c.Helper()
	p, err := c.Container.NewBlobClient(c.blob(rel)).GetProperties(c.Context(), nil)
	if err != nil {
		c.Fatalf("properties of blob %q: %v", c.blob(rel), oneLine(err))
	}
	return p
}

func (c *C) overwriteBlob(rel string, b []byte) {
	c.Helper()
	if _, err := c.Container.NewBlockBlobClient(c.blob(rel)).UploadBuffer(c.Context(), b, nil); err != nil {
		c.Fatalf("write blob %q: %v", c.blob(rel), oneLine(err))
	}
}

func (c *C) deleteBlob(rel string) {
	c.Helper()
	if _, err := c.Container.NewBlobClient(c.blob(rel)).Delete(c.Context(), nil); err != nil {
		c.Fatalf("delete blob %q: %v", c.blob(rel), oneLine(err))
	}
}

// oneLine leaves out what the SDK prints of requests and answers.
func oneLine(err error) error {
	line, _, _ := strings.Cut(err.Error(), "\n")
	if code, ok := errorCode(err); ok {
		line = code
	}
	return errors.New(line)
}
