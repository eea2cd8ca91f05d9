package blobstore

import (
	"context"
	"encoding/hex"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
)

// A StagedBlock is a block that the service holds for an upload and that no blob
// has yet. Whoever keeps those of an upload that was interrupted can hand them to
// the next one of the same file and name, in [UploadOptions].Resume.
type StagedBlock struct {
	Upload    string // whose it is: blocks of two uploads are not mixed
	BlockSize int64  // bytes of each block of that upload but the last
	Number    int    // from 0, in the order of the file
	CRC64     uint64 // of its bytes; the service has checked it
}

// parseNonce reads what String wrote.
func parseNonce(text string) (n nonce, ok bool) {
	b, err := hex.DecodeString(text)
	return nonce(append(b, n[:]...)[:nonceSize]), err == nil && len(b) == nonceSize
}

// takeUp continues the upload that the blocks to resume from belong to, if the
// service still has any of them. What it cannot have, or cannot find out, is sent
// as if there had been nothing: if something is wrong, that will say it.
func (u *upload) takeUp(ctx context.Context) {
	n, blocks := u.resumable()
	if len(blocks) == 0 {
		return
	}
	sizes := u.uncommitted(ctx)
	for i := range blocks {
		if size, ok := sizes[n.blockID(i)]; !ok || size != u.lengthOf(i) {
			delete(blocks, i)
		}
	}
	if len(blocks) > 0 {
		u.nonce, u.staged = n, blocks
	}
}

// resumable is the latest upload in the blocks to resume from, with the CRCs of
// its blocks, if it cut the file as this one does.
func (u *upload) resumable() (n nonce, blocks map[int]uint64) {
	given := u.options.Resume
	if len(given) == 0 {
		return n, nil
	}
	latest := given[len(given)-1].Upload
	n, ok := parseNonce(latest)
	if !ok {
		return n, nil
	}
	blocks = map[int]uint64{}
	for _, b := range given {
		if b.Upload == latest && b.BlockSize == u.blockSize && b.Number >= 0 && b.Number < u.count() {
			blocks[b.Number] = b.CRC64
		}
	}
	return n, blocks
}

// uncommitted are the sizes of the blocks that the service holds for the name, by ID.
func (u *upload) uncommitted(ctx context.Context) map[string]int64 {
	release, err := u.pool.memory.reserve(ctx, maxBlocks*listEntry)
	if err != nil {
		return nil
	}
	defer release()
	r, err := u.blob(u.name).GetBlockList((&call{op: "get-block-list"}).context(ctx), blockblob.BlockListTypeUncommitted, nil)
	if err != nil {
		return nil
	}
	sizes := make(map[string]int64, len(r.UncommittedBlocks))
	for _, b := range r.UncommittedBlocks {
		sizes[deref(b.Name)] = deref(b.Size)
	}
	return sizes
}

// isStaged tells whether the service has the i-th block, and in it the bytes whose
// CRC was just computed from the source. So a source that has changed is noticed.
func (u *upload) isStaged(i int, crc uint64) bool {
	had, ok := u.staged[i]
	return ok && had == crc
}

// tellStaged lets the caller know of a block that could be resumed from.
func (u *upload) tellStaged(i int, crc uint64) {
	if u.options.Staged != nil {
		u.options.Staged(StagedBlock{Upload: u.nonce.String(), BlockSize: u.blockSize, Number: i, CRC64: crc})
	}
}
