package soak

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// create makes a file under a name that may have been another's. If it is in
// use, that file is replaced by rename, as editors do.
func (u *user) create(ctx context.Context, _ *file) error {
	rel := somePath(u.rand, u.tree)
	made := rel
	if u.names[rel] != nil {
		made = rel + ".tmp"
	}
	f := &file{mode: 0o644, uid: u.uid, gid: u.uid}
	f.content.write(0, u.size(), u.seed())
	if err := u.make(ctx, f, made); err != nil {
		return err
	}
	if made == rel {
		return nil
	}
	return u.move(f, made, rel)
}

// make creates the file, and lets it be seen when it is complete.
func (u *user) make(ctx context.Context, f *file, rel string) error {
	path := u.abs(rel)
	defer u.w.watch.begin("create", rel)()
	h, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return u.tolerate("create", rel, err)
	}
	err = writeContent(h, &f.content, 0, f.content.size)
	err = errors.Join(err, h.Close())
	for err != nil {
		u.w.seen.count(refused, "create: "+errnoText(err))
		if err := u.w.watch.hanging(); err != nil {
			return mismatchf("create %q: %v", path, err)
		}
		err = u.rewrite(f, path)
	}
	for f.fid == "" {
		if f.fid, err = u.w.fidOf(ctx, rel); err != nil && u.w.watch.hanging() != nil {
			return mismatchf("path2fid of %q: %v", rel, err)
		}
		if ctx.Err() != nil {
			ctx = context.WithoutCancel(ctx) // a file without a FID would be nobody's
		}
	}
	u.w.log.add(u.tree, fmt.Sprintf("create %q as %s, %d bytes", rel, f.fid, f.content.size), nil)
	f.paths = []string{rel}
	u.names[rel] = f
	u.w.files.bytes.Add(f.content.size)
	err = u.noteTime(f, path)
	u.w.files.add(f)
	return err
}

// tolerate makes a mismatch of a failure that no trouble explains: names are
// changed by this user alone, and no fault is injected there.
func (u *user) tolerate(what, rel string, err error) error {
	u.w.log.add(u.tree, what+" "+fmt.Sprintf("%q", rel), err)
	for _, never := range []error{syscall.ENOENT, syscall.EEXIST, syscall.ENOTDIR, syscall.ENOTEMPTY, syscall.EACCES, syscall.EPERM, syscall.ESTALE} {
		if errors.Is(err, never) {
			return mismatchf("%s %q: %v", what, rel, err)
		}
	}
	u.w.seen.count(refused, what+": "+errnoText(err))
	return err
}

func (u *user) overwrite(ctx context.Context, f *file) error {
	return u.change(ctx, "overwrite", f, func(path string) error { return u.rewrite(f, path) })
}

func (u *user) writeWithin(ctx context.Context, f *file) error {
	return u.change(ctx, "write within", f, func(path string) error {
		off := u.rand.Int64N(f.content.size + 1)
		return u.writeTo(f, path, off, 1+u.rand.Int64N(64<<10))
	})
}

func (u *user) append(ctx context.Context, f *file) error {
	return u.change(ctx, "append", f, func(path string) error { return u.writeTo(f, path, f.content.size, 1+u.rand.Int64N(64<<10)) })
}

func (u *user) writeTo(f *file, path string, off, n int64) error {
	if len(f.content.parts) > 50 {
		return u.rewrite(f, path)
	}
	f.content.write(off, n, u.seed())
	h, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(writeContent(h, &f.content, off, off+n), h.Close())
}

func (u *user) truncate(ctx context.Context, f *file) error {
	return u.change(ctx, "truncate", f, func(path string) error {
		f.content.truncate(u.rand.Int64N(f.content.size + 10_000))
		return os.Truncate(path, f.content.size)
	})
}

// rename gives a file another name, which may be another file's.
func (u *user) rename(_ context.Context, f *file) error {
	return u.move(f, f.paths[u.rand.IntN(len(f.paths))], somePath(u.rand, u.tree))
}

