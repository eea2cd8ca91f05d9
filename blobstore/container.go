package blobstore

import (
	"context"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
)

// ContainerOptions says which container, how to authenticate, and how to cut
// files into blocks. Zero values are defaults.
type ContainerOptions struct {
	// URL is https://ACCOUNT.blob.core.windows.net/CONTAINER or the like in other
	// clouds, or http://HOST:PORT/ACCOUNT/CONTAINER. No SAS in it. With a
	// connection string, the name of the container is enough.
	URL        string
	Credential Credential

	BlockSize    int64  // bytes; 0: 8 MiB. Larger blocks are used for a file that would need over 50,000
	PutThreshold int64  // files up to this many bytes go in one Put Blob; 0: the block size
	Tier         string // access tier of new blobs; empty: the account's default
}

// Container is one blob container. It is safe for concurrent use.
type Container struct {
	endpoint
	pool    *Pool
	access  atomic.Pointer[access] // never nil
	options ContainerOptions
}

// Open makes a Container on p. It does not touch the network; see [Container.Check].
func Open(o ContainerOptions, p *Pool) (*Container, error) {
	c := &Container{pool: p, options: o}
	if err := c.cutting(); err != nil {
		return nil, &Error{Op: "open container", Err: err, Hint: "lower the block size, or raise the memory limit"}
	}
	if err := c.open(); err != nil {
		kind, cause := classify(err)
		return nil, &Error{Op: "open container", Kind: kind, Err: cause, Hint: "correct the container's URL or its credential"}
	}
	return c, nil
}

func (c *Container) open() (err error) {
	credential, url, err := c.options.Credential.resolve(c.options.URL)
	if err != nil {
		return err
	}
	if c.endpoint, err = parseEndpoint(url); err != nil {
		return fmt.Errorf("%s: %w", RedactURL(url), err)
	}
	c.options.Credential = Credential{} // no longer needed, so not kept
	a, err := c.connect(credential)
	c.access.Store(a)
	return err
}

// clientOptions are those of every SDK client on this pool.
func (p *Pool) clientOptions() azcore.ClientOptions {
	o := azcore.ClientOptions{
		Transport:       sender{p},
		PerCallPolicies: []policy.Policy{resigner{p}},
		Retry: policy.RetryOptions{
			MaxRetries:    int32(p.options.Retries),
			RetryDelay:    firstPause,
			MaxRetryDelay: 2 * time.Minute, // above what the service asks for, else the SDK gives up at once
		},
		Telemetry: policy.TelemetryOptions{Disabled: true}, // the sender names us
	}
	if p.options.Traced { // the id is part of what is signed
		o.PerCallPolicies = append(o.PerCallPolicies, runtime.NewRequestIDPolicy())
	}
	return o
}

// URL is the container's URL without any credential.
func (c *Container) URL() string { return c.url }

// Account is the name of the storage account.
func (c *Container) Account() string { return c.account }

// ContainerName is the container's name in its account.
func (c *Container) ContainerName() string { return c.container }

// CredentialExpiry is when the credential ends, if it is a SAS that says so.
// Other modes renew theirs.
func (c *Container) CredentialExpiry() (time.Time, bool) {
	sas := c.access.Load().sas
	if sas == nil {
		return time.Time{}, false
	}
	return sas.expiry()
}

// Info describes a blob.
type Info struct {
	Name      Name
	ETag      string // as the service gives it, quotes included
	VersionID string // empty where versioning is off
	Size      int64
	CRC64     uint64 // CRC-64/NVME of the whole blob, as our metadata says it
	HasCRC64  bool   // false: a blob that Upload did not write
	// ZeroBlocks is how many of its blocks are the same block of zeros; see Upload.
	ZeroBlocks int
	Modified   time.Time
	Tier       string            // "Hot", "Cool", "Cold", "Archive"; empty where unknown
	Metadata   map[string]string // keys in lower case
	// Unfinished is a blob that a copy has not made, or not yet: what it will hold it
	// says already. Stat alone tells.
	Unfinished bool
}

// Stat returns what is known of a blob without reading it.
func (c *Container) Stat(ctx context.Context, n Name) (Info, error) {
	info, _, err := c.stat(ctx, n)
	return info, c.fail("stat", n, err)
}

