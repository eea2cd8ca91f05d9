package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Binary builds a main package of this module, such as "./cmd/lhsmtool_azblob",
// and returns the path of the program. It is built once per process, and with
// the race detector when the test is.
func Binary(t testing.TB, pkg string) string {
	t.Helper()
	return program(t, pkg, raceEnabled)
}

// PlainBinary is Binary without the race detector, for tests that look at how
// much memory, and how many threads, a program takes.
func PlainBinary(t testing.TB, pkg string) string {
	t.Helper()
	return program(t, pkg, false)
}

func program(t testing.TB, pkg string, race bool) string {
	t.Helper()
	path, err := built(fmt.Sprint("program ", pkg, race), func() (string, error) { return buildProgram(pkg, race) })
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Library compiles liblustreapi.so.1 with gcc and returns its path.
func Library(t testing.TB) string {
	t.Helper()
	path, err := built("library", buildLibrary)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var builds struct {
	mu   sync.Mutex // guards once
	once map[string]func() (string, error)
}

func built(key string, build func() (string, error)) (string, error) {
	builds.mu.Lock()
	if builds.once == nil {
		builds.once = map[string]func() (string, error){}
	}
	once, ok := builds.once[key]
	if !ok {
		once = sync.OnceValues(build)
		builds.once[key] = once
	}
	builds.mu.Unlock()
	return once()
}

func buildProgram(pkg string, race bool) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	variant := "plain"
	args := []string{"build"}
	if race {
		variant, args = "race", append(args, "-race")
	}
	path := filepath.Join(root, "build", "test", variant, filepath.Base(pkg))
	cmd := exec.CommandContext(context.Background(), "go", append(args, "-o", path, pkg)...)
	cmd.Dir = root
	return path, buildLocked(path, cmd)
}

func buildLibrary() (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	src, err := filepath.Glob(filepath.Join(root, "testenv", "liblustreapi", "*.c"))
	if err != nil || len(src) == 0 {
		return "", errors.New("build liblustreapi: no C sources in testenv/liblustreapi")
	}
	return compile(filepath.Join(root, "build", "test", "lib", "liblustreapi.so.1"), src,
		"-Wl,-soname,liblustreapi.so.1", "-pthread")
}

// compile makes a shared library of C sources, unless it is newer than they.
func compile(path string, src []string, flags ...string) (string, error) {
	headers, _ := filepath.Glob(filepath.Join(filepath.Dir(src[0]), "*.h")) // the pattern is well formed
	if newer(path, append(headers, src...)) {
		return path, nil
	}
	tmp := fmt.Sprintf("%s.%d", path, os.Getpid())
	args := append([]string{"-std=gnu11", "-O2", "-g", "-fPIC", "-shared", "-fvisibility=default", "-Wall", "-o", tmp}, src...)
	if err := buildLocked(path, exec.CommandContext(context.Background(), "gcc", append(args, append(flags, "-ldl")...)...)); err != nil {
		return "", err
	}
	// A process may have the old one mapped: replace the name, not the file.
	if err := os.Rename(tmp, path); err != nil {
		return "", fmt.Errorf("build %s: %w", filepath.Base(path), err)
	}
	return path, nil
}

func newer(path string, than []string) bool {
	st, err := os.Stat(path)
	if err != nil {
		return false
	}
	for _, s := range than {
		if src, err := os.Stat(s); err != nil || !src.ModTime().Before(st.ModTime()) {
			return false
		}
	}
	return true
}

// buildLocked runs a compiler while no other test process builds the same file.
func buildLocked(path string, cmd *exec.Cmd) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("build %s: %w", filepath.Base(path), err)
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("build %s: %w", filepath.Base(path), err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("build %s: lock: %w", filepath.Base(path), err)
	}
	r, err := Output(cmd)
	if err == nil && r.Code != 0 {
		err = fmt.Errorf("exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	if err != nil {
		return fmt.Errorf("build %s: %w", filepath.Base(path), err)
	}
	return nil
}

// moduleRoot is the directory of go.mod, above the directory of the test.
var moduleRoot = sync.OnceValues(func() (string, error) {
	out, err := exec.CommandContext(context.Background(), "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	if mod == "" || mod == os.DevNull {
		return "", errors.New("find the module: the test does not run inside it")
	}
	return filepath.Dir(mod), nil
})
