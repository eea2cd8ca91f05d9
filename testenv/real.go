package testenv

import (
	"os"
	"path/filepath"
	"testing"
)

// The paths of a real liblustreapi and of a real lfs, for tests that shall run
// with those instead of ours.
const (
	realLibrary = "STANDIN_REAL_LLAPI"
	realLfs     = "STANDIN_REAL_LFS"
)

// setLibrary tells the product which liblustreapi to load. A real one needs the
// preload library, and what it was linked with, next to itself.
func setLibrary(t testing.TB) {
	t.Helper()
	path := os.Getenv(realLibrary)
	if path == "" {
		t.Setenv("LHSM_LIBLUSTREAPI", Library(t))
		return
	}
	t.Setenv("LHSM_LIBLUSTREAPI", path)
	usePreload(t, filepath.Dir(path))
}

func usePreload(t testing.TB, libdir string) {
	t.Helper()
	shim, err := built("preload", buildPreload)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("LD_PRELOAD", shim)
	if old := os.Getenv("LD_LIBRARY_PATH"); old != "" {
		libdir += ":" + old
	}
	t.Setenv("LD_LIBRARY_PATH", libdir)
}

func buildPreload() (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	src := filepath.Join(root, "testenv", "preload", "standin_preload.c")
	return compile(filepath.Join(root, "build", "test", "lib", "standin_preload.so"), []string{src})
}

// lfsPath is the lfs that Lustre.Lfs runs.
func lfsPath(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(realLfs); path != "" {
		return path
	}
	return Binary(t, "./testenv/cmd/lfs")
}
