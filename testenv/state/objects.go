package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// objects is the store of file data: one plain file per object. Objects are
// never renamed, linked or chmodded, since all of that would move their change
// time and so the data version.
type objects struct {
	dir string
}

// shards keeps folders small enough to list.
const shards = 256

func openObjects(dir string) (*objects, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create object store: %w", err)
	}
	return &objects{dir: dir}, nil
}

func (o *objects) path(id uint64) string {
	return fmt.Sprintf("%s/%02x/%s", o.dir, id%shards, FIDFromIno(id).Bare())
}

// objectStat is what the model needs to know of an object.
type objectStat struct {
	size, blocks uint64
	ctime        int64 // ns
}

// stat asks for the change time, which also makes the next write get a new one
// even within the same clock tick (kernels from 6.13 on).
func (o *objects) stat(id uint64) (objectStat, error) {
	var st unix.Stat_t
	if err := unix.Stat(o.path(id), &st); err != nil {
		return objectStat{}, err
	}
	return objectStat{size: uint64(st.Size), blocks: uint64(st.Blocks), ctime: st.Ctim.Nano()}, nil
}

// create makes the object with the given size, all holes.
func (o *objects) create(id, size uint64) (objectStat, error) {
	const flags = os.O_RDWR | os.O_CREATE | os.O_EXCL
	f, err := os.OpenFile(o.path(id), flags, 0o600)
	if errors.Is(err, fs.ErrNotExist) { // the first object of its shard
		if err = os.MkdirAll(filepath.Dir(o.path(id)), 0o700); err == nil {
			f, err = os.OpenFile(o.path(id), flags, 0o600)
		}
	}
	if err != nil {
		return objectStat{}, errnoOf(err)
	}
	defer f.Close()
	if size > 0 {
		if err := f.Truncate(int64(size)); err != nil {
			return objectStat{}, errnoOf(err)
		}
	}
	return o.stat(id)
}

func (o *objects) open(id uint64) (*os.File, error) {
	f, err := os.OpenFile(o.path(id), os.O_RDWR, 0)
	return f, errnoOf(err)
}

func (o *objects) truncate(id, size uint64) error {
	if size > 1<<62 {
		return syscall.EFBIG
	}
	return errnoOf(os.Truncate(o.path(id), int64(size)))
}

func (o *objects) remove(id uint64) {
	// Losing this race leaves an unreferenced object for the next start.
	_ = os.Remove(o.path(id))
}

// sweep removes every object that keep does not know. It runs at start, when
// volatile and unlinked-but-open files are gone for good.
func (o *objects) sweep(keep func(id uint64) bool) error {
	return filepath.WalkDir(o.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if f, perr := ParseFID(d.Name()); perr == nil && keep(f.Ino()) {
			return nil
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove unreferenced object: %w", err)
		}
		return nil
	})
}
