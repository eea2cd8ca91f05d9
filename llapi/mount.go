package llapi

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"errors"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Mount is a mounted Lustre client.
type Mount struct {
	Root   string // mount point
	FSName string // name of the file system, such as "lustre"
}

// Mounts returns every mounted Lustre client, in the order of /proc/mounts.
func Mounts() ([]Mount, error) {
	var mounts []Mount
	for i := 0; ; i++ {
		m, err := searchMounts("", i)
		if errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.ENOENT) {
			return mounts, nil
		}
		if err != nil {
			return nil, err
		}
		mounts = append(mounts, m)
	}
}

// MountRoot returns the mount point that an absolute path lies under, and the
// name of its file system. The path need not exist. Errors: ENODEV when no
// mounted Lustre covers it.
func MountRoot(path string) (root, fsname string, err error) {
	m, err := searchMounts(path, 0)
	return m.Root, m.FSName, err
}

// searchMounts finds a mount by path, or with an empty path by index.
//
// Implements:
//
//	int llapi_search_mounts(const char *pathname, int index, char *mntdir,
//	                        char *fsname);
func searchMounts(path string, index int) (Mount, error) {
	if err := Load(); err != nil {
		return Mount{}, err
	}
	// The library copies the path into its buffer for the answer, unchecked.
	if len(path) >= unix.PathMax {
		return Mount{}, &Error{Func: "llapi_search_mounts", Errno: syscall.ENAMETOOLONG}
	}
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	var root, fsname [unix.PathMax]byte
	defer lockRoot()()
	rc := C.shim_search_mounts(cpath, C.int(index),
		(*C.char)(unsafe.Pointer(&root[0])), (*C.char)(unsafe.Pointer(&fsname[0])))
	if err := check("llapi_search_mounts", int(rc)); err != nil {
		return Mount{}, err
	}
	return Mount{Root: cString(root[:]), FSName: cString(fsname[:])}, nil
}

// RootOf returns a mount point of the file system called fsname.
//
// Implements:
//
//	int llapi_search_rootpath(char *pathname, const char *fsname);
func RootOf(fsname string) (string, error) {
	if err := Load(); err != nil {
		return "", err
	}
	cname := C.CString(fsname)
	defer C.free(unsafe.Pointer(cname))
	var root [unix.PathMax]byte
	defer lockRoot()()
	rc := C.shim_search_rootpath((*C.char)(unsafe.Pointer(&root[0])), cname)
	if err := check("llapi_search_rootpath", int(rc)); err != nil {
		return "", err
	}
	return cString(root[:]), nil
}
