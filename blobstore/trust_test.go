package blobstore

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
)

// fakeSAS is good enough for a server that looks at nothing.
var fakeSAS = Credential{Mode: ModeSAS, SAS: "sv=1&sig=TOPSECRET"}

func containerOn(server *httptest.Server) string { return server.URL + "/acct/data" }

// TestCertificatesAreVerified: nothing that a caller, or the environment, says
// makes the pool talk to a server that cannot prove who it is, or in an old way.
func TestCertificatesAreVerified(t *testing.T) {
	ca := newTestCA(t)
	var asked atomic.Int32
	count := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	old := httptest.NewUnstartedServer(count)
	old.TLS = &tls.Config{Certificates: []tls.Certificate{ca.pair}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	old.StartTLS()
	defer old.Close()
	for name, tt := range map[string]struct {
		server *httptest.Server
		config *tls.Config
	}{
		"unknown authority":     {ca.server(t, count), nil},
		"careless caller":       {ca.server(t, count), &tls.Config{InsecureSkipVerify: true}},
		"TLS 1.1":               {old, ca.config()},
		"TLS 1.1 is asked for":  {old, &tls.Config{RootCAs: ca.pool, MinVersion: tls.VersionTLS10}},
		"certificate of others": {ca.server(t, count), &tls.Config{RootCAs: ca.pool, ServerName: "acct.blob.core.windows.net"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, newPool(t, PoolOptions{TLS: tt.config, Retries: -1}), ContainerOptions{URL: containerOn(tt.server), Credential: fakeSAS})
			wantKind(t, c.Check(t.Context()), ErrUnreachable)
		})
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// TestRedirectsAreNotFollowed: an answer cannot send a request, with what it is
// signed with or with an application's secret in it, to somebody else.
func TestRedirectsAreNotFollowed(t *testing.T) {
	ca := newTestCA(t)
	var stolen atomic.Int32
	thief := ca.server(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Add(1) }))
	redirect := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, thief.URL+r.URL.RequestURI(), http.StatusTemporaryRedirect)
	})
	identity := &fakeIdentity{}
	redirectTokens := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token") {
			redirect(w, r)
			return
		}
		identity.ServeHTTP(w, r)
	})
	for name, cr := range map[string]Credential{
		"SAS": fakeSAS,
		"key": {Mode: ModeSharedKey, AccountKey: "a2V5"},
		"application": {
			Mode: ModeClientSecret, TenantID: "11111111-1111-1111-1111-111111111111", ClientID: "c", Secret: "TOPSECRET",
			AuthorityHost: ca.server(t, redirectTokens).URL,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, newPool(t, PoolOptions{TLS: ca.config(), Retries: -1}), ContainerOptions{URL: containerOn(ca.server(t, redirect)), Credential: cr})
			err := c.Check(t.Context())
			if err == nil || strings.Contains(err.Error(), "TOPSECRET") {
				t.Errorf("a redirect ends in %v", err)
			}
		})
	}
	if n := stolen.Load(); n != 0 {
		t.Errorf("%d requests went where an answer wanted them", n)
	}
}

// TestProxy runs itself again, since net/http looks at the environment once.
func TestProxy(t *testing.T) {
	const again, proxy = "LHSM_TEST_PROXY", "http://proxy.example:3128"
	if os.Getenv(again) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestProxy$", "-test.v")
		cmd.Env = append(os.Environ(), again+"=1", "HTTPS_PROXY="+proxy, "HTTP_PROXY="+proxy, "NO_PROXY=")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	wantProxy(t, "https://acct.blob.core.windows.net/data", proxy)
	wantProxy(t, "http://169.254.169.254/metadata/identity/oauth2/token", "")
	wantProxy(t, "http://[fe80::a9fe:a9fe]/metadata", "")
}

func requestFor(t *testing.T, rawURL string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, rawURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func wantProxy(t *testing.T, rawURL, want string) {
	t.Helper()
	proxy, err := proxyFor(requestFor(t, rawURL))
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	if proxy != nil {
		got = proxy.String()
	}
	if got != want {
		t.Errorf("%s goes through the proxy %q, want %q", rawURL, got, want)
	}
}
