package llapi

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"encoding/binary"
	"fmt"
	"syscall"
	"unsafe"
)

// Request asks the coordinators to do something with files of one file system.
type Request struct {
	Action    UserAction
	ArchiveID uint32 // 0: the file's, else the file system's default
	Flags     RequestFlags
	Items     []FID
	Data      []byte // opaque; the copytool gets it with each item
}

// MaxRequestItems is how many files without data one call takes at most, with a
// little room to spare.
const MaxRequestItems = 50

// Limits of one call: the kernel refuses 1,706 bytes and more (E2BIG).
const (
	maxRequestBytes = 1700

	requestHeaderSize = 24 // struct hsm_request
	userItemSize      = 32 // struct hsm_user_item
)

// RequestError reports a request that failed in part or as a whole. Of the
// items in a call that failed some may have been recorded all the same.
type RequestError struct {
	Sent   int   // items in calls that succeeded
	Failed int   // items in calls that failed, or were not made
	Err    error // of the first call that failed
}

// Error gives the first failure and the numbers.
func (e *RequestError) Error() string {
	return fmt.Sprintf("%d of %d items: %v", e.Failed, e.Sent+e.Failed, e.Err)
}

// Unwrap returns the error of the first call that failed.
func (e *RequestError) Unwrap() error { return e.Err }

// SendRequest sends r in as many calls as it needs. path is any absolute path
// on the file system. Success means recorded, or not needed; never done. A
// call that fails does not stop those after it. The error is a *RequestError.
func SendRequest(path string, r Request) error {
	perCall := itemsPerCall(len(r.Data))
	if perCall == 0 {
		err := &Error{Func: "llapi_hsm_request", Errno: syscall.E2BIG}
		return &RequestError{Failed: len(r.Items), Err: err}
	}
	var result RequestError
	for rest := r.Items; len(rest) > 0; {
		n := min(perCall, len(rest))
		call := r
		call.Items, rest = rest[:n], rest[n:]
		if err := SendRequestOnce(path, call); err != nil {
			result.Failed += n
			if result.Err == nil {
				result.Err = err
			}
			continue
		}
		result.Sent += n
	}
	if result.Err != nil {
		return &result
	}
	return nil
}

func itemsPerCall(data int) int {
	room := maxRequestBytes - requestHeaderSize - data
	if room < 0 {
		return 0
	}
	return min(MaxRequestItems, room/userItemSize)
}

// SendRequestOnce sends r in one call, whatever its size; more than 52 items
// or their equivalent in data fail with E2BIG.
//
// Errors: EPERM, not allowed or not possible in the file's state; EAGAIN, the
// coordinator is stopped; ENODATA, a restore was queued under the policy
// NonBlockingRestore; ENOENT, EROFS.
//
// Implements:
//
//	int llapi_hsm_request(const char *path,
//	                      const struct hsm_user_request *request);
func SendRequestOnce(path string, r Request) error {
	if err := Load(); err != nil {
		return err
	}
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	defer lockRoot()()
	b := r.encode()
	rc := C.shim_request(cpath, unsafe.Pointer(&b[0]))
	return check("llapi_hsm_request", int(rc))
}

// encode returns a struct hsm_user_request: the header, an item per file, then
// the data. llapi_hsm_user_request_alloc is not used: it returns memory that
// was not cleared up to 2.14.
func (r Request) encode() []byte {
	b := make([]byte, requestHeaderSize+userItemSize*len(r.Items), requestHeaderSize+userItemSize*len(r.Items)+len(r.Data))
	binary.NativeEndian.PutUint32(b[0:], uint32(r.Action))
	binary.NativeEndian.PutUint32(b[4:], r.ArchiveID)
	binary.NativeEndian.PutUint64(b[8:], uint64(r.Flags))
	binary.NativeEndian.PutUint32(b[16:], uint32(len(r.Items)))
	binary.NativeEndian.PutUint32(b[20:], uint32(len(r.Data)))
	for i, f := range r.Items {
		item := b[requestHeaderSize+userItemSize*i:]
		putFID(item, f)
		putExtent(item[fidSize:], WholeFile)
	}
	return append(b, r.Data...)
}
