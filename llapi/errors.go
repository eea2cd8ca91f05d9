package llapi

import (
	"errors"
	"syscall"
)

// ErrClosed is returned when a Copytool or a Changelog is used after Close, or
// a CopyAction after End.
var ErrClosed = errors.New("llapi: closed")

// ErrTruncated is returned by the decoders for bytes that end before the
// structure does, or whose inner lengths point outside of them.
var ErrTruncated = errors.New("llapi: truncated or inconsistent structure")

// Error is a failure reported by a function of liblustreapi.
type Error struct {
	Func  string        // the C function, such as "llapi_hsm_action_begin"
	Errno syscall.Errno // positive, as in <errno.h>
}

// Error names the function and the system's text for the number.
func (e *Error) Error() string { return e.Func + ": " + e.Errno.Error() }

// Unwrap returns the number, so that errors.Is finds it and what it stands
// for in package io/fs.
func (e *Error) Unwrap() error { return e.Errno }

// check turns the return value of a function of liblustreapi into an error: a
// negative one is a negated errno, anything else is success.
func check(function string, rc int) error {
	if rc >= 0 {
		return nil
	}
	return &Error{Func: function, Errno: syscall.Errno(-rc)}
}
