package blobstore

import (
	"bytes"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// A large upload that cannot be published sends none of its bytes: not over a
// blob that is protected, nor over one that its condition is not about. A small
// one makes no request more than it needs.
func TestNothingIsSentInVain(t *testing.T) {
	const size = lookFirst
	data := randomBytes(size)
	header := func(key, value string) func(string, http.Header) {
		return func(op string, h http.Header) {
			if op == "head-blob" {
				h.Set(key, value)
			}
		}
	}
	versioned := func(f func(string, http.Header)) func(string, http.Header) {
		return func(op string, h http.Header) {
			f(op, h)
			h.Set("x-ms-version-id", "2026-01-01T00:00:00.0000000Z")
		}
	}
	policy := func(op string, h http.Header) {
		if op == "head-container" {
			h.Set("x-ms-has-immutability-policy", "true")
		}
	}
	retained := header("x-ms-immutability-policy-until-date", "Fri, 01 Jan 2100 00:00:00 GMT")
	held := header("x-ms-legal-hold", "true")
	for name, tt := range map[string]struct {
		cond  func(etag string) Condition
		spoil func(op string, h http.Header)
		kind  error
	}{
		"exists":             {func(string) Condition { return CreateOnly() }, nil, ErrExists},
		"changed":            {func(string) Condition { return IfMatch(`"0x1"`) }, nil, ErrChanged},
		"leased":             {IfMatch, header("x-ms-lease-status", "locked"), ErrLeased},
		"archived":           {IfMatch, header("x-ms-access-tier", "Archive"), ErrArchivedTier},
		"legal hold":         {IfMatch, held, ErrImmutable},
		"retained":           {IfMatch, retained, ErrImmutable},
		"policy":             {IfMatch, policy, ErrImmutable},
		"policy, overwrite":  {func(string) Condition { return Overwrite() }, policy, ErrImmutable},
		"retention over":     {IfMatch, header("x-ms-immutability-policy-until-date", "Sat, 01 Jan 2000 00:00:00 GMT"), nil},
		"versions, held":     {IfMatch, versioned(held), nil}, // a new version becomes the blob
		"versions, retained": {IfMatch, versioned(retained), nil},
		"lease is over":      {IfMatch, header("x-ms-lease-status", "unlocked"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := openContainer(t, PoolOptions{}, ContainerOptions{BlockSize: 1 << 20})
			there := mustUpload(t, c, "a", []byte("old"), UploadOptions{})
			var sent atomic.Int64
			inject(c.pool, func(_ int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
				sent.Add(max(req.ContentLength, 0))
				resp, err := real.RoundTrip(req)
				if err == nil && tt.spoil != nil {
					tt.spoil(opOf(req), resp.Header)
				}
				return resp, err
			})
			info, err := c.Upload(t.Context(), "a", bytes.NewReader(data), size, UploadOptions{Condition: tt.cond(there.ETag)})
			if tt.kind == nil {
				if err != nil || info.CRC64 != checksum(data) {
					t.Errorf("upload: %v", err)
				}
				return
			}
			wantKind(t, err, tt.kind)
			if n := sent.Load(); n > 0 {
				t.Errorf("%d bytes were sent before it was found out", n)
			}
			wantContent(t, c, there, []byte("old"))
		})
	}
}

func TestNothingToReplaceIsChanged(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	_, err := c.Upload(t.Context(), "a", bytes.NewReader(make([]byte, lookFirst)), lookFirst, UploadOptions{Condition: IfMatch(`"0x1"`)})
	wantKind(t, err, ErrChanged)
}

func TestSmallUploadIsOneRequest(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	var ops []string
	inject(c.pool, func(_ int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
		ops = append(ops, opOf(req))
		return real.RoundTrip(req)
	})
	mustUpload(t, c, "a", []byte("small"), UploadOptions{})
	if got := strings.Join(ops, " "); got != "put-blob" {
		t.Errorf("requests: %s, want one", got)
	}
}
