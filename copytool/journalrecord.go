package copytool

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
)

// A journal is a sequence of records, each with its length, its CRC and its
// kind before it. Numbers are little-endian and of fixed size, so that there is
// one way to write a record.
const (
	frameSize = 8 // length and CRC-32C of what follows
	maxRecord = 1 << 20
)

type recordKind byte

const (
	recordHeader   recordKind = iota + 1 // whose journal it is; the first record
	recordReceived                       // an action was received
	recordEnded                          // it has ended, and the coordinator knows
	recordStaged                         // the service has a block of it
)

// A record is any of them. Which fields count goes by the kind.
type record struct {
	kind recordKind

	fsname, mount string // header

	entry uint64 // received, ended, staged: which action, by our own count

	// received
	archiveID uint32
	flags     llapi.RequestFlags
	received  time.Time
	item      llapi.ActionItem // without DFID, which does not outlive a process

	staged stagedBlock // staged
}

// A stagedBlock is a block that the service has of a file at a data version.
type stagedBlock struct {
	version uint64
	block   blobstore.StagedBlock
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendRecord writes a record behind b.
func appendRecord(b []byte, r *record) []byte {
	start := len(b)
	b = append(b, make([]byte, frameSize)...)
	b = append(b, byte(r.kind))
	switch r.kind {
	case recordHeader:
		b = append(append(append(b, r.fsname...), 0), r.mount...)
	case recordReceived:
		b = appendReceived(b, r)
	case recordEnded:
		b = binary.LittleEndian.AppendUint64(b, r.entry)
	case recordStaged:
		b = appendStaged(b, r)
	}
	payload := b[start+frameSize:]
	binary.LittleEndian.PutUint32(b[start:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(b[start+4:], crc32.Checksum(payload, castagnoli))
	return b
}

func appendReceived(b []byte, r *record) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(b, r.entry)
	b = le.AppendUint32(b, r.archiveID)
	b = le.AppendUint64(b, uint64(r.flags))
	b = le.AppendUint64(b, uint64(r.received.UnixNano()))
	it := &r.item
	b = le.AppendUint32(b, uint32(it.Action))
	b = le.AppendUint64(b, it.FID.Seq)
	b = le.AppendUint32(b, it.FID.OID)
	b = le.AppendUint32(b, it.FID.Ver)
	b = le.AppendUint64(b, it.Extent.Offset)
	b = le.AppendUint64(b, it.Extent.Length)
	b = le.AppendUint64(b, it.Cookie)
	b = le.AppendUint64(b, it.GID)
	return append(b, it.Data...)
}

func appendStaged(b []byte, r *record) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(b, r.entry)
	b = le.AppendUint64(b, r.staged.version)
	b = le.AppendUint64(b, uint64(r.staged.block.BlockSize))
	b = le.AppendUint64(b, uint64(r.staged.block.Number))
	b = le.AppendUint64(b, r.staged.block.CRC64)
	return append(b, r.staged.block.Upload...)
}

// errTorn is what a journal ends with whose writer was interrupted.
var errTorn = errors.New("torn record")

// decodeRecord reads the record that b begins with, and says how long it is.
func decodeRecord(b []byte) (r record, size int, err error) {
	if len(b) < frameSize {
		return record{}, 0, errTorn
	}
	length := binary.LittleEndian.Uint32(b)
	if length == 0 || length > maxRecord || int(length) > len(b)-frameSize {
		return record{}, 0, errTorn
	}
	size = frameSize + int(length)
	payload := b[frameSize:size]
	if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return record{}, 0, errTorn
	}
	r, ok := decodePayload(payload)
	if !ok {
		return record{}, 0, errTorn
	}
	return r, size, nil
}

func decodePayload(b []byte) (r record, ok bool) {
	c := cursor{rest: b[1:], ok: true}
	r.kind = recordKind(b[0])
	switch r.kind {
	case recordHeader:
		r.fsname, r.mount, ok = strings.Cut(string(c.rest), "\x00")
		return r, ok
	case recordReceived:
		c.received(&r)
	case recordEnded:
		r.entry = c.u64()
		c.ok = c.ok && len(c.rest) == 0
	case recordStaged:
		c.staged(&r)
	default:
		return record{}, false
	}
	return r, c.ok
}

// A cursor takes numbers off the front of bytes that may be too few.
type cursor struct {
	rest []byte
	ok   bool
}

func (c *cursor) take(n int) []byte {
	if len(c.rest) < n {
		c.ok = false
		return make([]byte, n)
	}
	b := c.rest[:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) u32() uint32 { return binary.LittleEndian.Uint32(c.take(4)) }
func (c *cursor) u64() uint64 { return binary.LittleEndian.Uint64(c.take(8)) }

func (c *cursor) received(r *record) {
	r.entry = c.u64()
	r.archiveID = c.u32()
	r.flags = llapi.RequestFlags(c.u64())
	r.received = time.Unix(0, int64(c.u64()))
	it := &r.item
	it.Action = llapi.Action(c.u32())
	it.FID = llapi.FID{Seq: c.u64(), OID: c.u32(), Ver: c.u32()}
	it.DFID = it.FID
	it.Extent = llapi.Extent{Offset: c.u64(), Length: c.u64()}
	it.Cookie, it.GID = c.u64(), c.u64()
	it.Data = append([]byte(nil), c.rest...)
}

func (c *cursor) staged(r *record) {
	r.entry = c.u64()
	r.staged.version = c.u64()
	r.staged.block = blobstore.StagedBlock{BlockSize: int64(c.u64()), Number: int(c.u64()), CRC64: c.u64()}
	r.staged.block.Upload = string(c.rest)
}
