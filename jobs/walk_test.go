package jobs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// openDirectory is a directory that need not be a Lustre.
func openDirectory(t *testing.T, dir string) *mount {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	return &mount{root: dir, dir: f, dev: st.Dev}
}

// walkTree walks prefixes of a directory that need not be a Lustre.
func walkTree(t *testing.T, dir string, prefixes ...string) (found, refused []string) {
	t.Helper()
	var mu sync.Mutex
	batches := make(chan batch)
	w := &walk{m: openDirectory(t, dir), stack: newDirStack(t.TempDir()), batches: batches}
	w.refused = func(_ context.Context, r refusal) error {
		mu.Lock()
		defer mu.Unlock()
		refused = append(refused, r.path+": "+codeName(r.err))
		return nil
	}
	if err := w.ask(disjoint(prefixes)...); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		err := w.run(t.Context())
		close(batches)
		done <- errors.Join(err, w.stack.close())
	}()
	for b := range batches {
		for i := range b.files {
			found = append(found, b.path(&b.files[i]))
		}
		b.dir.release()
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	slices.Sort(refused)
	return found, refused
}

func codeName(err error) string { return string(codeOfErrno(err)) }

func TestWalkPrefixes(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"data/x", "data/sub/y", "data2/x", "data.txt", "other/data", ".lustre/fid/x", "other/.lustre"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc", filepath.Join(dir, "data", "link")); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ prefixes, found, refused []string }{
		{[]string{"/"}, []string{"/data.txt", "/data/link", "/data/sub/y", "/data/x", "/data2/x", "/other/.lustre", "/other/data"}, nil},
		{[]string{"/data"}, []string{"/data.txt", "/data/link", "/data/sub/y", "/data/x", "/data2/x"}, nil},
		{[]string{"/data/"}, []string{"/data/link", "/data/sub/y", "/data/x"}, nil},
		{[]string{"/data/s", "/data/x"}, []string{"/data/sub/y", "/data/x"}, nil},
		{[]string{"/data/x", "/data", "/data2"}, []string{"/data.txt", "/data/link", "/data/sub/y", "/data/x", "/data2/x"}, nil},
		{[]string{"/dtaa", "/nodir/x", "/nodir/", "/data/link/passwd"}, nil, []string{"/dtaa: PathNotFound", "/nodir/: PathNotFound", "/data/link/passwd: LustreError"}},
	} {
		found, refused := walkTree(t, dir, test.prefixes...)
		slices.Sort(test.refused)
		if !slices.Equal(found, test.found) {
			t.Errorf("%q: %q, want %q", test.prefixes, found, test.found)
		}
		if len(refused) != len(test.refused) {
			t.Errorf("%q: refused %q, want %q", test.prefixes, refused, test.refused)
		}
	}
}

// TestWalkRefusal: of a directory that cannot be read, everything below it has not
// been looked at; of a prefix that begins in one, no more than was asked for.
func TestWalkRefusal(t *testing.T) {
	for _, test := range []struct {
		l    listing
		want refusal
	}{
		{listing{path: "/a"}, refusal{path: "/a", prefix: "/a/"}},
		{listing{path: "/", asked: "/"}, refusal{path: "/", prefix: "/"}},
		{listing{path: "/a", prefix: "x", asked: "/a/x"}, refusal{path: "/a/x", prefix: "/a/x"}},
	} {
		if got := test.l.refusal(nil); got != test.want {
			t.Errorf("%+v: %+v, want %+v", test.l, got, test.want)
		}
	}
}

