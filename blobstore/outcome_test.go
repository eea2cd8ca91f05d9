package blobstore

import (
	"bytes"
	"context"
	"net/http"
	"testing"
)

// What the service has acknowledged is looked at: an upload that is reported as
// done may be the only copy of a file soon.
func TestAcknowledgedIsNotStored(t *testing.T) {
	acknowledge := func(req *http.Request, etag string) *http.Response {
		resp := answer(req, http.StatusCreated, "")
		if etag != "" {
			resp.Header.Set("ETag", etag)
		}
		return resp
	}
	for name, spoil := range map[string]func(req *http.Request, real http.RoundTripper, c *Container) (*http.Response, error){
		"nothing is there": func(req *http.Request, _ http.RoundTripper, _ *Container) (*http.Response, error) {
			return acknowledge(req, `"0x1"`), nil
		},
		"something else is there": func(req *http.Request, real http.RoundTripper, c *Container) (*http.Response, error) {
			c.pool.transport = real
			mustUpload(t, c, "a", []byte("somebody else's"), UploadOptions{Condition: Overwrite()})
			return acknowledge(req, `"0x1"`), nil
		},
		"half of it is there": func(req *http.Request, real http.RoundTripper, c *Container) (*http.Response, error) {
			c.pool.transport = real
			md := map[string]string{keyUpload: req.Header.Get("x-ms-meta-" + keyUpload), keyCRC64: req.Header.Get("x-ms-meta-" + keyCRC64)}
			half := mustUpload(t, c, "a", randomBytes(testBlock), UploadOptions{Condition: Overwrite()})
			if _, err := c.SetMetadata(t.Context(), "a", md, half.ETag); err != nil {
				t.Error(err)
			}
			return acknowledge(req, `"0x1"`), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := openContainer(t, PoolOptions{}, ContainerOptions{})
			data := randomBytes(3 * testBlock)
			inject(c.pool, func(_ int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
				if opOf(req) == "put-block-list" {
					return spoil(req, real, c)
				}
				return real.RoundTrip(req)
			})
			_, err := c.Upload(t.Context(), "a", bytes.NewReader(data), int64(len(data)), UploadOptions{})
			wantKind(t, err, ErrChanged)
		})
	}
	t.Run("in one request, without an ETag", func(t *testing.T) {
		c := openContainer(t, PoolOptions{}, ContainerOptions{})
		inject(c.pool, func(_ int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
			if opOf(req) == "put-blob" {
				return acknowledge(req, ""), nil
			}
			return real.RoundTrip(req)
		})
		_, err := c.Upload(t.Context(), "a", bytes.NewReader([]byte("small")), 5, UploadOptions{})
		wantKind(t, err, ErrChanged)
	})
}

// Who is told of new blobs may have written into the metadata already. The bytes
// are ours, and the ETag is that of now.
func TestMetadataChangedBehindTheCommit(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	data := randomBytes(3 * testBlock)
	inject(c.pool, func(_ int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
		resp, err := real.RoundTrip(req)
		if opOf(req) == "put-block-list" && err == nil {
			c.pool.transport = real
			now, serr := c.Stat(t.Context(), "a")
			if serr == nil {
				now.Metadata["project"] = "apollo"
				_, serr = c.SetMetadata(t.Context(), "a", now.Metadata, now.ETag)
			}
			if serr != nil {
				t.Error(serr)
			}
		}
		return resp, err
	})
	info := mustUpload(t, c, "a", data, UploadOptions{})
	wantContent(t, c, info, data)
}

// An upload that is cancelled when its last request has been carried out is done;
// one that is cancelled before that has left nothing.
func TestCancelledTooLate(t *testing.T) {
	eachWay(t, func(t *testing.T, n Name, size int) {
		for _, arrives := range []bool{true, false} {
			c := openContainer(t, PoolOptions{}, ContainerOptions{})
			ctx, cancel := context.WithCancel(t.Context())
			inject(c.pool, func(_ int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
				if op := opOf(req); op != "put-blob" && op != "put-block-list" {
					return real.RoundTrip(req)
				}
				if arrives {
					resp, err := real.RoundTrip(req)
					if err != nil {
						return nil, err
					}
					resp.Body.Close()
				}
				cancel()
				<-req.Context().Done()
				return nil, req.Context().Err()
			})
			data := randomBytes(size)
			within(t, func(context.Context) {
				info, err := c.Upload(ctx, n, bytes.NewReader(data), int64(size), UploadOptions{})
				if arrives {
					if err != nil {
						t.Errorf("an upload that was carried out: %v", err)
					}
					wantContent(t, c, info, data)
					return
				}
				wantKind(t, err, context.Canceled)
				_, err = c.Stat(t.Context(), n)
				wantKind(t, err, ErrNotFound)
			})
		}
	})
}

// What cannot have the name is not tried again, nor taken for a blob that can be
// replaced.
func TestOtherKindHasTheName(t *testing.T) {
	for _, code := range []string{"InvalidBlobType", "BlobOperationNotSupported", "ResourceTypeMismatch", "PathConflict", "PathAlreadyExists"} {
		c := openContainer(t, PoolOptions{}, ContainerOptions{})
		f := inject(c.pool, func(_ int, req *http.Request, _ http.RoundTripper) (*http.Response, error) {
			return answer(req, http.StatusConflict, code), nil
		})
		_, err := c.Upload(t.Context(), "a", bytes.NewReader([]byte("x")), 1, UploadOptions{})
		wantKind(t, err, ErrOtherKind)
		if n := f.n.Load(); n != 1 {
			t.Errorf("%s: %d requests, want one", code, n)
		}
	}
}
