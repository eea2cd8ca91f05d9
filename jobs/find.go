package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"lhsm-azblob/llapi"
)

// A File is a regular file as Lustre has it. To look at it changes nothing, and
// restores nothing.
type File struct {
	Path    string // from the root of the file system
	FID     llapi.FID
	Size    int64
	ModTime time.Time
	State   llapi.State

	where string // by which it is found, as long as its directory is open
}

// readFile looks at a file of a directory. What is no regular file has only a mode.
func readFile(dir int, name string) (f File, mode uint16, err error) {
	var st unix.Statx_t
	if err := unix.Statx(dir, name, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_TYPE|unix.STATX_SIZE|unix.STATX_MTIME, &st); err != nil {
		return File{}, 0, err
	}
	f = File{Size: int64(st.Size), ModTime: time.Unix(st.Mtime.Sec, int64(st.Mtime.Nsec)), where: llapi.PathAt(dir, name)}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return f, st.Mode, nil
	}
	fd, err := openToAsk(dir, name)
	if err != nil {
		return File{}, 0, err
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written
	if f.State, err = llapi.GetStateFD(fd); err != nil {
		return File{}, 0, err
	}
	f.FID, err = llapi.FDToFID(fd)
	return f, st.Mode, err
}

// ArchivedVersion is the data version that was archived last, as this client heard of it
// last. That may be a while ago, unless the file is released.
func (f *File) ArchivedVersion() (uint64, error) {
	attr, err := llapi.ReadHSMAttr(f.where)
	return attr.DataVersion, err
}

// Xattr reads an attribute of the file; nil if it has none.
func (f *File) Xattr(name string) ([]byte, error) { return getXattr(f.where, name) }

// Open opens the file for reading, which is not yet a read: a released file stays
// so. Its access time stays as it is.
func (f *File) Open() (*os.File, error) {
	fd, err := unix.Open(f.where, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NOATIME|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: f.Path, Err: err}
	}
	return os.NewFile(uintptr(fd), f.Path), nil
}

// FindOptions say which files [Find] finds.
type FindOptions struct {
	Mount    string   // the mount point
	Paths    []string // files, and directories with all that is in them
	Prefixes []string // strings that paths begin with, as those of a job
	Visitors int      // files that are visited at a time
	// Refused is told of a path, or a prefix, that is not there or is neither a regular
	// file nor a directory, and of a directory that cannot be read. It is called from
	// several goroutines; its error ends everything.
	Refused func(path string, err error) error
}

// Find visits regular files, from several goroutines, in no order. A [File] may be
// asked for as long as its visit lasts. The error of a visit ends everything.
// Paths may begin with the mount point.
//
// Errors: *InvalidError for a path that cannot be one of the file system.
func Find(ctx context.Context, o FindOptions, visit func(context.Context, *File) error) error {
	if err := checkPrivilege(); err != nil {
		return err
	}
	prefixes, err := eachPath("prefix", o.Prefixes, o.Mount)
	if err != nil {
		return err
	}
	paths, err := eachPath("path", o.Paths, o.Mount)
	if err != nil {
		return err
	}
	m, err := openMount(o.Mount)
	if err != nil {
		return err
	}
	defer m.close()
	f := &finder{m: m, o: o, visit: visit, batches: make(chan batch, o.Visitors)}
	return f.run(ctx, prefixes, paths)
}

// A finder is one Find.
type finder struct {
	m       *mount
	o       FindOptions
	visit   func(context.Context, *File) error
	batches chan batch
}

func (f *finder) run(ctx context.Context, prefixes, paths []string) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(f.batches)
		trees, err := f.files(ctx, paths)
		if err == nil {
			err = f.refuseLinks(ctx, prefixes)
		}
		if err != nil {
			return err
		}
		return f.walk(ctx, disjoint(append(trees, prefixes...)))
	})
	for range f.o.Visitors {
		g.Go(func() error { return f.visitAll(ctx) })
	}
	return g.Wait()
}

func (f *finder) walk(ctx context.Context, prefixes []string) error {
	w := &walk{m: f.m, batches: f.batches, stack: newDirStack(os.TempDir())}
	w.refused = func(ctx context.Context, r refusal) error { return f.refused(ctx, r.path, r.err) }
	err := w.ask(prefixes...)
	if err == nil {
		err = w.run(ctx)
	}
	return errors.Join(err, w.stack.close())
}

// files hands on those paths that are no directories, and returns the others as prefixes.
func (f *finder) files(ctx context.Context, paths []string) (trees []string, err error) {
	l := lister{m: f.m, refused: f.refused, send: func(b batch) error { return send(ctx, f.batches, b) }}
	for _, p := range paths {
		dir, err := f.m.openDir(path.Clean(p))
		switch {
		case err == nil:
			dir.release()
			trees = append(trees, join(path.Clean(p), ""))
		case gone(err), errors.Is(err, unix.ENOTDIR):
			err = l.add(ctx, listed{path: path.Clean(p)})
		default:
			err = l.refuse(ctx, path.Clean(p), err)
		}
		if err != nil {
			return nil, errors.Join(err, l.flush())
		}
	}
	return trees, l.flush()
}

// refuseLinks refuses the prefixes that are symbolic links. What begins with such a
// one is not what they lead to, and who names one most likely means that. It is refused
// also if something else begins with it, as /current.old beside the link /current: that
// alone being in order must not pass for a good result. It is looked at all the same.
func (f *finder) refuseLinks(ctx context.Context, prefixes []string) error {
	for _, p := range prefixes {
		parent, name := path.Split(p)
		dir, err := f.m.openDir(parent)
		if err != nil {
			continue // the walk says it
		}
		why := linkError(dir.fd(), name)
		dir.release()
		if why == nil {
			continue
		}
		if err := f.refused(ctx, p, why); err != nil {
			return err
		}
	}
	return nil
}

// linkError is the failure of a symbolic link that somebody named; nil if it is none.
func linkError(dir int, name string) error {
	target := make([]byte, unix.PathMax)
	if n, err := unix.Readlinkat(dir, name, target); err == nil {
		return fmt.Errorf("it is a symbolic link to %s; name what it points to", EscapePath(string(target[:n])))
	}
	return nil
}

// errNotRegular is the failure of a path that somebody named.
var errNotRegular = errors.New("it is no regular file")

func (f *finder) refused(_ context.Context, path string, err error) error {
	return f.o.Refused(path, shorten(err))
}

// visitAll also lets go of batches that it does not visit any more.
func (f *finder) visitAll(ctx context.Context) (err error) {
	for b := range f.batches {
		for i := range b.files {
			if err == nil {
				err = f.visitEntry(ctx, &b, &b.files[i])
			}
		}
		b.dir.release()
	}
	return err
}

func (f *finder) visitEntry(ctx context.Context, b *batch, e *entry) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if e.typ != unix.DT_REG && e.typ != unix.DT_UNKNOWN {
		return nil
	}
	file, mode, err := readFile(b.dir.fd(), e.name)
	switch {
	case lostMount(err):
		return fmt.Errorf("%s: %w", f.m.root, err)
	case gone(err) && !b.listed: // since the directory was listed
		return nil
	case gone(err):
		return f.refused(ctx, b.path(e), errNoFile)
	case err != nil:
		return f.refused(ctx, b.path(e), err)
	case mode&unix.S_IFMT != unix.S_IFREG && b.listed:
		return f.refused(ctx, b.path(e), cmp.Or(linkError(b.dir.fd(), e.name), errNotRegular))
	case mode&unix.S_IFMT != unix.S_IFREG:
		return nil
	}
	file.Path = b.path(e)
	return f.visit(ctx, &file)
}
