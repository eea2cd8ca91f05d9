package blobstore

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
)

// CopyOptions are the particulars of a [Container.Copy].
type CopyOptions struct {
	SourceIfMatch string // ETag that the source must have; empty: any
	Condition     Condition
	Metadata      map[string]string // nil: the source's. It replaces all, lhsm_crc64 included
}

// Copy copies a blob within the container, at the service, and returns when
// that is done; a copy given up with ctx is aborted. The result describes the
// new blob. Its lhsm_upload is a new one.
func (c *Container) Copy(ctx context.Context, src, dst Name, o CopyOptions) (Info, error) {
	info, err := c.copyBlob(ctx, src, dst, o)
	return info, c.fail("copy", dst, err)
}

func (c *Container) copyBlob(ctx context.Context, src, dst Name, o CopyOptions) (Info, error) {
	if o.Metadata == nil {
		source, _, err := c.stat(ctx, src)
		if err != nil {
			return Info{}, err
		}
		o.Metadata = source.Metadata
		o.SourceIfMatch = or(o.SourceIfMatch, source.ETag)
	}
	mark := newNonce().String()
	md := maps.Clone(lowerKeys(o.Metadata))
	md[keyUpload] = mark
	if err := checkMetadata(md); err != nil {
		return Info{}, err
	}
	copyID, err := c.startCopy(ctx, src, dst, o, md)
	if err != nil {
		return c.copyStarted(ctx, dst, mark, o.Condition, err)
	}
	return c.awaitCopy(ctx, dst, mark, copyID)
}

// startCopy asks for the copy. Within an account it is done by the time of the
// answer, as a rule.
func (c *Container) startCopy(ctx context.Context, src, dst Name, o CopyOptions, md map[string]string) (copyID string, err error) {
	options := &blob.StartCopyFromURLOptions{Metadata: pointers(md), AccessConditions: o.Condition.accessConditions()}
	if o.SourceIfMatch != "" {
		etag := azcore.ETag(o.SourceIfMatch)
		options.SourceModifiedAccessConditions = &blob.SourceModifiedAccessConditions{SourceIfMatch: &etag}
	}
	from := c.blob(src).URL()
	if sas := c.access.Load().sas; sas != nil {
		from += "?" + sas.current()
	}
	r, err := c.blob(dst).StartCopyFromURL((&call{op: "copy-blob"}).context(ctx), from, options)
	return deref(r.CopyID), err
}

// copyStarted finds out whether a copy whose request failed has begun all the
// same: its answer was lost, and the SDK's next try met its own blob.
func (c *Container) copyStarted(ctx context.Context, dst Name, mark string, cond Condition, err error) (Info, error) {
	if !isKind(err, ErrExists, ErrChanged) {
		return Info{}, err
	}
	now, p, serr := c.stat(ctx, dst)
	if serr == nil && now.Metadata[keyUpload] == mark {
		return c.awaitCopy(ctx, dst, mark, deref(p.CopyID))
	}
	if serr == nil && cond.createOnly() { // and not the source's condition
		_, cause := classify(err)
		return Info{}, &Error{Kind: ErrExists, Err: cause}
	}
	return Info{}, err
}

// awaitCopy looks until the copy is done.
func (c *Container) awaitCopy(ctx context.Context, dst Name, mark, copyID string) (Info, error) {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		now, p, err := c.stat(ctx, dst)
		switch {
		case ctx.Err() != nil:
			c.abortCopy(ctx, dst, copyID)
			return Info{}, ctx.Err()
		case err != nil:
			return Info{}, err
		case now.Metadata[keyUpload] != mark:
			return Info{}, &Error{Kind: ErrChanged, Err: fmt.Errorf("%w while it was being copied", ErrChanged)}
		case deref(p.CopyStatus) == blob.CopyStatusTypePending:
		case deref(p.CopyStatus) == blob.CopyStatusTypeSuccess:
			return now, nil
		default:
			return Info{}, fmt.Errorf("copy ended as %q: %s", deref(p.CopyStatus), deref(p.CopyStatusDescription))
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// isUnfinished tells whether a blob, whose answers have this state of a copy, is one that
// the copy has not made, or not yet.
func isUnfinished(s *blob.CopyStatusType) bool {
	return s != nil && *s != blob.CopyStatusTypeSuccess
}

// abortCopy stops a copy that nobody waits for any more. It leaves an empty blob
// behind; if even this fails, the service finishes the copy.
func (c *Container) abortCopy(ctx context.Context, dst Name, copyID string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_, err := c.blob(dst).AbortCopyFromURL((&call{op: "abort-copy"}).context(ctx), copyID, nil)
	if err != nil {
		c.pool.options.Logger.Warn("cannot abort a copy", "blob", dst, "err", c.fail("abort copy", dst, err))
	}
}