// stat is Stat with the SDK's errors, and with the state of a copy.
func (c *Container) stat(ctx context.Context, n Name) (Info, blob.GetPropertiesResponse, error) {
	ctx = (&call{op: "head-blob"}).context(ctx)
	p, err := c.blob(n).GetProperties(ctx, nil)
	if err != nil {
		return Info{}, p, err
	}
	info := Info{
		Name:      n,
		ETag:      string(deref(p.ETag)),
		VersionID: deref(p.VersionID),
		Size:      deref(p.ContentLength),
		Modified:  deref(p.LastModified),
		Tier:      deref(p.AccessTier),

		Unfinished: isUnfinished(p.CopyStatus),
	}
	info.setMetadata(p.Metadata)
	return info, p, nil
}

// setMetadata takes over metadata as the SDK has it.
func (i *Info) setMetadata(md map[string]*string) {
	plain := make(map[string]string, len(md))
	for k, v := range md {
		plain[k] = deref(v)
	}
	i.Metadata = lowerKeys(plain)
	i.readOwnKeys()
}

// readOwnKeys takes over what Upload has noted in the metadata.
func (i *Info) readOwnKeys() {
	i.CRC64, i.HasCRC64 = crcOf(i.Metadata)
	i.ZeroBlocks = zeroBlocksOf(i.Metadata)
}

// Delete deletes a blob and its snapshots. With ifMatch it deletes only the
// blob with that ETag, else [ErrChanged]; empty means whatever is there.
func (c *Container) Delete(ctx context.Context, n Name, ifMatch string) error {
	return c.fail("delete", n, c.goneOr(ctx, n, c.delete(ctx, n, ifMatch)))
}

// goneOr tells a blob that is gone from one that has changed: the service may
// answer the one like the other when there was a condition.
func (c *Container) goneOr(ctx context.Context, n Name, err error) error {
	if !isKind(err, ErrChanged) {
		return err
	}
	if _, _, serr := c.stat(ctx, n); isKind(serr, ErrNotFound) {
		return serr
	}
	return err
}

// delete is Delete with the SDK's errors.
func (c *Container) delete(ctx context.Context, n Name, ifMatch string) error {
	ctx = (&call{op: "delete-blob"}).context(ctx)
	include := blob.DeleteSnapshotsOptionTypeInclude
	_, err := c.blob(n).Delete(ctx, &blob.DeleteOptions{DeleteSnapshots: &include, AccessConditions: ifMatches(ifMatch)})
	return err
}

// SetMetadata replaces all metadata of a blob, lhsm_crc64 included: start from
// what Stat gave. The ETag changes; the new one is in the result, with the time
// and the metadata. With ifMatch only the blob with that ETag is changed, else
// [ErrChanged].
func (c *Container) SetMetadata(ctx context.Context, n Name, md map[string]string, ifMatch string) (Info, error) {
	if err := checkMetadata(md); err != nil {
		return Info{}, c.fail("set metadata", n, err)
	}
	info := Info{Name: n, Metadata: lowerKeys(md)}
	info.readOwnKeys()
	r, err := c.blob(n).SetMetadata((&call{op: "set-metadata"}).context(ctx), pointers(info.Metadata),
		&blob.SetMetadataOptions{AccessConditions: ifMatches(ifMatch)})
	if err != nil {
		return c.metadataSet(ctx, info, err)
	}
	info.ETag, info.VersionID, info.Modified = string(deref(r.ETag)), deref(r.VersionID), deref(r.LastModified)
	return info, nil
}

// metadataSet finds out whether a SetMetadata that failed its condition has
// failed on its own success: the answer was lost, and the SDK tried again.
func (c *Container) metadataSet(ctx context.Context, want Info, err error) (Info, error) {
	if isKind(err, ErrChanged) {
		if now, _, serr := c.stat(ctx, want.Name); serr == nil && maps.Equal(now.Metadata, want.Metadata) {
			return now, nil
		}
	}
	return Info{}, c.fail("set metadata", want.Name, err)
}

func (c *Container) blob(n Name) *blockblob.Client { return c.client().NewBlockBlobClient(string(n)) }

// accessConditions translates a Condition.
func (c Condition) accessConditions() *blob.AccessConditions {
	switch {
	case c.overwrite:
		return nil
	case c.createOnly():
		any := azcore.ETagAny
		return &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: &any}}
	}
	return ifMatches(c.etag)
}

// ifMatches is the condition that the blob has an ETag; empty: none.
func ifMatches(etag string) *blob.AccessConditions {
	if etag == "" {
		return nil
	}
	tag := azcore.ETag(etag)
	return &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: &tag}}
}

// deref is what p points to, or zero.
func deref[T any, P ~*T](p P) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// pointers is metadata as the SDK wants it.
func pointers(md map[string]string) map[string]*string {
	m := make(map[string]*string, len(md))
	for k, v := range md {
		m[k] = &v
	}
	return m
}
