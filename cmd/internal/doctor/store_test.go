package doctor

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/cmd/internal/severity"
	"lhsm-azblob/testenv/azurite"
)

// behind is an archive in Azurite, seen through a proxy that changes answers.
func behind(t *testing.T, change func(*http.Response)) Archive {
	t.Helper()
	server := azurite.Start(t)
	direct, err := url.Parse(server.NewContainer(t))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: direct.Scheme, Host: direct.Host}) },
		ModifyResponse: func(r *http.Response) error { change(r); return nil },
	})
	t.Cleanup(proxy.Close)
	return Archive{IDs: []uint32{1}, Container: blobstore.ContainerOptions{
		URL:        proxy.URL + direct.Path,
		Credential: blobstore.Credential{Mode: blobstore.ModeSharedKey, AccountName: server.AccountName, AccountKey: blobstore.Secret(server.AccountKey)},
	}}
}

// TestAnswersOfOtherAccounts are those that Azurite does not give.
func TestAnswersOfOtherAccounts(t *testing.T) {
	query := func(r *http.Response, key, value string) bool { return r.Request.URL.Query().Get(key) == value }
	for _, tt := range []struct {
		name   string
		tier   string
		change func(*http.Response)
		check  string
		level  severity.Level
		says   string
	}{
		{"clock behind", "", func(r *http.Response) { date(r, time.Minute) }, "clock", severity.Warning, "1m0s behind"},
		{"clock ahead", "", func(r *http.Response) { date(r, -time.Minute) }, "clock", severity.Warning, "1m0s ahead"},
		{"clock far ahead", "", func(r *http.Response) { date(r, -time.Hour) }, "clock", severity.Failure, "1h0m0s ahead"},
		{"no clock", "", func(r *http.Response) { r.Header.Set("Date", "today") }, "clock", severity.Note, "does not say"},
		{"hierarchical", "", func(r *http.Response) { r.Header.Set("x-ms-is-hns-enabled", "true") }, "account", severity.OK, "hierarchical namespace"},
		{"premium", "", func(r *http.Response) { r.Header.Set("x-ms-account-kind", "BlockBlobStorage") }, "account", severity.OK, "BlockBlobStorage"},
		{"tier on premium", "Cool", func(r *http.Response) { r.Header.Set("x-ms-account-kind", "BlockBlobStorage") }, "account", severity.Failure, "no access tiers"},
		{"account not told", "", func(r *http.Response) {
			if query(r, "comp", "properties") {
				r.StatusCode = http.StatusForbidden
			}
		}, "account", severity.Note, "may not see"},
		{"policy", "", func(r *http.Response) { r.Header.Set("x-ms-has-immutability-policy", "true") }, "immutability", severity.Warning, "retention policy"},
		{"hold", "", func(r *http.Response) { r.Header.Set("x-ms-has-legal-hold", "true") }, "immutability", severity.Warning, "legal hold"},
		{"single versions", "", func(r *http.Response) { r.Header.Set("x-ms-immutable-storage-with-versioning-enabled", "true") }, "immutability", severity.Note, "single versions"},
		{"versions", "", func(r *http.Response) { r.Header.Set("x-ms-version-id", "2026-01-01T00:00:00.0000000Z") }, "versioning", severity.Note, "on:"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := behind(t, tt.change)
			a.Container.Tier = tt.tier
			checks := newStore(a, blobstore.PoolOptions{Memory: 64 << 20}).checks()
			f := run(t, slices.DeleteFunc(checks, func(c Check) bool { // what it does not need takes its time
				return tt.check != "versioning" && !slices.Contains([]string{"credential", "reach", tt.check}, c.Name)
			}))[tt.check]
			if f.Level != tt.level || !strings.Contains(f.Seen, tt.says) {
				t.Errorf("got %+v, want %v and %q", f, tt.level, tt.says)
			}
		})
	}
}

// date moves the clock of an answer.
func date(r *http.Response, by time.Duration) {
	r.Header.Set("Date", time.Now().Add(by).UTC().Format(http.TimeFormat))
}

// TestScratchIsRemovedWhenTimeIsUp: what was sent is deleted although the check
// has no time left, and even if the answer to its sending was lost.
func TestScratchIsRemovedWhenTimeIsUp(t *testing.T) {
	var deleted int
	a := behind(t, func(r *http.Response) {
		if r.Request.Method == http.MethodDelete && r.StatusCode == http.StatusAccepted {
			deleted++
		}
		if r.Request.Method == http.MethodPut && strings.Contains(r.Request.URL.Path, "doctor") && r.Request.URL.Query().Get("comp") == "blocklist" {
			r.StatusCode = http.StatusForbidden
		}
	})
	f := run(t, newStore(a, blobstore.PoolOptions{Memory: 64 << 20}).checks())["transfer"]
	if f.Level != severity.Failure || deleted != 1 {
		t.Errorf("%d deletions; got %+v", deleted, f)
	}
}
