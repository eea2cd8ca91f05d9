package llapi_test

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"lhsm-azblob/llapi"
	"lhsm-azblob/testenv"
)

// Loading happens once per process, so each case runs in one of its own: this
// test binary again, with only TestMain's helper.
const helperVariable = "LLAPI_TEST_HELPER"

func TestMain(m *testing.M) {
	switch os.Getenv(helperVariable) {
	case "":
		// The library's complaints are expected; that they arrive is tested.
		llapi.SetLogger(slog.New(slog.DiscardHandler))
		os.Exit(m.Run())
	case "load":
		fmt.Println(llapi.Load())
	case "version":
		fmt.Println(llapi.Version())
	case "register as nobody":
		err := errors.Join(llapi.Load(), syscall.Setuid(65534))
		if err == nil {
			_, err = llapi.Register(os.Getenv("LLAPI_TEST_MOUNT"))
		}
		fmt.Println(err)
	case "old library":
		fmt.Println(useOldLibrary(os.Getenv("LLAPI_TEST_MOUNT")))
	case "log":
		llapi.SetLogger(slog.New(slog.NewTextHandler(os.Stdout, nil)))
		_, _, err := llapi.FIDToPath("/nowhere", llapi.FID{}, 0)
		fmt.Println(err)
		err = llapi.ClearChangelog("none-MDT0000", "cl1", 0)
		fmt.Println(err)
	}
}

// helper runs the helper with extra environment variables and returns what it
// prints.
func helper(t *testing.T, what string, env ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), helperVariable+"="+what, "GORACE=atexit_sleep_ms=0"), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("helper %s: %v\n%s", what, err, out)
	}
	return string(out)
}

