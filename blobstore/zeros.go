package blobstore

import (
	"context"
	"iter"
	"math"
	"strconv"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
)

// zeroBlock is the number of the block of zeros that an upload stages once, and
// that its block list names in place of every block that holds nothing else. No
// blob has so many blocks, so no other block has it.
const zeroBlock = math.MaxUint32

// crcOfZeros is the CRC-64 of n zeros: all ones, times x^(8n), inverted.
func crcOfZeros(n int64) uint64 { return ^multiply(^uint64(0), powerOfX(n)) }

// zeroBlocksOf reads the number of blocks of zeros from metadata in lower case.
func zeroBlocksOf(md map[string]string) int {
	n, err := strconv.ParseUint(md[keyZeroBlocks], 10, 16)
	if err != nil || n > maxBlocks {
		return 0
	}
	return int(n)
}

// isZero tells whether a block that was read is a full one of zeros. Fewer zeros have
// another CRC, and of blocks with another one nothing else is looked at: that of every
// block is known anyway.
func (u *upload) isZero(data []byte, crc uint64) bool {
	if crc != u.zeroCRC {
		return false
	}
	_, more := leadingRun(data, true)
	return !more
}

// inHole tells whether the i-th block is one of zeros that need not be read. It is
// asked of one block after the other.
func (u *upload) inHole(i int) bool {
	start := int64(i) * u.blockSize
	if u.options.NextData == nil || u.lengthOf(i) != u.blockSize {
		return false
	}
	if start >= u.dataEnd {
		u.dataStart, u.dataEnd = u.options.NextData(start)
	}
	return u.dataStart >= start+u.blockSize
}

// stageHole stages the block of zeros for a block that nobody has read.
func (u *upload) stageHole(ctx context.Context) error {
	buf, err := u.pool.memory.acquireSource(ctx, u.blockSize)
	if err != nil {
		return err
	}
	defer buf.release()
	clear(buf.bytes)
	return u.send(ctx, zeroBlock, buf.bytes, u.zeroCRC)
}

// listEntry is what a block takes, in bytes, in a list that is read or written: its text
// and the SDK's form of it.
const listEntry = 256

// A span is a run of bytes of a blob.
type span struct{ offset, length int64 }

func (s span) end() int64 { return s.offset + s.length }

// zeroRuns are the runs of zeros that need not be fetched, by the block list of the
// very blob that is wanted. None if there is no such list: then everything is
// fetched, and if something is wrong, that will say it.
func (d *download) zeroRuns(ctx context.Context) []span {
	if o := d.options; o.ZeroBlocks == 0 || !o.Holes || !o.CheckCRC64 {
		return nil
	}
	release, err := d.pool.memory.reserve(ctx, maxBlocks*listEntry)
	if err != nil {
		return nil
	}
	defer release()
	r, err := d.blob(d.name).GetBlockList((&call{op: "get-block-list"}).context(ctx), blockblob.BlockListTypeCommitted, nil)
	if err != nil || !sameETag(string(deref(r.ETag)), d.options.ETag) {
		return nil
	}
	runs, size := runsOfZeros(r.CommittedBlocks)
	if size != d.options.Size {
		return nil
	}
	d.info.ETag, d.info.Modified = string(deref(r.ETag)), deref(r.LastModified)
	return runs
}

// runsOfZeros finds the blocks of zeros in a block list, and the size of all its
// blocks: a negative one, if no blob can have them.
func runsOfZeros(blocks []*blockblob.Block) (runs []span, size int64) {
	for _, b := range blocks {
		length := deref(b.Size)
		if length < 0 || length > maxBlob-size {
			return nil, -1
		}
		if i, ok := blockNumber(deref(b.Name)); ok && i == zeroBlock {
			if n := len(runs); n > 0 && runs[n-1].end() == size {
				runs[n-1].length += length
			} else {
				runs = append(runs, span{size, length})
			}
		}
		size += length
	}
	return runs, size
}

// pieces cuts the blob into what one request fetches and, with zero, the runs of
// zeros that none does. Runs shorter than a piece are fetched with what is around
// them: to spare those bytes would take more requests. A small blob is one piece,
// an empty one too: that it is there is worth a request.
func (d *download) pieces(runs []span) iter.Seq2[span, bool] {
	piece, size := d.piece, d.options.Size
	return func(yield func(p span, zero bool) bool) {
		at := int64(0)
		for _, run := range append(runs, span{offset: size}) {
			if run.length < piece && run.offset < size {
				continue
			}
			for ; at < run.offset; at += piece {
				if !yield(span{at, min(piece, run.offset-at)}, false) {
					return
				}
			}
			if run.length > 0 && !yield(run, true) {
				return
			}
			at = run.end()
		}
		if size == 0 {
			yield(span{}, false)
		}
	}
}
