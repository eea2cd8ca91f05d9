package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// A journal file is a run of frames:
//
//	length  u32   of the payload
//	crc     u32   Castagnoli, of the payload
//	payload       operations, see record.go
//
// One mutation is one frame, so it is there as a whole or not at all. A frame
// that is cut short or whose sum is wrong ends the file: everything after it was
// never acknowledged. Operations are absolute ("inode 7 is now ..."), so
// replaying a frame twice does no harm, and a journal that is older than the
// snapshot beside it (killed between the two) does none either.

const (
	frameHeader = 8
	maxFrame    = 64 << 20 // larger lengths are garbage
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errTorn = errors.New("torn frame")

// appendFrame adds a frame around payload to b.
func appendFrame(b, payload []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(payload, castagnoli))
	return append(b, payload...)
}

// nextFrame splits the first frame off b; errTorn means that b ends or lies.
func nextFrame(b []byte) (payload, rest []byte, err error) {
	if len(b) < frameHeader {
		return nil, nil, errTorn
	}
	n := binary.LittleEndian.Uint32(b)
	if n > maxFrame || int(n) > len(b)-frameHeader {
		return nil, nil, errTorn
	}
	payload, rest = b[frameHeader:frameHeader+n], b[frameHeader+n:]
	if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return nil, nil, errTorn
	}
	return payload, rest, nil
}

// readFrames calls apply with each whole frame and gives the length of the part
// of b that is sound.
func readFrames(b []byte, apply func(payload []byte) error) (sound int, err error) {
	for rest := b; len(rest) > 0; {
		payload, next, err := nextFrame(rest)
		if err != nil {
			return len(b) - len(rest), nil
		}
		if err := apply(payload); err != nil {
			return len(b) - len(rest), err
		}
		rest = next
	}
	return len(b), nil
}

// journal is the open journal file.
type journal struct {
	dir   string
	file  *os.File
	size  int64
	limit int64 // size at which to write a new snapshot
	frame []byte
	err   error // first failure to write; nothing is written after it
}

// journalLimit is how long the journal may get before a snapshot replaces it,
// so that starting stays fast. With a large snapshot the limit is its size.
const journalLimit = 64 << 20

func (j *journal) snapshotPath() string { return filepath.Join(j.dir, "snapshot") }
func (j *journal) journalPath() string  { return filepath.Join(j.dir, "journal") }

// openJournal replays what is there through apply, cuts a torn end off, and
// leaves the journal open for appending.
func openJournal(dir string, apply func(payload []byte) error) (*journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create journal folder: %w", err)
	}
	j := &journal{dir: dir, limit: journalLimit}
	snapshot, err := os.ReadFile(j.snapshotPath())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	// A snapshot is renamed into place when it is complete.
	if sound, err := readFrames(snapshot, apply); err != nil || sound != len(snapshot) {
		return nil, fmt.Errorf("read snapshot: damaged at byte %d of %d: %w", sound, len(snapshot), errors.Join(errTorn, err))
	}
	j.limit = max(j.limit, int64(len(snapshot)))
	return j, j.openFile(apply)
}

func (j *journal) openFile(apply func(payload []byte) error) error {
	f, err := os.OpenFile(j.journalPath(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	b, err := io.ReadAll(f)
	if err == nil {
		var sound int
		sound, err = readFrames(b, apply)
		j.size = int64(sound)
	}
	if err == nil {
		err = f.Truncate(j.size)
	}
	if err == nil {
		_, err = f.Seek(j.size, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("read journal: %w", err)
	}
	j.file = f
	return nil
}

// append writes one frame. The caller keeps payload.
func (j *journal) append(payload []byte) {
	if j.err != nil {
		return
	}
	j.frame = appendFrame(j.frame[:0], payload)
	n, err := j.file.Write(j.frame)
	j.size += int64(n)
	if err != nil {
		j.err = fmt.Errorf("append to journal: %w", err)
	}
	if cap(j.frame) > 4<<20 {
		j.frame = nil // one large mutation must not pin its buffer for ever
	}
}

// compact replaces snapshot and journal by a new snapshot, which write produces
// payload by payload.
func (j *journal) compact(write func(emit func(payload []byte))) error {
	tmp := j.snapshotPath() + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	var size int64
	var buf []byte
	flush := func() {
		if err == nil {
			_, err = f.Write(buf)
		}
		size += int64(len(buf))
		buf = buf[:0]
	}
	write(func(payload []byte) {
		if buf = appendFrame(buf, payload); len(buf) > 1<<20 {
			flush()
		}
	})
	flush()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp, j.snapshotPath())
	}
	if err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	j.limit = max(journalLimit, size)
	return j.truncate()
}

func (j *journal) truncate() error {
	if err := j.file.Truncate(0); err != nil {
		return fmt.Errorf("empty journal: %w", err)
	}
	if _, err := j.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("empty journal: %w", err)
	}
	j.size = 0
	return nil
}

// encoder appends values to a payload.
type encoder struct{ b []byte }

func (e *encoder) op(o op)        { e.b = append(e.b, byte(o)) }
func (e *encoder) u64(v uint64)   { e.b = binary.AppendUvarint(e.b, v) }
func (e *encoder) i64(v int64)    { e.b = binary.AppendVarint(e.b, v) }
func (e *encoder) bytes(v []byte) { e.u64(uint64(len(v))); e.b = append(e.b, v...) }
func (e *encoder) str(v string)   { e.u64(uint64(len(v))); e.b = append(e.b, v...) }
func (e *encoder) fid(f FID)      { e.u64(f.Seq); e.u64(uint64(f.OID)); e.u64(uint64(f.Ver)) }

// decoder takes them out again. After the first value that does not fit, err is
// set and every further value is zero.
type decoder struct {
	b   []byte
	err error
}

var errRecord = errors.New("malformed journal record")

func (d *decoder) fail() { d.err, d.b = errRecord, nil }

func (d *decoder) op() op {
	if len(d.b) == 0 {
		return 0
	}
	o := op(d.b[0])
	d.b = d.b[1:]
	return o
}

func (d *decoder) u64() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) u32() uint32 {
	v := d.u64()
	if v > 1<<32-1 {
		d.fail()
		return 0
	}
	return uint32(v)
}

func (d *decoder) i64() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) raw() []byte {
	n := d.u64()
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes() []byte { return slices.Clone(d.raw()) }
func (d *decoder) str() string   { return string(d.raw()) }
func (d *decoder) fid() FID      { return FID{d.u64(), d.u32(), d.u32()} }
