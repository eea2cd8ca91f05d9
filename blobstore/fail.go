package blobstore

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
)

// localError is an error of the caller's own reader or writer. Its errno says
// nothing about the service.
type localError struct{ error }

// Unwrap gives the caller's error.
func (e localError) Unwrap() error { return e.error }

// fail makes the error of an operation. It passes nil through.
func (c *Container) fail(op string, n Name, err error) error {
	if err == nil {
		return nil
	}
	var mine *Error
	if errors.As(err, &mine) {
		e := *mine
		e.Op, e.Name = or(e.Op, op), Name(or(string(e.Name), string(n)))
		return &e
	}
	var local localError
	if errors.As(err, &local) {
		return &Error{Op: op, Name: n, Err: oneLine(local.error)}
	}
	kind, cause := classify(err)
	hint := c.hint(kind, cause)
	if errors.Is(kind, ErrUnreachable) {
		cause = fmt.Errorf("cannot reach %s: %w", c.host, cause)
	}
	return &Error{Op: op, Name: n, Kind: kind, Err: cause, Hint: hint}
}

// hint says what an operator can do. Most failures are of one file and need
// none; these are of the configuration or of the surroundings.
func (c *Container) hint(kind, cause error) string {
	switch {
	case errors.Is(kind, ErrNoContainer):
		return fmt.Sprintf("create the container %q in the account %q, or correct its URL", c.container, c.account)
	case errors.Is(kind, ErrPermission):
		return c.permissionHint(cause)
	case errors.Is(kind, ErrOtherKind):
		return "a page or append blob has the name, or on an account with a hierarchical namespace a directory, or a file has that of a directory above; move it away"
	case errors.Is(kind, ErrUnreachable):
		return c.networkHint(cause)
	case errors.Is(kind, ErrRefused):
		return refusalHint(cause)
	}
	return ""
}

func refusalHint(cause error) string {
	var s *ServiceError
	switch {
	case !errors.As(cause, &s):
	case s.Status == http.StatusRequestEntityTooLarge:
		return "the service, or a proxy before it, takes no requests of that size; lower the block size"
	case s.Code == "InvalidBlobOrBlock":
		return "blocks of another tool's unfinished upload are in the way; a blob that is put there and deleted, or a week, takes them away"
	case bloberror.Code(s.Code) == bloberror.BlockCountExceedsLimit:
		return "blocks of uploads that failed fill the name; a blob that is put there, or a week, takes them away"
	}
	return ""
}

func (c *Container) permissionHint(cause error) string {
	var s *ServiceError
	if errors.As(cause, &s) {
		switch bloberror.Code(s.Code) {
		case bloberror.AccountIsDisabled:
			return fmt.Sprintf("the storage account %q is disabled; have it enabled", c.account)
		case "KeyBasedAuthenticationNotPermitted":
			return fmt.Sprintf("the account %q does not allow keys and SAS; use an identity, or allow key access", c.account)
		case bloberror.AuthorizationSourceIPMismatch:
			return fmt.Sprintf("allow this machine in the network rules of the account %q and of the SAS", c.account)
		}
	}
	mode := c.access.Load().mode
	switch mode {
	case ModeSharedKey:
		return fmt.Sprintf("check that the key is one of the account %q, its network rules, and this machine's clock", c.account)
	case ModeSAS:
		if end, ok := c.CredentialExpiry(); ok && time.Now().After(end) {
			return fmt.Sprintf("the SAS expired at %s; replace it", end.UTC().Format(time.RFC3339))
		}
		return "check that the SAS is for this container, allows this machine, and grants read, add, create, write, delete and list"
	}
	if s == nil {
		return fmt.Sprintf("check the %s credential: no token could be had with it", mode)
	}
	return fmt.Sprintf("give the identity the role Storage Blob Data Contributor on the container %q, and check the account's network rules", c.container)
}

func (c *Container) networkHint(cause error) string {
	var dns *net.DNSError
	var netErr net.Error
	var hostname x509.HostnameError
	var header tls.RecordHeaderError
	var foreign foreignAnswer
	switch {
	case errors.As(cause, &foreign):
		return fmt.Sprintf("look for a proxy, a firewall or a login page between this machine and %s", c.host)
	case errors.As(cause, &dns):
		return fmt.Sprintf("the name %q does not resolve; check the URL and the DNS, private zones included", c.host)
	case errors.As(cause, &header) || strings.Contains(cause.Error(), "malformed HTTP response"):
		return "the other end speaks another protocol; check http or https, and the port"
	case errors.As(cause, &hostname):
		return fmt.Sprintf("the certificate is not for %q; check the URL", c.host)
	case isTLS(cause):
		return "add the authority that signed the service's certificate to this machine's trusted ones"
	case errors.Is(cause, syscall.ECONNREFUSED):
		return fmt.Sprintf("nothing listens at %s; check the URL", c.url)
	case errors.As(cause, &netErr) && netErr.Timeout():
		return fmt.Sprintf("no answer from %s; check the URL, the firewall and the private endpoint", c.host)
	}
	return fmt.Sprintf("check the network to %s", c.host)
}

// RedactURL takes from a URL what may be a credential.
func RedactURL(raw string) string {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return redacted
	case u.User == nil && u.RawQuery == "":
		return raw
	case u.User != nil:
		u.User = url.User(redacted)
	}
	if u.RawQuery != "" {
		u.RawQuery = redacted
	}
	return u.String()
}
