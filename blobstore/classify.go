package blobstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
)

// kindOfCode maps the service's error codes. Codes and not HTTP statuses: 404 is
// said of a missing blob and of a missing container, 409 of a dozen things.
var kindOfCode = map[bloberror.Code]error{
	bloberror.BlobNotFound: ErrNotFound,

	bloberror.ContainerNotFound:     ErrNoContainer,
	bloberror.ContainerDisabled:     ErrNoContainer,
	bloberror.ContainerBeingDeleted: ErrNoContainer,

	bloberror.ConditionNotMet:       ErrChanged,
	bloberror.TargetConditionNotMet: ErrChanged,
	bloberror.SourceConditionNotMet: ErrChanged,
	// Another upload has committed, and with that dropped our blocks.
	bloberror.InvalidBlockList: ErrChanged,
	// The blob is shorter than the range that was asked for.
	bloberror.InvalidRange:      ErrChanged,
	bloberror.BlobAlreadyExists: ErrExists,

	bloberror.ServerBusy:        ErrBusy,
	bloberror.InternalError:     ErrBusy,
	bloberror.OperationTimedOut: ErrBusy,
	// A copy to the blob has not ended.
	bloberror.PendingCopyOperation: ErrBusy,

	bloberror.BlobArchived:             ErrArchivedTier,
	bloberror.BlobBeingRehydrated:      ErrArchivedTier,
	bloberror.BlobImmutableDueToPolicy: ErrImmutable,
	"BlobImmutableDueToLegalHold":      ErrImmutable,

	// Put Block and Put Block List to a page or append blob, or to a file made
	// through the Data Lake API.
	bloberror.InvalidBlobType:   ErrOtherKind,
	"BlobOperationNotSupported": ErrOtherKind,
	// A hierarchical namespace has no file and directory of one name.
	bloberror.ResourceTypeMismatch: ErrOtherKind,
	"PathConflict":                 ErrOtherKind,
	"PathAlreadyExists":            ErrOtherKind,

	bloberror.LeaseIDMissing:                   ErrLeased,
	bloberror.LeaseIDMismatchWithBlobOperation: ErrLeased,
	bloberror.LeaseAlreadyPresent:              ErrLeased,
	bloberror.LeaseLost:                        ErrLeased,

	bloberror.MD5Mismatch: ErrChecksum,
	"Crc64Mismatch":       ErrChecksum,

	bloberror.InvalidResourceName: ErrName,
	bloberror.InvalidURI:          ErrName,
	"PathIsTooDeep":               ErrName, // of a hierarchical namespace, at 60 directories or so
}

// kindOfStatus is for answers whose code is not in the table: of a proxy, or of
// a service newer than this program. Deliberately without 404 and 409, and
// without 413: what is too large is a request, and not the file.
func kindOfStatus(status int) error {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return ErrPermission
	case status == http.StatusPreconditionFailed:
		return ErrChanged
	case status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		return ErrBusy
	}
	return ErrRefused
}

// classify gives an error its kind, and puts it into one line that holds no
// credential.
func classify(err error) (kind, cause error) {
	if err == nil {
		return nil, nil
	}
	var response *azcore.ResponseError
	if errors.As(err, &response) {
		s := serviceError(response)
		if kind, ok := kindOfCode[bloberror.Code(s.Code)]; ok {
			return kind, s
		}
		return kindOfStatus(s.Status), s
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) && !isDial(err) {
		return nil, err
	}
	if isAuthentication(err) {
		return ErrPermission, oneLine(err)
	}
	if isNetwork(err) {
		return ErrUnreachable, oneLine(err)
	}
	return nil, oneLine(err)
}

// isKind reports whether an error of the SDK is of one of the kinds.
func isKind(err error, kinds ...error) bool {
	kind, _ := classify(err)
	return slices.ContainsFunc(kinds, func(k error) bool { return errors.Is(kind, k) })
}

// serviceError keeps of an SDK's error what fits in a line. It drops the
// request, whose URL may hold a SAS.
func serviceError(e *azcore.ResponseError) *ServiceError {
	s := &ServiceError{Code: e.ErrorCode, Status: e.StatusCode}
	if e.RawResponse != nil {
		s.RequestID = e.RawResponse.Header.Get("x-ms-request-id")
		if s.Status == 0 {
			s.Status = e.RawResponse.StatusCode
		}
	}
	return s
}

func isAuthentication(err error) bool {
	var failed *azidentity.AuthenticationFailedError
	var required *azidentity.AuthenticationRequiredError
	// What azidentity says when a credential cannot even be tried has no
	// exported type.
	return errors.As(err, &failed) || errors.As(err, &required) ||
		strings.Contains(err.Error(), "Credential: ") || strings.Contains(err.Error(), "Credential authentication ")
}

func isNetwork(err error) bool {
	var netErr net.Error
	var errno syscall.Errno
	var foreign foreignAnswer
	return errors.As(err, &netErr) || errors.As(err, &foreign) || errors.As(err, &errno) || isTLS(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		strings.HasPrefix(err.Error(), "net/http: ") || strings.HasPrefix(err.Error(), "http: ")
}

// isDial reports whether a connection could not be made. One that took too long
// ends with an error that is also the context's.
func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// isTLS reports whether the two ends cannot agree on trust or on a protocol. A
// second try would not help.
func isTLS(err error) bool {
	var verification *tls.CertificateVerificationError
	var alert tls.AlertError
	var header tls.RecordHeaderError
	var unknown x509.UnknownAuthorityError
	var hostname x509.HostnameError
	return errors.As(err, &verification) || errors.As(err, &alert) || errors.As(err, &header) ||
		errors.As(err, &unknown) || errors.As(err, &hostname)
}

// lineError is an error whose text was made fit to print.
type lineError struct {
	text string
	err  error
}

func (e *lineError) Error() string { return e.text }
func (e *lineError) Unwrap() error { return e.err }

// longestLine is where a line is cut: azidentity quotes whole answers.
const longestLine = 600

// oneLine puts an error's text in one line, without the rules between its parts
// and without the queries of URLs.
func oneLine(err error) error {
	text := err.Error()
	var fields []string
	for f := range strings.FieldsSeq(text) {
		if at := strings.Index(f, "?"); at >= 0 && strings.Contains(f, "sig=") {
			f = f[:at] + "?" + redacted
		}
		if len(f) < 8 || strings.Trim(f, "-=") != "" {
			fields = append(fields, f)
		}
	}
	line := strings.Join(fields, " ")
	if len(line) > longestLine {
		line = strings.ToValidUTF8(line[:longestLine], "") + "..."
	}
	if line == text {
		return err
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // keeps the URL out of %+v and the like
	}
	return &lineError{line, err}
}

// finalError keeps the SDK from trying again.
type finalError struct{ error }

// NonRetriable is what azcore looks for.
func (finalError) NonRetriable() {}

// Unwrap gives the error that is final.
func (e finalError) Unwrap() error { return e.error }

// neverRetry marks the errors that another try would only repeat.
func neverRetry(err error) error {
	if isTLS(err) {
		return finalError{err}
	}
	return err
}
