package jobs

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Sizes of a walk. What it holds in memory does not depend on the tree.
const (
	listers    = 4         // directories read at once
	listBuffer = 256 << 10 // bytes of entries
	batchFiles = 256       // files of one directory that are looked at by one goroutine
)

// A walk lists the trees of some prefixes and hands their files on in batches,
// each with the open directory that they are in. Directories are found by
// opening one component after the other: no path is too long, and no symbolic
// link leads away.
type walk struct {
	m       *mount
	stack   *dirStack
	batches chan<- batch
	refused func(context.Context, refusal) error
}

// A refusal is a directory that cannot be read, or a prefix that nothing begins
// with, or one whose first directory cannot be read.
type refusal struct {
	path   string // for people
	prefix string // of what has not been seen because of it
	err    error
}

// errNoMatch is the failure of a prefix that nothing begins with.
var errNoMatch = errors.New("nothing in the file system begins with it")

// A batch is files of one directory. release lets go of it.
type batch struct {
	dir   *openDir
	files []entry
	// listed says that somebody named these files: one that is not there is a failure.
	listed bool
}

// An entry is a file of a batch.
type entry struct {
	dirent
	path string // from the root of the file system; "": the directory's path and the name
}

func (b *batch) path(e *entry) string {
	if e.path != "" {
		return e.path
	}
	return join(b.dir.path, e.name)
}

func join(dir, name string) string {
	if dir == root {
		return dir + name
	}
	return dir + "/" + name
}

// An openDir is closed when the last batch of it is done.
type openDir struct {
	file *os.File
	path string
	refs atomic.Int32
}

func (d *openDir) fd() int { return int(d.file.Fd()) }

func (d *openDir) retain() *openDir {
	d.refs.Add(1)
	return d
}

func (d *openDir) release() {
	if d.refs.Add(-1) == 0 {
		d.file.Close()
	}
}

// ask adds prefixes to those that run is to walk.
func (w *walk) ask(prefixes ...string) error {
	for _, p := range prefixes {
		i := strings.LastIndexByte(p, '/')
		if err := w.stack.push(listing{path: p[:max(i, 1)], prefix: p[i+1:], asked: p}); err != nil {
			return err
		}
	}
	return nil
}

// run walks what was asked until everything is listed. It is not done with the
// batches then.
func (w *walk) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	defer context.AfterFunc(ctx, w.stack.wakeAll)()
	for range listers {
		g.Go(func() error { return w.listAll(ctx) })
	}
	return g.Wait()
}

func (w *walk) listAll(ctx context.Context) error {
	buf := make([]byte, listBuffer)
	for {
		l, ok, err := w.stack.pop(ctx)
		if err != nil || !ok {
			return err
		}
		if err := w.list(ctx, l, buf); err != nil {
			return err
		}
		w.stack.done()
	}
}

// list reads one directory. That it is gone, or cannot be read, is no error of the walk.
func (w *walk) list(ctx context.Context, l listing, buf []byte) error {
	dir, err := w.m.openDir(l.path)
	matched := l.prefix == ""
	if err == nil {
		defer dir.release()
		err = w.readDir(ctx, dir, l.prefix, &matched, buf)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case lostMount(err), errors.Is(err, errFull):
		return err
	case l.asked != "" && (gone(err) || err == nil && !matched):
		return w.refused(ctx, refusal{l.asked, l.asked, errNoMatch})
	case err != nil && !gone(err) && !errors.Is(err, errElsewhere):
		return w.refused(ctx, l.refusal(err))
	}
	return nil
}

// refusal is for a directory that cannot be read. Several prefixes may begin in one:
// it is each of them that fails.
func (l listing) refusal(err error) refusal {
	if l.asked != "" {
		return refusal{l.asked, l.asked, err}
	}
	return refusal{l.path, join(l.path, ""), err}
}

// errFull wraps an error of what the files are handed to, which ends the walk.
var errFull = errors.New("hand on what was found")

func (w *walk) readDir(ctx context.Context, dir *openDir, prefix string, matched *bool, buf []byte) error {
	b := batch{dir: dir}
	err := readDir(dir.file, buf, func(e dirent) error {
		if !strings.HasPrefix(e.name, prefix) || dir.path == root && e.name == ".lustre" {
			return nil
		}
		*matched = true
		if e.typ == unix.DT_UNKNOWN {
			e.typ = typeOf(dir.fd(), e.name)
		}
		if e.typ == unix.DT_DIR {
			if err := w.stack.push(listing{path: join(dir.path, e.name)}); err != nil {
				return errors.Join(errFull, err)
			}
			return nil
		}
		b.files = append(b.files, entry{dirent: e})
		if len(b.files) < batchFiles {
			return nil
		}
		full := b
		b.files = nil
		return w.send(ctx, full)
	})
	// Also after an error: what was read was read.
	return errors.Join(err, w.send(ctx, b))
}

func (w *walk) send(ctx context.Context, b batch) error {
	if len(b.files) == 0 {
		return nil
	}
	b.dir.retain()
	return send(ctx, w.batches, b)
}

// send hands a batch on, with its hold on the directory.
func send(ctx context.Context, to chan<- batch, b batch) error {
	select {
	case to <- b:
		return nil
	case <-ctx.Done():
		b.dir.release()
		return ctx.Err()
	}
}

// typeOf asks for the type of an entry where the directory does not tell.
func typeOf(dir int, name string) uint8 {
	var st unix.Statx_t
	err := unix.Statx(dir, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE, &st)
	if err != nil {
		return unix.DT_UNKNOWN
	}
	return uint8(st.Mode & unix.S_IFMT >> 12) // S_IFMT is DT_* shifted
}

// errElsewhere is a directory that another file system is mounted on.
var errElsewhere = errors.New("it is another file system")

// openDir opens a directory of the file system.
func (m *mount) openDir(path string) (*openDir, error) {
	const how = unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(int(m.dir.Fd()), ".", how|unix.O_PATH, 0)
	for name := range strings.SplitSeq(path, "/") {
		if name == "" || err != nil {
			continue
		}
		parent := fd
		fd, err = unix.Openat(parent, name, how|unix.O_PATH, 0)
		_ = unix.Close(parent) // of a descriptor without data
	}
	if err == nil {
		parent := fd
		fd, err = unix.Openat(parent, ".", how, 0)
		_ = unix.Close(parent) // as above
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	d := &openDir{file: os.NewFile(uintptr(fd), path), path: path}
	d.refs.Store(1)
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && st.Dev != m.dev {
		err = errElsewhere
	}
	if err != nil {
		d.release()
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return d, nil
}
