package blobstore

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestExamine: what the account and the container say of themselves.
func TestExamine(t *testing.T) {
	var mu sync.Mutex
	var dates []time.Time
	c := openContainer(t, PoolOptions{Observe: func(e RequestEvent) {
		mu.Lock()
		defer mu.Unlock()
		dates = append(dates, e.Date)
	}}, ContainerOptions{})
	if info, err := c.AccountInfo(t.Context()); err != nil || info.Kind == "" || info.SKU == "" || info.HierarchicalNamespace {
		t.Errorf("account: %+v, %v", info, err)
	}
	if p, err := c.Protection(t.Context()); err != nil || p != (Protection{}) {
		t.Errorf("protection: %+v, %v", p, err)
	}
	info := mustUpload(t, c, "a", []byte("data"), UploadOptions{})
	if err := c.SetTags(t.Context(), info.Name, map[string]string{"k": "v"}); err != nil {
		t.Error(err)
	}
	if err := c.SetTags(t.Context(), "none", map[string]string{"k": "v"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("tags of nothing: %v", err)
	}
	if left, err := c.Remainder(t.Context(), "none"); err != nil || left != (Remainder{}) {
		t.Errorf("remainder: %+v, %v", left, err)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, d := range dates {
		if age := time.Since(d); age < -time.Minute || age > time.Minute {
			t.Errorf("an answer is of %v", d)
		}
	}
}

// TestRemainder reads what an account with soft delete or versions lists.
func TestRemainder(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	for inside, want := range map[string]Remainder{
		"":                        {},
		"<Deleted>true</Deleted>": {Deleted: true},
		"<VersionId>2026-01-01T00:00:00.0000000Z</VersionId>": {Versions: true},
	} {
		f := inject(c.pool, func(_ int, req *http.Request, _ http.RoundTripper) (*http.Response, error) {
			if q := req.URL.Query(); q.Get("include") != "deleted,versions" || q.Get("prefix") != "a" {
				t.Errorf("it asks %v", q)
			}
			r := answer(req, http.StatusOK, "")
			r.Header.Set("Content-Type", "application/xml")
			r.Body = io.NopCloser(strings.NewReader("<EnumerationResults><Blobs><Blob><Name>a</Name>" + inside + "</Blob></Blobs></EnumerationResults>"))
			return r, nil
		})
		if got, err := c.Remainder(t.Context(), "a"); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", inside, got, err)
		}
		c.pool.transport = f.real
	}
}
