package blobstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"golang.org/x/sync/errgroup"
)

// UploadOptions are the particulars of a [Container.Upload].
type UploadOptions struct {
	Condition   Condition
	Metadata    map[string]string // keys are ASCII identifiers, values printable ASCII
	Tier        string            // empty: the container's
	ContentType string            // empty: application/octet-stream

	// BeforeCommit is called once all bytes are read (and staged, if there are
	// blocks), before the request that publishes them. Its error ends the upload,
	// and is what errors.Is and errors.As find in the result.
	BeforeCommit func() error

	// Progress is told how many bytes have been moved so far: each time a larger
	// number, from one goroutine at a time.
	Progress func(total int64)

	// Staged is told of each block that the service has taken, from several
	// goroutines at once. A file that goes in one request has none.
	Staged func(StagedBlock)

	// NextData is where the next bytes are, at an offset or behind it, that may be
	// other than zero: from start to end, and none before. start is the size or more
	// if there are none. A block that lies before them is not read. It is called from
	// one goroutine, and only for files of several blocks; nil: read everything.
	NextData func(offset int64) (start, end int64)

	// Resume are blocks of an earlier upload of the same bytes to the same name.
	// Each of them is read again, and left where it is if the service still has it
	// and its CRC is that of the bytes read; else it is sent.
	Resume []StagedBlock
}

// Upload writes size bytes of src as the blob n. The bytes become visible all
// at once, or not at all.
//
// Metadata gets two keys more: lhsm_crc64, the file's CRC-64 in 16 hex digits,
// and lhsm_upload, which is this upload's own. A file with blocks of zeros, which
// are not sent, has their number in a third: lhsm_zero_blocks.
//
// Errors: [ErrExists] and [ErrChanged] when the condition does not hold,
// [ErrShortSource] when src has fewer than size bytes, [ErrTooLarge] before the
// first byte when the file cannot be one blob, and those of the service. An
// error after the last request was sent may mean that it was carried out all the
// same; Upload looks, if it can.
func (c *Container) Upload(ctx context.Context, n Name, src io.ReaderAt, size int64, o UploadOptions) (Info, error) {
	u, err := c.newUpload(n, src, size, o)
	if err != nil {
		return Info{}, c.fail("upload", n, err)
	}
	info, err := u.run(ctx)
	return info, c.fail("upload", n, err)
}

// upload is one file on its way.
type upload struct {
	*Container
	name      Name
	src       io.ReaderAt
	size      int64
	blockSize int64
	options   UploadOptions
	metadata  map[string]string
	nonce     nonce
	staged    map[int]uint64 // CRCs of the blocks that the service has already
	leftovers bool           // the name is taken, and there is no blob
	progress  progress
	crc       crcSum

	zeroCRC            uint64       // of a block of zeros
	zeroBlocks         atomic.Int64 // how often the list has the block of zeros
	dataStart, dataEnd int64        // what NextData said last
}

// count is the number of blocks.
func (u *upload) count() int { return int((u.size + u.blockSize - 1) / u.blockSize) }

// lengthOf is the number of bytes in the i-th block.
func (u *upload) lengthOf(i int) int64 { return min(u.blockSize, u.size-int64(i)*u.blockSize) }

// newUpload checks what can be checked before the first byte.
func (c *Container) newUpload(n Name, src io.ReaderAt, size int64, o UploadOptions) (*upload, error) {
	if size < 0 {
		return nil, fmt.Errorf("size %d", size)
	}
	blockSize, err := blockSizeFor(size, c.options.BlockSize, c.pool.memory.largestSource())
	if err != nil {
		return nil, err
	}
	u := &upload{
		Container: c, name: n, src: src, size: size, blockSize: blockSize, options: o,
		nonce:    newNonce(),
		progress: progress{report: o.Progress},
	}
	u.metadata = lowerKeys(o.Metadata)
	u.describe(0, int64(u.count())) // as long as it can become
	return u, checkMetadata(u.metadata)
}

