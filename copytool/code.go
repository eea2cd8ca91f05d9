package copytool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
)

// A Code is the stable name of an outcome. Codes are in logs, metrics, the
// attribute [ErrorXattr] and the manual; they are never renamed.
type Code string

// The codes, and what each means to the person who reads it.
const (
	OK                   Code = "OK"
	FileChanged          Code = "FileChanged"          // written while it was archived; archive it again
	FileVanished         Code = "FileVanished"         // unlinked before its action ended
	AlreadyArchived      Code = "AlreadyArchived"      // released before its archive ended, by another's copy
	BlobExists           Code = "BlobExists"           // somebody else's blob has the name; see --on-conflict
	BlobChanged          Code = "BlobChanged"          // the blob is not the one that was archived
	BlobMissing          Code = "BlobMissing"          // the blob is not there
	BlobUnknown          Code = "BlobUnknown"          // nothing tells which blob is meant; name it with --data
	BlobArchived         Code = "BlobArchived"         // in the archive tier; rehydrate it first
	BlobImmutable        Code = "BlobImmutable"        // protected by an immutability policy or a legal hold
	BlobLeased           Code = "BlobLeased"           // somebody holds a lease on the blob
	Busy                 Code = "Busy"                 // another action is at work on the file's copy
	OnlyCopy             Code = "OnlyCopy"             // a remove of the copy of a released file; restore it first
	NameNotRepresentable Code = "NameNotRepresentable" // no blob name for the path
	FileTooLarge         Code = "FileTooLarge"         // above what a blob can hold
	ChecksumMismatch     Code = "ChecksumMismatch"     // the bytes are not those that were archived
	SizeMismatch         Code = "SizeMismatch"         // the blob is shorter or longer than the file
	Throttled            Code = "Throttled"            // the account is busy; it is tried again when asked
	AuthFailed           Code = "AuthFailed"           // the credential is refused
	PermissionDenied     Code = "PermissionDenied"     // Lustre denies it to this process
	Encrypted            Code = "Encrypted"            // this client's library would not restore it
	NoSpace              Code = "NoSpace"              // no space in Lustre
	QuotaExceeded        Code = "QuotaExceeded"        // over quota in Lustre
	NoArchiveConfigured  Code = "NoArchiveConfigured"  // no container for this archive id or this copy
	ContainerMissing     Code = "ContainerMissing"     // the container does not exist
	AccountUnreachable   Code = "AccountUnreachable"   // no answer of the account's, but perhaps somebody else's
	Canceled             Code = "Canceled"             // the coordinator asked for it
	ShuttingDown         Code = "ShuttingDown"         // the copytool stopped before it was done
	Forgotten            Code = "Forgotten"            // the coordinator no longer knows the action
	NotReported          Code = "NotReported"          // the coordinator did not take the result
	UnknownAction        Code = "UnknownAction"        // an action number this copytool does not know
	StorageError         Code = "StorageError"         // the service refuses a request; the message has its own code
	LustreError          Code = "LustreError"          // reading or writing the file failed; the number tells
	Internal             Code = "Internal"             // none of the above
)

// Verdict is what the coordinator is told about an action.
type Verdict struct {
	Code  Code
	Errno syscall.Errno // 0: success. The changelog has room for 1 to 126.
	Retry bool          // may be queued again, if the coordinator's policy allows
}

// flags are what goes with the errno to the coordinator.
func (v Verdict) flags() llapi.EndFlags {
	if v.Retry {
		return llapi.EndRetry
	}
	return 0
}

