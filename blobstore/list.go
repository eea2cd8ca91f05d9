package blobstore

import (
	"context"
	"iter"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// List yields the blobs whose names begin with prefix, in the order of their
// names, metadata included. It stops at the first error, which it yields.
func (c *Container) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		pager := c.client().NewListBlobsFlatPager(&container.ListBlobsFlatOptions{
			Prefix: &prefix, Include: container.ListBlobsInclude{Metadata: true},
		})
		for pager.More() {
			page, err := pager.NextPage((&call{op: "list-blobs"}).context(ctx))
			if err != nil {
				yield(Info{}, c.fail("list", Name(prefix), err))
				return
			}
			for _, item := range page.Segment.BlobItems {
				if !yield(listed(item), nil) {
					return
				}
			}
		}
	}
}

// listed describes a blob as a listing has it.
func listed(item *container.BlobItem) Info {
	info := Info{Name: Name(deref(item.Name)), VersionID: deref(item.VersionID)}
	if p := item.Properties; p != nil {
		info.ETag = quoted(string(deref(p.ETag)))
		info.Size = deref(p.ContentLength)
		info.Modified = deref(p.LastModified)
		info.Tier = string(deref(p.AccessTier))
	}
	info.setMetadata(item.Metadata)
	return info
}

// quoted gives an ETag the quotes that it has everywhere but in a listing.
func quoted(etag string) string {
	if etag == "" || etag[0] == '"' {
		return etag
	}
	return `"` + etag + `"`
}
