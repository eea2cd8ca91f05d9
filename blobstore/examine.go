package blobstore

import (
	"context"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// This file asks for what no transfer needs to know, and an operator wants to.
// Each question may be refused to a credential that is good for transfers.

// AccountInfo is what the account tells of itself (Get Account Information).
type AccountInfo struct {
	Kind                  string // such as "StorageV2", "BlockBlobStorage"
	SKU                   string // such as "Standard_ZRS", "Premium_LRS"
	HierarchicalNamespace bool
}

// AccountInfo asks the account what it is.
func (c *Container) AccountInfo(ctx context.Context) (AccountInfo, error) {
	r, err := c.client().GetAccountInfo((&call{op: "account-information"}).context(impatient(ctx)), nil)
	if err != nil {
		return AccountInfo{}, c.fail("account information", "", err)
	}
	return AccountInfo{string(deref(r.AccountKind)), string(deref(r.SKUName)), deref(r.IsHierarchicalNamespaceEnabled)}, nil
}

// Protection is what keeps blobs of a container from being replaced or deleted
// (Get Container Properties).
type Protection struct {
	Policy     bool // a retention policy of the container
	LegalHold  bool // of the container
	PerVersion bool // policies and holds may be on single versions
}

// Protection asks what protects the blobs of the container.
func (c *Container) Protection(ctx context.Context) (Protection, error) {
	r, err := c.client().GetProperties((&call{op: "container-properties"}).context(impatient(ctx)), nil)
	if err != nil {
		return Protection{}, c.fail("container properties", "", err)
	}
	return Protection{deref(r.HasImmutabilityPolicy), deref(r.HasLegalHold), deref(r.IsImmutableStorageWithVersioningEnabled)}, nil
}

// A Remainder is what the service keeps of a blob that was deleted.
type Remainder struct {
	Deleted  bool // by soft delete
	Versions bool
}

// Remainder looks for what is left of a blob after its deletion.
func (c *Container) Remainder(ctx context.Context, n Name) (Remainder, error) {
	prefix := string(n)
	pager := c.client().NewListBlobsFlatPager(&container.ListBlobsFlatOptions{
		Prefix: &prefix, Include: container.ListBlobsInclude{Deleted: true, Versions: true},
	})
	page, err := pager.NextPage((&call{op: "list-blobs"}).context(impatient(ctx)))
	if err != nil {
		return Remainder{}, c.fail("list what is left of", n, err)
	}
	var left Remainder
	for _, item := range page.Segment.BlobItems {
		left.Deleted = left.Deleted || deref(item.Deleted)
		left.Versions = left.Versions || deref(item.VersionID) != ""
	}
	return left, nil
}

// SetTags replaces the index tags of a blob. It takes a permission of its own.
func (c *Container) SetTags(ctx context.Context, n Name, tags map[string]string) error {
	_, err := c.blob(n).SetTags((&call{op: "set-tags"}).context(impatient(ctx)), tags, nil)
	return c.fail("set tags", n, err)
}
