package fusefs_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv"
)

func TestFiles(t *testing.T) {
	modes(t, func(t *testing.T, l *testenv.Lustre) {
		for name, f := range map[string]func(*testing.T, string){
			"ReadWrite": testReadWrite, "Append": testAppend, "Truncate": testTruncate, "Sparse": testSparse,
			"Unlinked": testUnlinked, "SharedMapping": testSharedMapping, "Exclusive": testExclusive,
			"Times": testTimes, "Xattrs": testXattrs, "HandlesSeeEachOther": testHandlesSeeEachOther,
		} {
			t.Run(name, func(t *testing.T) {
				dir := l.Path(name)
				must(t, os.Mkdir(dir, 0o755))
				f(t, dir)
			})
		}
	})
}

func testReadWrite(t *testing.T, dir string) {
	for _, size := range []int{0, 1, 4095, 4096, 4097, 3<<20 + 5} {
		path := filepath.Join(dir, fmt.Sprint(size))
		content := strings.Repeat("0123456789", size/10+1)[:size]
		write(t, path, content)
		wantContent(t, path, content)
		if st, err := os.Stat(path); err != nil || st.Size() != int64(size) {
			t.Errorf("stat: %v, %v, want %d bytes", st, err, size)
		}
	}
}

func testAppend(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	var wg sync.WaitGroup
	for range 2 {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		must(t, err)
		defer f.Close()
		wg.Go(func() {
			for range 100 {
				if _, err := f.WriteString("line\n"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	wantContent(t, path, strings.Repeat("line\n", 200))
}

func testTruncate(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	write(t, path, "0123456789")
	must(t, os.Truncate(path, 4))
	wantContent(t, path, "0123")
	must(t, os.Truncate(path, 6))
	wantContent(t, path, "0123\x00\x00")
	write(t, path, "x") // O_TRUNC
	wantContent(t, path, "x")
}

func testSparse(t *testing.T, dir string) {
	const size = 5 << 30
	f, err := os.Create(filepath.Join(dir, "f"))
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte("data"), 1<<30)
	must(t, err)
	must(t, f.Truncate(size))
	data, err := unix.Seek(int(f.Fd()), 0, unix.SEEK_DATA)
	if err != nil || data != 1<<30 {
		t.Errorf("first data at %d, %v, want %d", data, err, 1<<30)
	}
	if hole, err := unix.Seek(int(f.Fd()), data, unix.SEEK_HOLE); err != nil || hole <= data || hole > data+1<<20 {
		t.Errorf("hole at %d, %v", hole, err)
	}
	must(t, unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 1<<30, 1<<20))
	if _, err := unix.Seek(int(f.Fd()), 0, unix.SEEK_DATA); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("after punching, SEEK_DATA: %v, want ENXIO", err)
	}
	st, err := f.Stat()
	if err != nil || st.Size() != size || st.Sys().(*syscall.Stat_t).Blocks > 2048 {
		t.Errorf("sparse file takes %d blocks: %v", st.Sys().(*syscall.Stat_t).Blocks, err)
	}
}

func testUnlinked(t *testing.T, dir string) {
	f, err := os.Create(filepath.Join(dir, "f"))
	must(t, err)
	defer f.Close()
	must(t, os.Remove(f.Name()))
	_, err = f.WriteString("still here")
	must(t, err)
	b := make([]byte, 10)
	if _, err := f.ReadAt(b, 0); err != nil || string(b) != "still here" {
		t.Errorf("unlinked file reads %q, %v", b, err)
	}
	if st, err := f.Stat(); err != nil || st.Sys().(*syscall.Stat_t).Nlink != 0 || st.Size() != 10 {
		t.Errorf("stat of unlinked file: %v, %v", st, err)
	}
}

func testSharedMapping(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	write(t, path, strings.Repeat(".", 8192))
	m, err := mapFile(path, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must(t, err)
	copy(m[5000:], "mapped")
	must(t, unix.Msync(m, unix.MS_SYNC))
	must(t, unix.Munmap(m))
	wantContent(t, path, strings.Repeat(".", 5000)+"mapped"+strings.Repeat(".", 8192-5006))
}

func testExclusive(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	write(t, path, "")
	if _, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o600); !errors.Is(err, syscall.EEXIST) {
		t.Errorf("O_EXCL on a file that exists: %v", err)
	}
}

func testTimes(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	write(t, path, "x")
	when := time.Unix(1_600_000_000, 0)
	must(t, os.Chtimes(path, when, when))
	if st, err := os.Stat(path); err != nil || !st.ModTime().Equal(when) {
		t.Errorf("modification time %v, %v, want %v", st.ModTime(), err, when)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	must(t, err)
	_, err = f.WriteString("y")
	must(t, err)
	must(t, f.Close())
	if st, err := os.Stat(path); err != nil || !st.ModTime().After(when) {
		t.Errorf("modification time after a write: %v, %v", st.ModTime(), err)
	}
}

func testXattrs(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	write(t, path, "")
	value := bytes.Repeat([]byte{0, 1, 2}, 1000)
	must(t, unix.Setxattr(path, "trusted.ours", value, 0))
	must(t, unix.Setxattr(path, "user.x", []byte("y"), unix.XATTR_CREATE))
	if err := unix.Setxattr(path, "user.x", []byte("y"), unix.XATTR_CREATE); !errors.Is(err, syscall.EEXIST) {
		t.Errorf("second XATTR_CREATE: %v", err)
	}
	buf := make([]byte, 65536)
	if n, err := unix.Getxattr(path, "trusted.ours", buf); err != nil || !bytes.Equal(buf[:n], value) {
		t.Errorf("trusted.ours: %d bytes, %v", n, err)
	}
	if n, err := unix.Getxattr(path, "trusted.ours", nil); err != nil || n != len(value) {
		t.Errorf("size of trusted.ours: %d, %v", n, err)
	}
	n, err := unix.Listxattr(path, buf)
	must(t, err)
	if names := strings.Split(string(buf[:n]), "\x00"); !slices.Contains(names, "trusted.ours") || !slices.Contains(names, "user.x") {
		t.Errorf("names of xattrs: %q", names)
	}
	must(t, unix.Removexattr(path, "user.x"))
	if _, err := unix.Getxattr(path, "user.x", buf); !errors.Is(err, syscall.ENODATA) {
		t.Errorf("removed xattr: %v", err)
	}
}

func testHandlesSeeEachOther(t *testing.T, dir string) {
	path := filepath.Join(dir, "f")
	w, err := os.Create(path)
	must(t, err)
	defer w.Close()
	r, err := os.Open(path)
	must(t, err)
	defer r.Close()
	for i := range 10 {
		_, err := fmt.Fprint(w, i)
		must(t, err)
		b := make([]byte, 1)
		if _, err := r.ReadAt(b, int64(i)); err != nil || b[0] != byte('0'+i) {
			t.Fatalf("written %d, read %q, %v", i, b, err)
		}
	}
}

func TestNames(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	for _, name := range []string{
		strings.Repeat("n", 255), "new\nline", "quo\"te'", "50%", "a#b?c", "back\\slash", "\xff\xfe not UTF-8", "dot.", " ", "-", "\x01",
	} {
		write(t, l.Path(name), name)
		wantContent(t, l.Path(name), name)
	}
	entries, err := os.ReadDir(l.Mount())
	if err != nil || len(entries) != 11 {
		t.Errorf("listing has %d names, %v, want 11", len(entries), err)
	}
	if _, err := os.Create(l.Path(strings.Repeat("n", 256))); !errors.Is(err, syscall.ENAMETOOLONG) {
		t.Errorf("name of 256 bytes: %v", err)
	}
}

func TestDeepPath(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	dir := l.Mount()
	for range 12 {
		dir = filepath.Join(dir, strings.Repeat("d", 200))
	}
	must(t, os.MkdirAll(dir, 0o755))
	write(t, filepath.Join(dir, "f"), "deep")
	wantContent(t, filepath.Join(dir, "f"), "deep")
}

func TestLinksAndRenames(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	write(t, l.Path("a"), "a")
	write(t, l.Path("b"), "b")
	must(t, os.Link(l.Path("a"), l.Path("a2")))
	if fidOf(t, l.Path("a")) != fidOf(t, l.Path("a2")) {
		t.Error("two hard links have two FIDs")
	}
	must(t, os.Rename(l.Path("a"), l.Path("b"))) // over b
	wantContent(t, l.Path("b"), "a")
	must(t, os.Remove(l.Path("a2")))
	wantContent(t, l.Path("b"), "a")
	must(t, os.Symlink("b", l.Path("s")))
	wantContent(t, l.Path("s"), "a")
	must(t, syscall.Mkfifo(l.Path("p"), 0o600))
	if st, err := os.Lstat(l.Path("p")); err != nil || st.Mode().Type() != os.ModeNamedPipe {
		t.Errorf("fifo: %v, %v", st, err)
	}
	must(t, os.Mkdir(l.Path("d"), 0o755))
	must(t, os.Rename(l.Path("b"), l.Path("d", "b")))
	if err := os.Remove(l.Path("d")); !errors.Is(err, syscall.ENOTEMPTY) {
		t.Errorf("removing a directory that is not empty: %v", err)
	}
}

func TestLargeDirectory(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	const n = 3000
	if r := l.Command("bulk-create", "/", "f", "0", fmt.Sprint(n), "10"); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	entries, err := os.ReadDir(l.Mount())
	must(t, err)
	seen := map[string]bool{}
	for _, e := range entries {
		if e.Type() != 0 {
			t.Fatalf("%s has type %v", e.Name(), e.Type())
		}
		seen[e.Name()] = true
	}
	if len(entries) != n || len(seen) != n {
		t.Errorf("listing has %d names, %d different, want %d", len(entries), len(seen), n)
	}
}

func TestPermissions(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	const user = 1234
	write(t, l.Path("root-only"), "secret")
	must(t, os.Chmod(l.Path("root-only"), 0o600))
	must(t, os.Mkdir(l.Path("open"), 0o777))
	must(t, os.Chown(l.Path("open"), 0, 77))
	must(t, os.Chmod(l.Path("open"), 0o777|os.ModeSetgid))
	for _, tt := range []struct{ what, path, want string }{
		{"open", "root-only", "permission denied"},
		{"create", "new", "permission denied"},
		{"create", "open/mine", ""},
		{"open", ".lustre/fid/" + fidOf(t, l.Path("open")).Bare(), "permission denied"},
		{"open", ".lustre/changelog", "permission denied"},
		{"register", "", "operation not permitted"},
	} {
		got := helpAs(t, user, tt.what, l.Path(tt.path))
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s of %s by a user: %q, want %q", tt.what, tt.path, got, tt.want)
		}
	}
	st, err := os.Stat(l.Path("open/mine"))
	must(t, err)
	if sys := st.Sys().(*syscall.Stat_t); sys.Uid != user || sys.Gid != 77 {
		t.Errorf("owner %d:%d, want %d and the set-group-id directory's 77", sys.Uid, sys.Gid, user)
	}
}

func TestStatFS(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	var st unix.Statfs_t
	must(t, unix.Statfs(l.Mount(), &st))
	if st.Blocks == 0 || st.Bsize == 0 || st.Namelen != 255 {
		t.Errorf("statfs: %+v", st)
	}
}

func TestTwoMountsAreCoherent(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{Mounts: 2})
	a, b := l.Mounts()[0], l.Mounts()[1]
	for i := range 20 {
		write(t, filepath.Join(a, "f"), strings.Repeat("x", i))
		wantContent(t, filepath.Join(b, "f"), strings.Repeat("x", i))
	}
	must(t, os.Rename(filepath.Join(b, "f"), filepath.Join(b, "g")))
	if _, err := os.Stat(filepath.Join(a, "f")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the other mount still has the old name: %v", err)
	}
	must(t, os.Chmod(filepath.Join(b, "g"), 0o600))
	if st, err := os.Stat(filepath.Join(a, "g")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the other mount has mode %v, %v", st.Mode(), err)
	}
}