// describe puts our own keys into the metadata. What is taken up brings its nonce along.
func (u *upload) describe(crc uint64, zeroBlocks int64) {
	u.metadata[keyCRC64], u.metadata[keyUpload] = formatCRC64(crc), u.nonce.String()
	delete(u.metadata, keyZeroBlocks) // also of whatever blob the caller's metadata are from
	if zeroBlocks > 0 {
		u.metadata[keyZeroBlocks] = formatNumber(uint64(zeroBlocks))
	}
}

func (u *upload) run(ctx context.Context) (Info, error) {
	if u.size >= lookFirst {
		if err := u.lookAhead(ctx); err != nil {
			return Info{}, err
		}
	}
	if u.size <= u.Container.options.PutThreshold {
		// Blocks that were staged for the name and never committed are no blob, but
		// a service may count them as one. Only a block list gets past them.
		if info, err := u.putBlob(ctx); !u.leftovers {
			return info, err
		}
	}
	ids, err := u.stageAll(ctx)
	if err != nil {
		return Info{}, err
	}
	return u.commit(ctx, ids, u.crc.sum())
}

// putBlob sends the file in one request.
func (u *upload) putBlob(ctx context.Context) (Info, error) {
	var data []byte // stays nil for an empty file
	if u.size > 0 {
		buf, err := u.pool.memory.acquireSource(ctx, u.size)
		if err != nil {
			return Info{}, err
		}
		defer buf.release()
		if err := u.read(ctx, buf.bytes, 0); err != nil {
			return Info{}, err
		}
		data = buf.bytes
	}
	crc := checksum(data)
	if err := u.lastLook(crc); err != nil {
		return Info{}, err
	}
	cl := &call{op: "put-blob", bytes: u.size, data: data}
	defer cl.end()
	o := &blockblob.UploadOptions{
		Metadata: pointers(u.metadata), Tier: u.tier(), HTTPHeaders: u.headers(),
		AccessConditions: u.options.Condition.accessConditions(),
	}
	if data != nil {
		o.TransactionalValidation = blob.TransferValidationTypeCRC64(crc)
	}
	r, err := u.blob(u.name).Upload(cl.context(ctx), streaming.NopCloser(bytes.NewReader(data)), o)
	if err != nil {
		return u.settle(ctx, crc, err)
	}
	u.progress.add(u.size)
	if deref(r.ETag) == "" { // then who answered was not the service
		return u.confirm(ctx, crc)
	}
	return u.info(crc, string(deref(r.ETag)), deref(r.VersionID), deref(r.LastModified)), nil
}

// stageAll sends all blocks, in parallel, and adds up their CRCs. It returns the
// block list.
func (u *upload) stageAll(ctx context.Context) (ids []string, err error) {
	u.takeUp(ctx)
	u.zeroCRC = crcOfZeros(u.blockSize)
	ids = make([]string, u.count())
	g, gctx := errgroup.WithContext(ctx)
	var hand gate
	for i := range ids {
		if u.inHole(i) {
			ids[i] = u.nonce.blockID(zeroBlock)
			if u.settled(i, u.blockSize, u.zeroCRC); u.zeroBlocks.Add(1) == 1 {
				g.Go(func() error { return u.stageHole(gctx) })
			}
			continue
		}
		// Waiting here, before the goroutine starts, bounds both, and ends the loop
		// as soon as a block fails, because that cancels gctx.
		buf, aerr := u.pool.takeInHand(gctx, &hand, u.pool.memory.acquireSource, u.lengthOf(i))
		if aerr != nil {
			err = aerr
			break
		}
		g.Go(func() error {
			defer hand.release(1)
			defer buf.release()
			var err error
			ids[i], err = u.stage(gctx, i, buf.bytes)
			return err
		})
	}
	if werr := g.Wait(); werr != nil {
		return nil, werr // the reason why acquire failed, if it did
	}
	return ids, err
}

