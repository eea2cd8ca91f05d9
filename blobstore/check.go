package blobstore

import (
	"context"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// checkName is a blob that is not there. Its escape is one that no path gets.
const checkName = "%~check"

// checkETag is the ETag of no blob.
const checkETag = `"0x0"`

// Check finds out whether the container is there and whether blobs in it may be
// listed, read, written and deleted. It changes nothing: what it asks to write
// and delete is a blob with an ETag that none has. Its errors name the cause and
// the remedy in one line.
func (c *Container) Check(ctx context.Context) error {
	ctx = impatient(ctx) // an operator waits for this
	for _, probe := range []struct {
		op  string
		run func(context.Context) error
	}{
		{"check that blobs may be listed in", c.probeList},
		{"check that blobs may be read in", c.probeRead},
		{"check that blobs may be written in", c.probeWrite},
		{"check that blobs may be deleted in", c.probeDelete},
	} {
		if err := probe.run(ctx); err != nil {
			return c.fail(probe.op+" "+c.url, "", err)
		}
	}
	return nil
}

func (c *Container) probeList(ctx context.Context) error {
	one := int32(1)
	pager := c.client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{MaxResults: &one})
	_, err := pager.NextPage((&call{op: "list-blobs"}).context(ctx))
	return err
}

func (c *Container) probeRead(ctx context.Context) error {
	_, _, err := c.stat(ctx, checkName)
	return expect(err, ErrNotFound)
}

func (c *Container) probeWrite(ctx context.Context) error {
	u, err := c.newUpload(checkName, nil, 0, UploadOptions{Condition: IfMatch(checkETag)})
	if err == nil {
		_, err = u.run(ctx)
	}
	return expect(err, ErrChanged)
}

func (c *Container) probeDelete(ctx context.Context) error {
	return expect(c.delete(ctx, checkName, checkETag), ErrNotFound, ErrChanged)
}

// expect takes an error that says "authorised, but there is no such blob" for
// success.
func expect(err error, kinds ...error) error {
	if isKind(err, kinds...) {
		return nil
	}
	return err
}

// impatient makes the SDK try only twice. The second try covers a connection
// that was lost.
func impatient(ctx context.Context) context.Context {
	return policy.WithRetryOptions(ctx, policy.RetryOptions{MaxRetries: 1, RetryDelay: firstPause})
}
