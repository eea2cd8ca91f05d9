package blobstore

import (
	"context"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
)

// lookFirst is the size from which an upload looks at its destination before it
// sends bytes. Below it, the attempt is the cheaper look.
const lookFirst = 4 << 20

// lookAhead finds out whether something about the blob that has the name would
// keep this upload from being published. The service says so as well, but at the
// end, when terabytes may have been sent in vain.
func (u *upload) lookAhead(ctx context.Context) error {
	cond := u.options.Condition
	now, p, err := u.stat(ctx, u.name)
	switch {
	case isKind(err, ErrNotFound) && (cond.createOnly() || cond.overwrite):
		return nil
	case isKind(err, ErrNotFound):
		return &Error{Kind: ErrChanged, Err: fmt.Errorf("%w: it is gone", ErrChanged)}
	case err != nil:
		return err
	case cond.createOnly():
		return &Error{Kind: ErrExists, Err: ErrExists}
	case !cond.overwrite && !sameETag(cond.etag, now.ETag):
		return &Error{Kind: ErrChanged, Err: fmt.Errorf("%w: it has the ETag %s, not %s", ErrChanged, now.ETag, cond.etag)}
	}
	return u.replaceable(ctx, &p)
}

// replaceable is why a blob cannot be replaced, as far as that can be seen.
func (c *Container) replaceable(ctx context.Context, p *blob.GetPropertiesResponse) error {
	refuse := func(kind error, why string) error {
		return &Error{Kind: kind, Err: fmt.Errorf("%w, and must not be replaced: %s", kind, why)}
	}
	until := deref(p.ImmutabilityPolicyExpiresOn)
	versioned := deref(p.VersionID) != "" // a write makes a new version, and what is protected stays as it is
	switch {
	case deref(p.LeaseStatus) == "locked":
		return refuse(ErrLeased, "its lease is "+string(deref(p.LeaseState)))
	case deref(p.AccessTier) == string(blob.AccessTierArchive):
		return refuse(ErrArchivedTier, "rehydrate or delete it first")
	case deref(p.LegalHold) && !versioned:
		return refuse(ErrImmutable, "it is under a legal hold")
	case until.After(time.Now()) && !versioned:
		return refuse(ErrImmutable, "its retention ends at "+until.UTC().Format(time.RFC3339))
	case c.writeOnce(ctx):
		return refuse(ErrImmutable, "the container has an immutability policy or a legal hold")
	}
	return nil
}

// writeOnce tells whether blobs of the container can be made, and never be
// replaced. A SAS of the container may not ask; then the service tells later.
func (c *Container) writeOnce(ctx context.Context) bool {
	p, err := c.client().GetProperties((&call{op: "head-container"}).context(impatient(ctx)), nil)
	return err == nil && (deref(p.HasImmutabilityPolicy) || deref(p.HasLegalHold)) && !deref(p.IsImmutableStorageWithVersioningEnabled)
}