// sharedObject compiles C into a shared object.
func sharedObject(t *testing.T, source string) string {
	t.Helper()
	dir := t.TempDir()
	src, so := filepath.Join(dir, "x.c"), filepath.Join(dir, "x.so")
	if err := os.WriteFile(src, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-o", so, src).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return so
}

func TestLoad(t *testing.T) {
	if got := helper(t, "load", "LHSM_LIBLUSTREAPI="+testenv.Library(t)); got != "<nil>\n" {
		t.Errorf("Load = %s", got)
	}
	if got := helper(t, "version", "LHSM_LIBLUSTREAPI="+testenv.Library(t)); got != "2.17.0 <nil>\n" {
		t.Errorf("Version = %s", got)
	}
}

func TestLoadErrors(t *testing.T) {
	for name, tt := range map[string]struct{ library, want string }{
		"no such file":  {filepath.Join(t.TempDir(), "none.so"), "cannot open shared object file"},
		"not a library": {os.Args[0] + ".none", "cannot open shared object file"},
		"another's":     {sharedObject(t, "int nothing;"), "it has no function llapi_hsm_copytool_register"},
		"a text":        {"/etc/hostname", "file too short"},
	} {
		got := helper(t, "load", "LHSM_LIBLUSTREAPI="+tt.library)
		if !strings.Contains(got, tt.want) || !strings.Contains(got, tt.library) || !strings.Contains(got, "install the Lustre client") {
			t.Errorf("%s: %s\nwant the file, %q and what to install", name, got, tt.want)
		}
		if strings.Count(got, "\n") != 1 {
			t.Errorf("%s: not one line:\n%s", name, got)
		}
	}
}

// A layer under LD_PRELOAD is obeyed, and finds the real function behind it.
func TestLoadPreloaded(t *testing.T) {
	layer := sharedObject(t, `
		#define _GNU_SOURCE
		#include <dlfcn.h>
		#include <string.h>
		int llapi_get_version_string(char *v, unsigned int size)
		{
			int (*real)(char *, unsigned int) = dlsym(RTLD_NEXT, "llapi_get_version_string");
			int rc = real(v, size);
			strcat(v, " by a layer");
			return rc;
		}`)
	if got := helper(t, "version", "LHSM_LIBLUSTREAPI="+testenv.Library(t), "LD_PRELOAD="+layer); got != "2.17.0 by a layer <nil>\n" {
		t.Errorf("Version = %s", got)
	}
}

// Every function in the header is in the stand-in's library, and nothing else
// of ours leaks out of it.
func TestLibrarySymbols(t *testing.T) {
	t.Setenv("LHSM_LIBLUSTREAPI", testenv.Library(t))
	header, err := os.ReadFile("liblustreapi.h")
	if err != nil {
		t.Fatal(err)
	}
	functions := regexp.MustCompile(`(?m)^\w[\w ]*[ *](llapi_\w+)\(`).FindAllSubmatch(header, -1)
	if len(functions) < 30 {
		t.Fatalf("only %d functions found in the header", len(functions))
	}
	for _, f := range functions {
		if !llapi.Has(string(f[1])) {
			t.Errorf("the library has no %s", f[1])
		}
	}
	if llapi.Has("llapi_no_such_function") {
		t.Error("Has finds what is not there")
	}
	out, err := exec.Command("nm", "-D", "--defined-only", testenv.Library(t)).Output()
	if err != nil {
		t.Fatal(err)
	}
	for s := bufio.NewScanner(strings.NewReader(string(out))); s.Scan(); {
		if name := s.Text()[strings.LastIndexByte(s.Text(), ' ')+1:]; !strings.HasPrefix(name, "llapi_") && name != "liblustreapi_initialized" {
			t.Errorf("the library exports %s", name)
		}
	}
}

func TestLogger(t *testing.T) {
	got := helper(t, "log", "LHSM_LIBLUSTREAPI="+testenv.Library(t))
	want := `level=ERROR msg="liblustreapi: cannot open '/dev/changelog-none-MDT0000'" errno="no such file or directory"`
	if !strings.Contains(got, want) {
		t.Errorf("log = %s\nwant %s", got, want)
	}
	if !strings.Contains(got, "llapi_fid2path: no such device\n") || !strings.Contains(got, "llapi_changelog_clear: no such file or directory\n") {
		t.Errorf("errors = %s", got)
	}
}

// A library of 2.12 lacks what came later. It is done without, or said to be
// missing in a way that can be asked for.
func TestOldLibrary(t *testing.T) {
	w := quiet(t, nil)
	old := filepath.Join(t.TempDir(), "old.so")
	args := []string{"-shared", "-fPIC", "-o", old}
	for _, later := range []string{"llapi_root_path_open", "llapi_fid2path_at", "llapi_hsm_data_version_set", "llapi_get_version_string"} {
		args = append(args, "-D"+later+"=later_"+later)
	}
	sources, err := filepath.Glob("../testenv/liblustreapi/*.c")
	w.ok(err)
	if out, err := exec.Command("gcc", append(args, sources...)...).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	if got := helper(t, "old library", "LHSM_LIBLUSTREAPI="+old, "LLAPI_TEST_MOUNT="+w.lustre.Mount()); got != "<nil>\n" {
		t.Error(got)
	}
}

func useOldLibrary(mount string) error {
	for _, err := range []error{second(llapi.Version()), llapi.SetArchivedVersion(0, 1)} {
		if !errors.Is(err, errors.ErrUnsupported) {
			return fmt.Errorf("a function that is missing: %w", err)
		}
	}
	ct, err := llapi.Register(mount)
	if err != nil {
		return err
	}
	path := filepath.Join(mount, "f")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		return err
	}
	fid, err := llapi.PathToFID(path)
	if err != nil {
		return err
	}
	// Where mounts cannot be looked up by two threads at once, they are not.
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			errs[i] = llapi.SendRequestOnce(mount, llapi.Request{Action: llapi.UserCancel, Items: []llapi.FID{fid}})
		})
	}
	wg.Wait()
	paths, err := ct.FIDToPaths(fid)
	if len(paths) != 1 || paths[0] != "f" {
		err = errors.Join(err, fmt.Errorf("paths %q", paths))
	}
	return errors.Join(err, errors.Join(errs...), ct.Close())
}

func second[T any](_ T, err error) error { return err }
