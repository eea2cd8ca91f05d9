package blobstore

import "fmt"

// Azure's limits on block blobs.
const (
	maxBlocks  = 50_000
	maxBlock   = 4_000 << 20
	maxBlob    = maxBlocks * maxBlock // about 190.7 TiB
	maxPutBlob = 5_000 << 20
)

// defaultBlock is the block size of files that need no larger one.
const defaultBlock = 8 << 20

// cutting checks and fills in the sizes into which files are cut.
func (c *Container) cutting() error {
	o, room := &c.options, c.pool.memory.largestSource()
	if o.BlockSize == 0 {
		o.BlockSize = min(defaultBlock, room)
	}
	if o.PutThreshold == 0 {
		o.PutThreshold = o.BlockSize
	}
	switch {
	case o.BlockSize < 0 || o.BlockSize > maxBlock:
		return fmt.Errorf("block size %d is not between 1 byte and 4,000 MiB", o.BlockSize)
	case o.PutThreshold < 0 || o.PutThreshold > maxPutBlob:
		return fmt.Errorf("put threshold %d is not between 1 byte and 5,000 MiB", o.PutThreshold)
	case max(o.BlockSize, o.PutThreshold) > room:
		return fmt.Errorf("a block of %d bytes is more than the %d that %d bytes of memory have room for", max(o.BlockSize, o.PutThreshold), room, c.pool.memory.capacity)
	}
	return nil
}

// blockSizeFor is the block size for a file: the configured one, unless that
// would make more blocks than a blob can have. Then it is the smallest whole
// number of MiB that does not.
func blockSizeFor(size, configured, room int64) (int64, error) {
	if size > maxBlob {
		return 0, &Error{Kind: ErrTooLarge, Err: fmt.Errorf("%d bytes, and a blob holds %d", size, int64(maxBlob))}
	}
	const mib = 1 << 20
	needed := (size + maxBlocks - 1) / maxBlocks
	if needed <= configured {
		return configured, nil
	}
	block := min((needed+mib-1)/mib*mib, maxBlock)
	if block > room {
		return 0, &Error{
			Kind: ErrTooLarge,
			Err:  fmt.Errorf("a file of %d bytes needs blocks of %d, more than the %d that the memory has room for", size, block, room),
			Hint: "raise the memory limit",
		}
	}
	return block, nil
}
