// Package llapi is the Lustre HSM interface of user space: copytool
// registration, actions, file states, requests, FIDs, data versions, layouts
// and changelogs, through liblustreapi. It is the only cgo of the product.
//
// # Loading
//
// Nothing is linked. The library is opened when the first function needs it
// (or by [Load], to have the error early), under the name liblustreapi.so.1,
// then liblustreapi.so, or the one that the environment variable
// LHSM_LIBLUSTREAPI names. So one binary builds where no Lustre is, installs
// anywhere, and serves Lustre 2.12 and later. Functions that only newer
// releases have are capabilities: ask [Has], or take the error, which matches
// [errors.ErrUnsupported].
//
// A function is looked up in the global scope first, so a layer under
// LD_PRELOAD that replaces one of them is obeyed.
//
// # The border
//
// Bytes cross it, structures do not: every structure that comes from the
// library is copied out and decoded in Go, each length checked before it is
// believed, and the decoders ([DecodeActionList], [DecodeRecord], [ParseFID]
// and the others) work and are fuzzed without Lustre. No C pointer leaves the
// package, and C keeps no pointer of ours.
//
// # A copytool
//
// [Register] makes a [Copytool]. [Copytool.Recv] waits for a list of actions.
// Each copy action has exactly one end:
//
//	Begin ──▶ CopyAction ──▶ File, Progress… ──▶ End
//	  │ error
//	  └──▶ Fail
//
// An action that gets neither End nor Fail stays STARTED at the coordinator
// and holds one of its slots until a timeout, an hour by default. So when
// [Copytool.Begin] fails, the caller calls [Copytool.Fail]. A CANCEL item
// names the cookie of another action; it is neither begun nor failed.
//
// A Copytool may be used from many goroutines at once, but only one at a time
// may be in Recv. [Copytool.Close] waits until every action begun has ended,
// since liblustreapi's action points into the copytool; [Copytool.Unregister]
// only stops new actions from coming, at once. The coordinator's
// copy of an action is known by cookie and FID together: every metadata
// server numbers its cookies by itself.
//
// # Errors
//
// The library's errors are [*Error]: the C function's name and a
// [syscall.Errno], which it unwraps to. So errors.Is(err, syscall.EBUSY),
// errors.Is(err, fs.ErrNotExist) work. They come from the return value; the
// thread's errno is never looked at. [ErrClosed] is the use of something that
// was closed or ended.
package llapi