// TestWalkDeep has paths that no system call takes.
func TestWalkDeep(t *testing.T) {
	dir := t.TempDir()
	name, want := strings.Repeat("d", 200), ""
	fd, err := unix.Open(dir, unix.O_PATH, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 60 {
		if err := unix.Mkdirat(fd, name, 0o755); err != nil {
			t.Fatal(err)
		}
		next, err := unix.Openat(fd, name, unix.O_PATH, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
		fd, want = next, want+"/"+name
	}
	if err := unix.Mknodat(fd, "file", unix.S_IFREG|0o644, 0); err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	if found, refused := walkTree(t, dir, "/"); len(refused) > 0 || !slices.Equal(found, []string{want + "/file"}) {
		t.Errorf("%d found, refused %q", len(found), refused)
	}
}

// TestDirStack pushes more than memory is to hold, and gets each back once.
func TestDirStack(t *testing.T) {
	s := newDirStack(t.TempDir())
	const count = 200_000
	for i := range count {
		l := listing{path: fmt.Sprintf("/%0*d", 50, i)}
		if i == 7 {
			l.prefix, l.asked = "p", "/a/p"
		}
		if err := s.push(l); err != nil {
			t.Fatal(err)
		}
	}
	if s.bytes > 2*maxTop || len(s.pages) == 0 {
		t.Errorf("%d bytes in memory, %d pages in the file", s.bytes, len(s.pages))
	}
	seen := map[string]bool{}
	for {
		l, ok, err := s.pop(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		if seen[l.path] || (l.asked != "") != (l.path == "/"+strings.Repeat("0", 49)+"7") {
			t.Fatalf("popped %+v, seen %v", l, seen[l.path])
		}
		seen[l.path] = true
		s.done()
	}
	if len(seen) != count {
		t.Errorf("%d of %d came back", len(seen), count)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

// TestDirStackWaits: who finds it empty waits for those who may push.
func TestDirStackWaits(t *testing.T) {
	s := newDirStack(t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := s.push(listing{path: "/a"}); err != nil {
		t.Fatal(err)
	}
	if _, ok, _ := s.pop(ctx); !ok {
		t.Fatal("nothing to pop")
	}
	got := make(chan string)
	go func() {
		l, _, _ := s.pop(ctx)
		got <- l.path
	}()
	if err := s.push(listing{path: "/b"}); err != nil {
		t.Fatal(err)
	}
	if path := <-got; path != "/b" {
		t.Errorf("popped %q", path)
	}
	context.AfterFunc(ctx, s.wakeAll)
	go func() {
		l, _, _ := s.pop(ctx)
		got <- l.path
	}()
	cancel()
	if path := <-got; path != "" {
		t.Errorf("popped %q after the end", path)
	}
}

// direntBytes is what the kernel would return.
func direntBytes(typ uint8, name string) []byte {
	size := (direntHead + len(name) + 1 + 7) &^ 7
	b := make([]byte, size)
	binary.NativeEndian.PutUint16(b[16:], uint16(size))
	b[18] = typ
	copy(b[direntHead:], name)
	return b
}

func FuzzParseDirents(f *testing.F) {
	f.Add(slices.Concat(direntBytes(unix.DT_DIR, "."), direntBytes(unix.DT_REG, "file"), direntBytes(unix.DT_DIR, "..")))
	f.Add([]byte{})
	f.Add(make([]byte, 24))
	f.Add(direntBytes(unix.DT_REG, "a/b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		err := parseDirents(b, func(e dirent) error {
			if e.name == "" || strings.ContainsAny(e.name, "/\x00") || !bytes.Contains(b, []byte(e.name)) {
				t.Errorf("entry %q", e.name)
			}
			return nil
		})
		if err != nil && !errors.Is(err, errBadDirents) {
			t.Error(err)
		}
	})
}

func TestParseDirents(t *testing.T) {
	var got []string
	err := parseDirents(slices.Concat(direntBytes(unix.DT_DIR, "."), direntBytes(unix.DT_REG, "x"), direntBytes(unix.DT_LNK, "y\xff")), func(e dirent) error {
		got = append(got, fmt.Sprint(e.name, e.typ))
		return nil
	})
	if want := []string{fmt.Sprint("x", unix.DT_REG), fmt.Sprint("y\xff", unix.DT_LNK)}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
}
