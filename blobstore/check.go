package blobstore

import (
	"context"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// checkName is a blob that is not there. Its escape is one that no path gets.
const checkName = "%~check"

// checkETag is the ETag of no blob.
const checkETag = `"0x0"`

// A Permission is one thing that a credential may be allowed to do in a container.
type Permission string

// The permissions that whole files take.
const (
	MayList   Permission = "list"
	MayRead   Permission = "read"
	MayWrite  Permission = "write"
	MayDelete Permission = "delete"
)

// Permissions are all that are needed, in the order in which they are best tried.
var Permissions = []Permission{MayList, MayRead, MayWrite, MayDelete}

// Check finds out whether the container is there and whether blobs in it may be
// listed, read, written and deleted. It changes nothing: what it asks to write
// and delete is a blob with an ETag that none has. Its errors name the cause and
// the remedy in one line.
func (c *Container) Check(ctx context.Context) error {
	for _, p := range Permissions {
		if err := c.CheckPermission(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// CheckPermission is [Container.Check] of one permission.
func (c *Container) CheckPermission(ctx context.Context, p Permission) error {
	ctx = impatient(ctx) // an operator waits for this
	for _, probe := range []struct {
		permission Permission
		op         string
		run        func(context.Context) error
	}{
		{MayList, "check that blobs may be listed in", c.probeList},
		{MayRead, "check that blobs may be read in", c.probeRead},
		{MayWrite, "check that blobs may be written in", c.probeWrite},
		{MayDelete, "check that blobs may be deleted in", c.probeDelete},
	} {
		if probe.permission == p {
			return c.fail(probe.op+" "+c.url, "", probe.run(ctx))
		}
	}
	return c.fail("check", "", fmt.Errorf("no such permission: %q", p))
}

func (c *Container) probeList(ctx context.Context) error {
	one := int32(1)
	pager := c.client().NewListBlobsFlatPager(&container.ListBlobsFlatOptions{MaxResults: &one})
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
