package blobstore

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// The kinds of errors. Test for them with errors.Is.
var (
	ErrNotFound       = fmt.Errorf("no such blob: %w", fs.ErrNotExist)
	ErrPermission     = fmt.Errorf("not authorised: %w", fs.ErrPermission)    // also a credential that is wrong, expired or cannot be had
	ErrExists         = fmt.Errorf("blob exists: %w", fs.ErrExist)            // though it must not
	ErrChanged        = errors.New("blob changed")                            // it is not, or no longer, the one that was meant
	ErrBusy           = errors.New("service busy")                            // try again in minutes
	ErrUnreachable    = errors.New("service unreachable")                     // no answer: DNS, connection, TLS, timeout
	ErrNoContainer    = errors.New("no such container")                       // configuration; never "blob gone"
	ErrArchivedTier   = errors.New("blob is in the archive tier")             // or on its way out of it
	ErrImmutable      = errors.New("blob is immutable")                       // retention policy or legal hold
	ErrOtherKind      = errors.New("something else has the name")             // a page or append blob; with a hierarchical namespace, a directory, or a file above
	ErrLeased         = errors.New("blob is leased")                          // somebody else holds a lease
	ErrRefused        = errors.New("service refuses the request")             // for none of the other reasons
	ErrChecksum       = errors.New("checksum mismatch")                       // bytes damaged on the way, or stored so
	ErrTooLarge       = errors.New("too large")                               // more than one blob, or its metadata, can hold
	ErrShortSource    = errors.New("source is shorter than it was")           // fewer bytes than Upload was promised
	ErrName           = errors.New("name cannot be represented")              // path or blob name out of the rules
	ErrPathInMetadata = errors.New("name is hashed, the path is in metadata") // see PathForName
)

// Error is a failed operation.
type Error struct {
	Op   string // "upload", "download", "stat", "delete", "copy", "set metadata", "list", "check", "open"
	Name Name   // blob concerned; empty for the container itself
	Kind error  // one of the Err variables, or nil
	Err  error  // what went wrong, in one line, without any credential
	Hint string // what to do about it; may be empty
}

// Error is one line: operation, name, what went wrong, what to do about it.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Name != "" {
		fmt.Fprintf(&b, " %q", e.Name)
	}
	b.WriteString(": ")
	b.WriteString(e.Err.Error())
	if e.Hint != "" {
		b.WriteString("; ")
		b.WriteString(e.Hint)
	}
	return b.String()
}

// Unwrap lets errors.Is see both the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Kind == nil {
		return []error{e.Err}
	}
	return []error{e.Kind, e.Err}
}

// ServiceError is an answer of the service that says no.
type ServiceError struct {
	Code      string // such as "BlobNotFound"; empty if the answer had none
	Status    int    // of HTTP
	RequestID string // to quote to Azure's support
}

// Error is one line; the SDK's own error is a dozen.
func (e *ServiceError) Error() string {
	code := e.Code
	if code == "" {
		code = "no error code"
	}
	s := fmt.Sprintf("%s (HTTP %d)", code, e.Status)
	if e.RequestID != "" {
		s += ", request " + e.RequestID
	}
	return s
}
