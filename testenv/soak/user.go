package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A user works in a tree of its own, on a thread of its own that has the
// user's file system uid. It is the only one that changes what is there.
type user struct {
	w     *world
	uid   int
	rand  *rand.Rand
	tree  string
	names map[string]*file // by path
}

func newUser(w *world, uid int) *user {
	return &user{w: w, uid: uid, rand: w.randFor(uint64(uid)), tree: treeOf(uid), names: map[string]*file{}}
}

// prepare makes the user's tree; root does that for everybody.
func (u *user) prepare() error {
	for _, d := range dirNames {
		p := filepath.Join(u.w.mounts[0], u.tree, d)
		if err := os.MkdirAll(p, 0o755); err != nil {
			return err
		}
		for ; p != u.w.mounts[0]; p = filepath.Dir(p) {
			if err := os.Chown(p, u.uid, u.uid); err != nil {
				return err
			}
		}
	}
	return nil
}

// run works until ctx ends, or something is not as it must be.
func (u *user) run(ctx context.Context) error {
	runtime.LockOSThread() // never unlocked: the thread goes with the goroutine, and its uid
	if err := errors.Join(unix.Setfsgid(u.uid), unix.Setfsuid(u.uid)); err != nil {
		return err
	}
	for pause(ctx, time.Duration(u.rand.Int64N(int64(80*time.Millisecond)))) {
		what, err := u.step(ctx)
		u.w.seen.count(operations, what)
		if m := (*mismatch)(nil); errors.As(err, &m) {
			return fmt.Errorf("%s: %w", u.tree, err)
		}
	}
	return nil
}

type step struct {
	name   string
	weight int
	do     func(u *user, ctx context.Context, f *file) error // f is nil for create
}

var steps = []step{
	{"create", 14, (*user).create},
	{"overwrite", 8, (*user).overwrite},
	{"write within", 8, (*user).writeWithin},
	{"append", 8, (*user).append},
	{"truncate", 6, (*user).truncate},
	{"rename", 9, (*user).rename},
	{"swap", 3, (*user).swap},
	{"link", 5, (*user).link},
	{"unlink", 9, (*user).unlink},
	{"chmod", 4, (*user).chmod},
	{"chown", 3, (*user).chown},
	{"read", 10, (*user).read},
	{"release", 8, (*user).release},
	{"restore", 4, (*user).restore},
	{"archive", 1, (*user).archive},
}

// step does one thing at random.
func (u *user) step(ctx context.Context) (name string, err error) {
	total := 0
	for _, s := range steps {
		total += s.weight
	}
	n := u.rand.IntN(total)
	i := 0
	for ; n >= steps[i].weight; i++ {
		n -= steps[i].weight
	}
	s := steps[i]
	f := u.someFile()
	if f == nil || len(u.names) < 5 {
		s = steps[0]
	}
	return s.name, s.do(u, ctx, f)
}

// someFile picks by name, in an order that the seed alone decides.
func (u *user) someFile() *file {
	if len(u.names) == 0 {
		return nil
	}
	paths := make([]string, 0, len(u.names))
	for p := range u.names {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return u.names[paths[u.rand.IntN(len(paths))]]
}

// mount is one of those that the file system has: all must show the same.
func (u *user) mount() string { return u.w.mounts[u.rand.IntN(len(u.w.mounts))] }

func (u *user) abs(rel string) string { return filepath.Join(u.mount(), rel) }

// change lets a user change a file while nobody looks. If do fails, it is not
// known what the file holds; then it is written anew.
func (u *user) change(ctx context.Context, name string, f *file, do func(path string) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	rel := f.paths[u.rand.IntN(len(f.paths))]
	before := f.content.size
	defer func() { u.w.files.bytes.Add(f.content.size - before) }()
	path := u.abs(rel)
	defer u.w.watch.begin(name, rel)()
	err := do(path)
	u.w.log.add(u.tree, fmt.Sprintf("%s %q of %s, %d bytes", name, rel, f.fid, f.content.size), err)
	for err != nil {
		u.w.seen.count(refused, name+": "+errnoText(err))
		if err := u.w.watch.hanging(); err != nil {
			return mismatchf("rewrite %q: %v", path, err)
		}
		err = u.rewrite(f, path)
		u.w.log.add(u.tree, fmt.Sprintf("rewrite %q, %d bytes", rel, f.content.size), err)
	}
	return u.noteTime(f, path)
}

// noteTime notes the time that the file has by now. Nothing but a change may change it.
func (u *user) noteTime(f *file, path string) error {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return mismatchf("stat %q: %v", path, err)
	}
	f.mtime = st.Mtim.Sec
	return nil
}

// rewrite gives a file content of which everything is known, and its attributes.
func (u *user) rewrite(f *file, path string) error {
	f.content = content{}
	f.content.write(0, u.size(), u.seed())
	h, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	err = writeContent(h, &f.content, 0, f.content.size)
	return errors.Join(err, h.Chmod(os.FileMode(f.mode)), h.Close())
}

func (u *user) seed() uint64 { return u.rand.Uint64() | 1 }

// size keeps all files together below what the options allow.
func (u *user) size() int64 { return someSize(u.rand, u.w.files.bytes.Load() > u.w.o.Bytes) }

// writeContent writes a range of a content, in pieces as programs do.
func writeContent(h *os.File, c *content, from, to int64) error {
	buf := make([]byte, compareSize)
	for off := from; off < to; {
		n := c.fill(buf[:min(int64(len(buf)), to-off)], off)
		if _, err := h.WriteAt(buf[:n], off); err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

// errnoText is the system's word for what went wrong, without the path.
func errnoText(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}
