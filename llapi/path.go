package llapi

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// PathToFID returns the FID of the file at path; a symbolic link's own.
//
// Errors: on another file system ENODATA, ENOTTY or ENOTSUP, by release.
//
// Implements:
//
//	int llapi_path2fid(const char *path, struct lu_fid *fid);
func PathToFID(path string) (FID, error) {
	if err := Load(); err != nil {
		return FID{}, err
	}
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	var b [fidSize]byte
	rc := C.shim_path2fid(cpath, unsafe.Pointer(&b[0]))
	if err := check("llapi_path2fid", int(rc)); err != nil {
		return FID{}, err
	}
	return getFID(b[:]), nil
}

// FDToFID returns the FID of an open file.
//
// Implements:
//
//	int llapi_fd2fid(int fd, struct lu_fid *fid);
func FDToFID(fd int) (FID, error) {
	if err := Load(); err != nil {
		return FID{}, err
	}
	var b [fidSize]byte
	rc := C.shim_fd2fid(C.int(fd), unsafe.Pointer(&b[0]))
	if err := check("llapi_fd2fid", int(rc)); err != nil {
		return FID{}, err
	}
	return getFID(b[:]), nil
}

// PathToParent returns the directory and the name of one of the links to the
// file at path; linkno counts them from 0. After the last it is ENODATA.
//
// Implements:
//
//	int llapi_path2parent(const char *path, unsigned int linkno,
//	                      struct lu_fid *parent_fid, char *name,
//	                      size_t name_size);
func PathToParent(path string, linkno int) (parent FID, name string, err error) {
	if err := Load(); err != nil {
		return FID{}, "", err
	}
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	var b [fidSize]byte
	var buf [unix.NAME_MAX + 1]byte
	rc := C.shim_path2parent(cpath, C.uint(linkno), unsafe.Pointer(&b[0]),
		(*C.char)(unsafe.Pointer(&buf[0])), C.size_t(len(buf)))
	if err := check("llapi_path2parent", int(rc)); err != nil {
		return FID{}, "", err
	}
	return getFID(b[:]), cString(buf[:]), nil
}

// FIDToPath returns the path of f, relative to the mount root and without a
// leading slash ("" for the root itself), by its link number linkno, from 0.
// next is the number of the next link, or linkno when there is none. mount is
// a mount point or the name of a file system.
//
// Errors: ENOENT when f has no path (any more).
//
// Implements:
//
//	int llapi_fid2path(const char *device, const char *fidstr, char *path,
//	                   int pathlen, long long *recno, int *linkno);
func FIDToPath(mount string, f FID, linkno int) (path string, next int, err error) {
	if err := Load(); err != nil {
		return "", linkno, err
	}
	cmount, cfid := C.CString(mount), C.CString(f.String())
	defer C.free(unsafe.Pointer(cmount))
	defer C.free(unsafe.Pointer(cfid))
	return pathBuffer(linkno, "llapi_fid2path", func(buf *C.char, size C.int, link *C.int) C.int {
		defer lockRoot()()
		return C.shim_fid2path(cmount, cfid, buf, size, link)
	})
}

// fidToPathAt is FIDToPath with an open file instead of the mount point.
//
// Implements:
//
//	int llapi_fid2path_at(int mnt_fd, const struct lu_fid *fid, char *path,
//	                      int pathlen, long long *recno, int *linkno);
func fidToPathAt(fd int, f FID, linkno int) (string, int, error) {
	var b [fidSize]byte
	putFID(b[:], f)
	return pathBuffer(linkno, "llapi_fid2path_at", func(buf *C.char, size C.int, link *C.int) C.int {
		return C.shim_fid2path_at(C.int(fd), unsafe.Pointer(&b[0]), buf, size, link)
	})
}

// pathBuffer calls with a buffer for a path, and again with a larger one: a
// path in Lustre may be longer than PATH_MAX.
func pathBuffer(linkno int, function string, call func(*C.char, C.int, *C.int) C.int) (string, int, error) {
	for size := unix.PathMax; ; size *= 4 {
		buf, link := make([]byte, size), C.int(linkno)
		rc := call((*C.char)(unsafe.Pointer(&buf[0])), C.int(size), &link)
		err := check(function, int(rc))
		tooLong := errors.Is(err, syscall.ERANGE) || errors.Is(err, syscall.EOVERFLOW)
		if tooLong && size < maxPath {
			continue
		}
		if err != nil {
			return "", linkno, err
		}
		return strings.Trim(cString(buf), "/"), int(link), nil
	}
}

// maxPath bounds the second thoughts of pathBuffer.
const maxPath = 1 << 20

// FIDToPaths returns the paths of all hard links to f, as FIDToPath does, in
// the order in which Lustre keeps them.
func FIDToPaths(mount string, f FID) ([]string, error) {
	return allLinks(func(linkno int) (string, int, error) {
		return FIDToPath(mount, f, linkno)
	})
}

// allLinks asks for one link after the other. A link that is removed meanwhile
// ends the list; only the first one's absence is an error.
func allLinks(get func(linkno int) (string, int, error)) ([]string, error) {
	var paths []string
	for linkno := 0; ; {
		path, next, err := get(linkno)
		if err != nil && len(paths) == 0 {
			return nil, err
		}
		if err != nil {
			return paths, nil
		}
		paths = append(paths, path)
		if next <= linkno {
			return paths, nil
		}
		linkno = next
	}
}

// FIDPath returns the path by which a file can be opened by its FID, whatever
// its name. Only root may use it, by default.
func FIDPath(mount string, f FID) string {
	return filepath.Join(mount, ".lustre", "fid", f.Bare())
}

// MDTIndex returns the index of the metadata server that f lives on; fd is any
// open file of the file system.
//
// Implements:
//
//	int llapi_get_mdt_index_by_fid(int fd, const struct lu_fid *fid,
//	                               int *mdt_index);
func MDTIndex(fd int, f FID) (int, error) {
	if err := Load(); err != nil {
		return -1, err
	}
	var b [fidSize]byte
	putFID(b[:], f)
	rc := int(C.shim_mdt_index(C.int(fd), unsafe.Pointer(&b[0])))
	if err := check("llapi_get_mdt_index_by_fid", rc); err != nil {
		return -1, err
	}
	return rc, nil
}

// PathAt returns a path to a name in an open directory, by which functions that
// take a path find it without a walk from the root: whatever the directory is
// called, however deep it lies, wherever somebody moves it meanwhile.
func PathAt(dir int, name string) string {
	return "/proc/self/fd/" + strconv.Itoa(dir) + "/" + name
}