func (u *user) move(f *file, from, to string) error {
	replaced := u.names[to]
	if replaced == f {
		return nil // one file under both names: rename does nothing
	}
	lock(f, replaced)
	defer unlock(f, replaced)
	defer u.w.watch.begin("rename", from)()
	mount := u.mount()
	if err := os.Rename(filepath.Join(mount, from), filepath.Join(mount, to)); err != nil {
		return u.tolerate("rename", from, err)
	}
	u.w.log.add(u.tree, fmt.Sprintf("rename %q to %q, %s", from, to, f.fid), nil)
	if replaced != nil {
		u.lose(replaced, to)
	}
	f.paths[slices.Index(f.paths, from)] = to
	delete(u.names, from)
	u.names[to] = f
	return nil
}

// swap lets two files change places, by way of a third name.
func (u *user) swap(_ context.Context, f *file) error {
	g := u.someFile()
	if f == g {
		return nil
	}
	a, b := f.paths[0], g.paths[0]
	spare := filepath.Join(u.tree, "spare")
	for _, m := range []struct {
		f        *file
		from, to string
	}{{f, a, spare}, {g, b, a}, {f, spare, b}} {
		if err := u.move(m.f, m.from, m.to); err != nil {
			return err
		}
	}
	return nil
}

func (u *user) link(_ context.Context, f *file) error {
	to := somePath(u.rand, u.tree)
	if u.names[to] != nil || len(f.paths) > 4 {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	defer u.w.watch.begin("link", to)()
	mount := u.mount()
	if err := os.Link(filepath.Join(mount, f.paths[0]), filepath.Join(mount, to)); err != nil {
		return u.tolerate("link", to, err)
	}
	u.w.log.add(u.tree, fmt.Sprintf("link %q to %q, %s", f.paths[0], to, f.fid), nil)
	f.paths = append(f.paths, to)
	u.names[to] = f
	return nil
}

func (u *user) unlink(_ context.Context, f *file) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	rel := f.paths[u.rand.IntN(len(f.paths))]
	defer u.w.watch.begin("unlink", rel)()
	if err := os.Remove(u.abs(rel)); err != nil {
		return u.tolerate("unlink", rel, err)
	}
	u.w.log.add(u.tree, fmt.Sprintf("unlink %q of %s", rel, f.fid), nil)
	delete(u.names, rel)
	u.lose(f, rel)
	return nil
}

// lose takes a name off a file. Whoever calls it holds the file's mu.
func (u *user) lose(f *file, rel string) {
	f.paths = slices.DeleteFunc(f.paths, func(p string) bool { return p == rel })
	if len(f.paths) == 0 {
		f.gone = true
		u.w.files.bytes.Add(-f.content.size)
		u.w.files.bury(f, rel)
	}
}

func (u *user) chmod(ctx context.Context, f *file) error {
	return u.change(ctx, "chmod", f, func(path string) error {
		f.mode = 0o600 | uint32(u.rand.IntN(0o100))
		return os.Chmod(path, os.FileMode(f.mode))
	})
}

// chown of a file is for root; others keep what they have.
func (u *user) chown(ctx context.Context, f *file) error {
	if u.uid != 0 {
		return nil
	}
	return u.change(ctx, "chown", f, func(path string) error {
		uid, gid := u.rand.IntN(3000), u.rand.IntN(3000)
		if err := os.Chown(path, uid, gid); err != nil {
			return nil //nolint:nilerr // a fault; owner and model are what they were
		}
		f.uid, f.gid = uid, gid
		return nil
	})
}

func (u *user) read(_ context.Context, f *file) error { return u.w.compare(f, u.rand) }

func (u *user) release(ctx context.Context, f *file) error {
	_ = u.w.ask(ctx, u.uid, "release", "./"+f.paths[0])
	return nil
}

func (u *user) restore(ctx context.Context, f *file) error {
	_ = u.w.ask(ctx, u.uid, "restore", "./"+f.paths[0])
	return nil
}

// archive is not for plain users, whatever else goes on.
func (u *user) archive(ctx context.Context, f *file) error {
	err := u.w.ask(ctx, u.uid, "archive", "./"+f.paths[0])
	if err == nil && u.uid != 0 {
		return mismatchf("user %d could archive %q", u.uid, f.paths[0])
	}
	return nil
}

// lock locks one file or two, in an order that all users keep.
func lock(f, g *file) {
	if g != nil && g.fid < f.fid {
		f, g = g, f
	}
	f.mu.Lock()
	if g != nil {
		g.mu.Lock()
	}
}

func unlock(f, g *file) {
	f.mu.Unlock()
	if g != nil {
		g.mu.Unlock()
	}
}
