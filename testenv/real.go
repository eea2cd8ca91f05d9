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
	if path := os.Getenv(realLibrary); path != "" {
		t.Setenv("LHSM_LIBLUSTREAPI", path)
		usePreload(t, filepath.Dir(path))
		return
	}
	t.Setenv("LHSM_LIBLUSTREAPI", Library(t))
	if os.Getenv(realLfs) != "" {
		usePreload(t, "") // with the library that it finds by itself
	}
}

// usePreload has the programs of this test preload the shim, and look for
// libraries in libdir first, if that is not empty.
func usePreload(t testing.TB, libdir string) {
	t.Helper()
	shim, err := built("preload", buildPreload)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("LD_PRELOAD", shim)
	if libdir == "" {
		return
	}
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

// LfsPath is the lfs that Lustre.Lfs runs: the program that STANDIN_REAL_LFS
// names, or ours.
func LfsPath(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(realLfs); path != "" {
		return path
	}
	return Binary(t, "./testenv/cmd/lfs")
}