// verdicts has every code but OK. ECANCELED stands for Canceled only: the
// coordinator books it as a success of the cancel.
var verdicts = map[Code]Verdict{
	FileChanged:          {Errno: syscall.EBUSY},
	FileVanished:         {Errno: syscall.ENOENT},
	AlreadyArchived:      {Errno: syscall.EALREADY},
	BlobExists:           {Errno: syscall.EEXIST},
	BlobChanged:          {Errno: syscall.EIO},
	BlobMissing:          {Errno: syscall.ENOENT},
	BlobUnknown:          {Errno: syscall.ENOENT},
	BlobArchived:         {Errno: syscall.ENOMEDIUM},
	BlobImmutable:        {Errno: syscall.EROFS},
	BlobLeased:           {Errno: syscall.ETXTBSY},
	Busy:                 {Errno: syscall.EBUSY},
	OnlyCopy:             {Errno: syscall.EPERM},
	NameNotRepresentable: {Errno: syscall.ENAMETOOLONG},
	FileTooLarge:         {Errno: syscall.EFBIG},
	ChecksumMismatch:     {Errno: syscall.EBADMSG},
	SizeMismatch:         {Errno: syscall.EIO},
	Throttled:            {Errno: syscall.EAGAIN, Retry: true},
	AuthFailed:           {Errno: syscall.EACCES},
	PermissionDenied:     {Errno: syscall.EPERM},
	Encrypted:            {Errno: syscall.ENOKEY},
	NoSpace:              {Errno: syscall.ENOSPC},
	QuotaExceeded:        {Errno: syscall.EDQUOT},
	NoArchiveConfigured:  {Errno: syscall.ENXIO},
	ContainerMissing:     {Errno: syscall.ENODEV},
	AccountUnreachable:   {Errno: syscall.EHOSTUNREACH, Retry: true},
	Canceled:             {Errno: syscall.ECANCELED},
	ShuttingDown:         {Errno: syscall.EAGAIN, Retry: true},
	Forgotten:            {Errno: syscall.ENOENT},
	NotReported:          {Errno: syscall.EIO},
	UnknownAction:        {Errno: syscall.EOPNOTSUPP},
	StorageError:         {Errno: syscall.EIO},
	LustreError:          {Errno: syscall.EIO},
	Internal:             {Errno: syscall.EIO},
}

// A Failure is an error whose code was known where it arose.
type Failure struct {
	Code Code
	Err  error
}

// Error is the text of the cause; the code is shown beside it.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

func failf(code Code, format string, args ...any) error {
	return &Failure{code, fmt.Errorf(format, args...)}
}

// Why a running action's context ends. They are causes in the sense of
// context.Cause.
var (
	errCanceled     = &Failure{Canceled, errors.New("the coordinator cancelled the action")}
	errShuttingDown = &Failure{ShuttingDown, errors.New("the copytool is shutting down; ask again")}
	errForgotten    = &Failure{Forgotten, errors.New("the coordinator no longer knows the action")}
)

// VerdictFor decides what the coordinator is told, and is the only place that does.
func VerdictFor(err error) Verdict {
	if err == nil {
		return Verdict{Code: OK}
	}
	code := codeOf(err)
	v := verdicts[code]
	v.Code = code
	if errno, ok := lustreErrno(err); ok && code == LustreError {
		v.Errno = errno
	}
	return v
}

// storeCodes is how errors of package blobstore are called here. The order
// matters where one error matches two.
var storeCodes = []struct {
	err  error
	code Code
}{
	{blobstore.ErrNoContainer, ContainerMissing},
	{blobstore.ErrNotFound, BlobMissing},
	{blobstore.ErrPermission, AuthFailed},
	{blobstore.ErrBusy, Throttled},
	{blobstore.ErrExists, BlobExists},
	{blobstore.ErrChanged, BlobChanged},
	{blobstore.ErrOtherKind, BlobExists},
	{blobstore.ErrArchivedTier, BlobArchived},
	{blobstore.ErrImmutable, BlobImmutable},
	{blobstore.ErrLeased, BlobLeased},
	{blobstore.ErrChecksum, ChecksumMismatch},
	{blobstore.ErrTooLarge, FileTooLarge},
	{blobstore.ErrShortSource, FileChanged},
	{blobstore.ErrName, NameNotRepresentable},
	{blobstore.ErrUnreachable, AccountUnreachable},
	{blobstore.ErrRefused, StorageError},
}

func codeOf(err error) Code {
	var f *Failure
	if errors.As(err, &f) {
		return f.Code
	}
	var be *blobstore.Error
	if errors.As(err, &be) && be.Kind != nil {
		for _, s := range storeCodes {
			if errors.Is(be.Kind, s.err) {
				return s.code
			}
		}
	}
	return codeOfErrno(err)
}

// codeOfErrno is for errors of Lustre, and of what is below both sides.
func codeOfErrno(err error) Code {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return NoSpace
	case errors.Is(err, syscall.EDQUOT):
		return QuotaExceeded
	case errors.Is(err, blobstore.ErrName):
		return NameNotRepresentable
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ESTALE):
		return FileVanished
	case errors.Is(err, fs.ErrPermission):
		return PermissionDenied
	case errors.Is(err, io.ErrUnexpectedEOF):
		return SizeMismatch
	}
	if _, ok := lustreErrno(err); ok {
		return LustreError
	}
	return Internal
}

// lustreErrno returns the error number in err if the coordinator can be told it.
func lustreErrno(err error) (syscall.Errno, bool) {
	var errno syscall.Errno
	ok := errors.As(err, &errno) && errno > 0 && errno <= 126 && errno != syscall.ECANCELED
	return errno, ok
}
