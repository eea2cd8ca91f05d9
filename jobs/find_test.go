package jobs

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestFindRefuses: whoever names what cannot be looked at is told, since silence would
// pass for a good result. What lies in a directory and is no file is nobody's matter.
func TestFindRefuses(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.Mkdir(in("run42"), 0o755), os.Symlink("../secret", in("run42/link")), unix.Mkfifo(in("run42/fifo"), 0o600),
		os.Symlink("run42", in("current")), os.Symlink("a\nb", in("odd")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	const link = "it is a symbolic link to "
	for name, tt := range map[string]struct {
		prefixes, paths []string
		want            map[string]string
	}{
		"paths": {nil, []string{"/current", "/odd", "/run42/fifo", "/run42/nothing", "/nowhere/file"}, map[string]string{
			"/current": link + "run42; name what it points to", "/odd": link + "a%0Ab; name what it points to", "/run42/fifo": errNotRegular.Error(),
			"/run42/nothing": errNoFile.Error(), "/nowhere/file": errNoFile.Error(),
		}},
		"prefixes": {[]string{"/current", "/nothing"}, nil, map[string]string{
			"/current": link + "run42; name what it points to", "/nothing": errNoMatch.Error(),
		}},
		"a directory": {[]string{"/run4"}, []string{"/run42"}, map[string]string{}},
	} {
		got := map[string]string{}
		var mu sync.Mutex
		f := &finder{m: openDirectory(t, dir), batches: make(chan batch, 1), o: FindOptions{Visitors: 2, Refused: func(path string, err error) error {
			mu.Lock()
			defer mu.Unlock()
			got[path] = err.Error()
			return nil
		}}}
		f.visit = func(context.Context, *File) error { return errors.New("there is no file to visit") }
		if err := f.run(t.Context(), tt.prefixes, tt.paths); err != nil || !maps.Equal(got, tt.want) {
			t.Errorf("%s: refused %q, %v; want %q", name, got, err, tt.want)
		}
	}
}