// stage reads one block and sends it, if the service does not have it. It returns
// the ID of the block that has the bytes.
func (u *upload) stage(ctx context.Context, i int, data []byte) (id string, err error) {
	if err := u.read(ctx, data, int64(i)*u.blockSize); err != nil {
		return "", err
	}
	crc := checksum(data)
	number := i
	switch {
	case u.isZero(data, crc):
		if number = zeroBlock; u.zeroBlocks.Add(1) == 1 {
			err = u.send(ctx, number, data, crc)
		}
	case !u.isStaged(i, crc):
		if err = u.send(ctx, number, data, crc); err == nil {
			u.tellStaged(i, crc)
		}
	}
	if err != nil {
		return "", err
	}
	u.settled(i, int64(len(data)), crc)
	return u.nonce.blockID(number), nil
}

// settled notes that the i-th block, of so many bytes, needs nothing more.
func (u *upload) settled(i int, length int64, crc uint64) {
	u.crc.add(crc, u.size-int64(i)*u.blockSize-length)
	u.progress.add(length)
}

// send stages the block with that number.
func (u *upload) send(ctx context.Context, i int, data []byte, crc uint64) error {
	cl := &call{op: "put-block", bytes: int64(len(data)), data: data}
	defer cl.end()
	_, err := u.blob(u.name).StageBlock(cl.context(ctx), u.nonce.blockID(i), streaming.NopCloser(bytes.NewReader(data)),
		&blockblob.StageBlockOptions{TransactionalValidation: blob.TransferValidationTypeCRC64(crc)})
	return err
}

// commit makes the blob out of the staged blocks.
func (u *upload) commit(ctx context.Context, ids []string, crc uint64) (Info, error) {
	release, err := u.pool.memory.reserve(ctx, int64(len(ids))*listEntry)
	if err != nil {
		return Info{}, err
	}
	defer release()
	if err := u.lastLook(crc); err != nil {
		return Info{}, err
	}
	_, err = u.blob(u.name).CommitBlockList((&call{op: "put-block-list"}).context(ctx), ids, &blockblob.CommitBlockListOptions{
		Metadata: pointers(u.metadata), Tier: u.tier(), HTTPHeaders: u.headers(),
		AccessConditions: u.options.Condition.accessConditions(),
	})
	if err != nil {
		return u.settle(ctx, crc, err)
	}
	return u.confirm(ctx, crc)
}

// read fills data from the source.
func (u *upload) read(ctx context.Context, data []byte, offset int64) error {
	if err := u.pool.reads.acquire(ctx, 1, int64(len(data))); err != nil {
		return err
	}
	n, err := u.src.ReadAt(data, offset)
	u.pool.reads.release(1)
	switch {
	case n == len(data):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return &Error{Kind: ErrShortSource, Err: fmt.Errorf("%w: %d bytes, not %d", ErrShortSource, offset+int64(n), u.size)}
	}
	return localError{fmt.Errorf("read the source at %d: %w", offset, err)}
}

// lastLook is the last moment at which nothing has happened.
func (u *upload) lastLook(crc uint64) error {
	u.describe(crc, u.zeroBlocks.Load())
	if u.options.BeforeCommit == nil {
		return nil
	}
	if err := u.options.BeforeCommit(); err != nil {
		return localError{err}
	}
	return nil
}

func (u *upload) info(crc uint64, etag, version string, modified time.Time) Info {
	return Info{
		Name: u.name, ETag: etag, VersionID: version, Size: u.size, Modified: modified,
		CRC64: crc, HasCRC64: true, ZeroBlocks: int(u.zeroBlocks.Load()), Tier: string(deref(u.tier())), Metadata: u.metadata,
	}
}

func (u *upload) tier() *blob.AccessTier {
	tier := blob.AccessTier(or(u.options.Tier, u.Container.options.Tier))
	if tier == "" {
		return nil
	}
	return &tier
}

func (u *upload) headers() *blob.HTTPHeaders {
	contentType := or(u.options.ContentType, "application/octet-stream")
	return &blob.HTTPHeaders{BlobContentType: &contentType}
}

// progress adds up the pieces of a transfer.
type progress struct {
	report func(total int64) // nil: nobody wants to know

	mu    sync.Mutex // guards total, and makes reports one at a time
	total int64
}

func (p *progress) add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total += n
	if p.report != nil && n > 0 {
		p.report(p.total)
	}
}

func (p *progress) done() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total
}
