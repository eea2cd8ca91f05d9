package llapi

/*
#cgo CFLAGS: -Wall -Wextra
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"
)

// LibraryVariable is the environment variable that names the library to load
// in place of the system's.
const LibraryVariable = "LHSM_LIBLUSTREAPI"

var (
	loaded atomic.Bool // set once, last: the fast path of Load
	loadMu sync.Mutex  // serializes shim_load

	// rootMu is held around every function that finds a mount point by path
	// when the library is older than 2.16: its cache of the last one found is
	// not safe for threads there (LU-16747).
	rootMu    sync.Mutex
	rootRaces atomic.Bool

	hasFIDToPathAt atomic.Bool // 2.15 and later
)

// Load loads liblustreapi, once; every function of the package does it by
// itself. The error is one line that says what was tried and what to install.
// A failed load is tried again by the next call.
func Load() error {
	if loaded.Load() {
		return nil
	}
	loadMu.Lock()
	defer loadMu.Unlock()
	if loaded.Load() {
		return nil
	}
	if err := loadAny(libraryNames()); err != nil {
		return err
	}
	// llapi_root_path_open came with the fix.
	rootRaces.Store(!hasSymbol("llapi_root_path_open"))
	hasFIDToPathAt.Store(hasSymbol("llapi_fid2path_at"))
	applyLogger()
	loaded.Store(true)
	return nil
}

func libraryNames() []string {
	if name := os.Getenv(LibraryVariable); name != "" {
		return []string{name}
	}
	return []string{"liblustreapi.so.1", "liblustreapi.so"}
}

// loadAny loads the first of names that can be loaded, and reports the first
// one's error: the other names are only older spellings.
func loadAny(names []string) error {
	var first string
	for _, name := range names {
		msg := loadOne(name)
		if msg == "" {
			return nil
		}
		if first == "" {
			first = msg
		}
	}
	return fmt.Errorf("load the Lustre library %s: %s; install the Lustre client's user tools "+
		"(package lustre-client, on Ubuntu and Debian lustre-client-utils) or name the file in $%s",
		names[0], first, LibraryVariable)
}

func loadOne(name string) string {
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	msg := C.shim_load(cname)
	if msg == nil {
		return ""
	}
	defer C.free(unsafe.Pointer(msg))
	return C.GoString(msg)
}

// Has reports whether the library has a function (or other symbol). It is
// false when the library cannot be loaded.
func Has(symbol string) bool {
	return Load() == nil && hasSymbol(symbol)
}

func hasSymbol(symbol string) bool {
	csym := C.CString(symbol)
	defer C.free(unsafe.Pointer(csym))
	return C.shim_has(csym) != 0
}

// lockRoot is called before a function that finds a mount point by path, and
// what it returns after.
func lockRoot() (unlock func()) {
	if !rootRaces.Load() {
		return func() {}
	}
	rootMu.Lock()
	return rootMu.Unlock
}

// Version returns the release of the Lustre modules, such as "2.17.0". Where
// no module is loaded it is an error.
//
// Implements:
//
//	int llapi_get_version_string(char *version, unsigned int version_size);
func Version() (string, error) {
	if err := Load(); err != nil {
		return "", err
	}
	var buf [256]byte
	rc := C.shim_version((*C.char)(unsafe.Pointer(&buf[0])), C.uint(len(buf)))
	if err := check("llapi_get_version_string", int(rc)); err != nil {
		return "", err
	}
	return cString(buf[:]), nil
}

// SetCommandName sets the word that the library's own messages on stderr begin
// with, after the program's name. It does nothing where the library does not
// know it (before 2.12).
//
// Implements:
//
//	void llapi_set_command_name(const char *cmd);
func SetCommandName(name string) error {
	if err := Load(); err != nil {
		return err
	}
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	C.shim_command_name(cname)
	return nil
}

// cString returns the bytes before the first NUL.
func cString(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
