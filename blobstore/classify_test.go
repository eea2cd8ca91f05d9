package blobstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"plain text":                             "plain text",
		"first\nsecond\r\n\tthird":               "first second third",
		"POST\n----------------\n401":            "POST 401",
		"get https://h/c?sv=1&sig=SECRET now":    "get https://h/c?[redacted] now",
		"a -- b":                                 "a -- b",
		strings.Repeat("x", longestLine+1):       strings.Repeat("x", longestLine) + "...",
		strings.Repeat("x", longestLine-1) + "ü": strings.Repeat("x", longestLine-1) + "...",
	} {
		err := errors.New(in)
		if got := oneLine(err); got.Error() != want || !errors.Is(got, err) {
			t.Errorf("oneLine(%q) = %q, want %q", in, got, want)
		}
	}
}

// An error of net/http holds the whole URL; the line must not, nor must the
// chain.
func TestURLErrorLosesItsURL(t *testing.T) {
	err := &url.Error{Op: "Put", URL: "https://h/c?sig=SECRET", Err: syscall.ECONNRESET}
	kind, cause := classify(err)
	if !errors.Is(kind, ErrUnreachable) || !errors.Is(cause, syscall.ECONNRESET) {
		t.Errorf("classified as %v: %v", kind, cause)
	}
	if text := fmt.Sprintf("%v %+v %#v", cause, cause, errors.Unwrap(cause)); strings.Contains(text, "SECRET") {
		t.Errorf("prints as %s", text)
	}
}

// A copy that has not ended is waited for; the other conflicts are for good.
func TestClassifyConflict(t *testing.T) {
	for code, want := range map[string]error{"PendingCopyOperation": ErrBusy, "NoPendingCopyOperation": ErrRefused} {
		if kind, _ := classify(&azcore.ResponseError{StatusCode: 409, ErrorCode: code}); !errors.Is(kind, want) {
			t.Errorf("%s is classified as %v", code, kind)
		}
	}
}

func TestClassifyOther(t *testing.T) {
	for err, want := range map[error]error{
		context.Canceled:         nil,
		context.DeadlineExceeded: nil,
		io.ErrUnexpectedEOF:      ErrUnreachable,
		io.ErrShortWrite:         nil,
		syscall.ECONNREFUSED:     ErrUnreachable,
		errors.New("DefaultAzureCredential: failed to acquire a token"): ErrPermission,
	} {
		if kind, cause := classify(err); !errors.Is(kind, want) || !errors.Is(cause, err) {
			t.Errorf("%v is classified as %v: %v", err, kind, cause)
		}
	}
	late := &net.OpError{Op: "dial", Err: fmt.Errorf("i/o timeout: %w", context.DeadlineExceeded)}
	if kind, _ := classify(late); !errors.Is(kind, ErrUnreachable) {
		t.Errorf("a connection that is not made in time is classified as %v", kind)
	}
	if kind, cause := classify(nil); kind != nil || cause != nil {
		t.Errorf("nil is classified as %v: %v", kind, cause)
	}
}
