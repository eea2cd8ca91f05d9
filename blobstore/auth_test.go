package blobstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lhsm-azblob/testenv/azurite"
)

func testKey(t testing.TB) Credential {
	return Credential{Mode: ModeSharedKey, AccountKey: Secret(azurite.Start(t).AccountKey)}
}

// newSASFor makes a token of Azurite for a container.
func newSASFor(t testing.TB, containerURL, perms string, expiry time.Time) Secret {
	t.Helper()
	token, err := azurite.Start(t).SAS(containerURL[strings.LastIndexByte(containerURL, '/')+1:], perms, expiry)
	if err != nil {
		t.Fatal(err)
	}
	return Secret(token)
}

const allPerms = "racwdl"

// wantWorking does a bit of everything with a container.
func wantWorking(t *testing.T, c *Container) {
	t.Helper()
	if err := c.Check(t.Context()); err != nil {
		t.Error(err)
		return
	}
	data := randomBytes(3*testBlock + 1)
	info := mustUpload(t, c, "a b", data, UploadOptions{Condition: Overwrite()})
	wantContent(t, c, info, data)
	dst, err := c.Copy(t.Context(), "a b", "c", CopyOptions{Condition: Overwrite()})
	if err != nil {
		t.Error(err)
		return
	}
	wantContent(t, c, dst, data)
	if err := c.Delete(t.Context(), "c", dst.ETag); err != nil {
		t.Error(err)
	}
}

func TestKeyModes(t *testing.T) {
	s := azurite.Start(t)
	u := s.NewContainer(t)
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	sas := newSASFor(t, u, allPerms, time.Now().Add(time.Hour))
	sasString := "BlobEndpoint=" + s.Endpoint + "/;SharedAccessSignature=" + string(sas)
	for name, o := range map[string]ContainerOptions{
		"key":                    {URL: u, Credential: Credential{Mode: ModeSharedKey, AccountKey: Secret(s.AccountKey)}},
		"key, name":              {URL: u, Credential: Credential{Mode: ModeSharedKey, AccountKey: Secret(s.AccountKey), AccountName: s.AccountName}},
		"key file":               {URL: u + "/", Credential: Credential{Mode: ModeSharedKey, SecretFile: file(s.AccountKey)}},
		"SAS":                    {URL: u, Credential: Credential{Mode: ModeSAS, SAS: "?" + sas}},
		"SAS in a URL":           {URL: u, Credential: Credential{Mode: ModeSAS, SAS: Secret(u) + "?" + sas}},
		"SAS file":               {URL: u, Credential: Credential{Mode: ModeSAS, SASFile: file(string(sas))}},
		"connection string":      {URL: u, Credential: Credential{Mode: ModeConnectionString, ConnectionString: Secret(s.ConnectionString())}},
		"connection string, SAS": {URL: u, Credential: Credential{Mode: ModeConnectionString, ConnectionString: Secret(sasString)}},
		"connection string file, container by name": {
			URL: u[strings.LastIndexByte(u, '/')+1:], Credential: Credential{Mode: ModeConnectionString, SecretFile: file(s.ConnectionString())},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, newPool(t, PoolOptions{}), o)
			wantWorking(t, c)
			if c.URL() != u || c.Account() != s.AccountName || "/"+c.ContainerName() != u[strings.LastIndexByte(u, '/'):] {
				t.Errorf("container %q of account %q at %s", c.ContainerName(), c.Account(), c.URL())
			}
		})
	}
}

// A SAS that is replaced in its file is used without a restart: at once when the
// old one is refused, even in the middle of a transfer.
func TestSASFileChangesWhileInUse(t *testing.T) {
	u := azurite.Start(t).NewContainer(t)
	path := filepath.Join(t.TempDir(), "sas")
	write := func(sas Secret) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(sas), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	good := newSASFor(t, u, allPerms, time.Now().Add(time.Hour))
	expired := newSASFor(t, u, allPerms, time.Now().Add(-time.Minute))

	write(expired)
	c := open(t, newPool(t, PoolOptions{}), ContainerOptions{URL: u, Credential: Credential{Mode: ModeSAS, SASFile: path}})
	_, err := c.Stat(t.Context(), "a")
	wantKind(t, err, ErrPermission)
	if err == nil || !strings.Contains(err.Error(), "expired at") {
		t.Errorf("error does not say that the SAS has expired: %v", err)
	}
	if end, ok := c.CredentialExpiry(); !ok || end.After(time.Now()) {
		t.Errorf("expiry is %s, %t", end, ok)
	}

	write(good)
	data := randomBytes(3*testBlock + 1)
	wantContent(t, c, mustUpload(t, c, "a", data, UploadOptions{}), data)

	// As if the good one had just expired, after all blocks were staged: what is
	// in the file then must do for the commit.
	c.access.Load().sas.mu.Lock()
	c.access.Load().sas.query = string(expired)
	c.access.Load().sas.mu.Unlock()
	write(newSASFor(t, u, allPerms, time.Now().Add(2*time.Hour)))
	wantContent(t, c, mustUpload(t, c, "b", data, UploadOptions{}), data)

	// A file that is missing, or only half-written, does not take away the token.
	for _, spoil := range []func(){func() { write("sv=2024") }, func() { os.Remove(path) }} {
		spoil()
		c.access.Load().sas.mu.Lock()
		c.access.Load().sas.checked = time.Time{}
		c.access.Load().sas.mu.Unlock()
		if _, err := c.Stat(t.Context(), "a"); err != nil {
			t.Error(err)
		}
	}
}

// fakeIdentity stands in for Microsoft's identity services: it hands out tokens
// that Azurite takes.
type fakeIdentity struct{ requests []url.Values }

func (f *fakeIdentity) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	base := "https://" + r.Host
	reply := map[string]any{
		"access_token": fakeToken(), "token_type": "Bearer", "resource": "https://storage.azure.com",
		"expires_in": 3600, "expires_on": fmt.Sprint(time.Now().Add(time.Hour).Unix()),
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/openid-configuration"):
		tenant := strings.Split(r.URL.Path, "/")[1]
		reply = map[string]any{
			"issuer": base + "/" + tenant, "authorization_endpoint": base + "/" + tenant + "/oauth2/v2.0/authorize",
			"token_endpoint": base + "/" + tenant + "/oauth2/v2.0/token",
		}
	case r.Form.Get("client_secret") == "wrong":
		w.WriteHeader(http.StatusUnauthorized)
		reply = map[string]any{"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: x"}
	default:
		f.requests = append(f.requests, r.Form)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(reply)
}

func TestIdentityModes(t *testing.T) {
	ca := newTestCA(t)
	s := azurite.StartWith(t, azurite.Options{CertFile: ca.certFile, KeyFile: ca.keyFile})
	containerURL, err := s.CreateContainer(t.Context(), "identity", ca.client())
	if err != nil {
		t.Fatal(err)
	}
	identity := &fakeIdentity{}
	server := ca.server(t, identity)
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte("kubernetes-token"), 0o600); err != nil {
		t.Fatal(err)
	}
	const tenant = "11111111-1111-1111-1111-111111111111"
	for name, tt := range map[string]struct {
		credential Credential
		env        map[string]string
		want       map[string]string // of the last request for a token
	}{
		"managed identity": {
			Credential{Mode: ModeManagedIdentity},
			map[string]string{"IDENTITY_ENDPOINT": server.URL + "/msi", "IDENTITY_HEADER": "x"},
			map[string]string{"resource": "https://storage.azure.com"},
		},
		"managed identity by client ID": {
			Credential{Mode: ModeManagedIdentity, ClientID: "my-client"},
			map[string]string{"IDENTITY_ENDPOINT": server.URL + "/msi", "IDENTITY_HEADER": "x"},
			map[string]string{"resource": "https://storage.azure.com", "client_id": "my-client"},
		},
		"workload identity": {
			Credential{Mode: ModeWorkloadIdentity, AuthorityHost: server.URL},
			map[string]string{"AZURE_CLIENT_ID": "my-client", "AZURE_TENANT_ID": tenant, "AZURE_FEDERATED_TOKEN_FILE": tokenFile},
			map[string]string{"client_id": "my-client", "client_assertion": "kubernetes-token"},
		},
		"client secret": {
			Credential{Mode: ModeClientSecret, TenantID: tenant, ClientID: "my-client", Secret: "s3cret", AuthorityHost: server.URL},
			nil,
			map[string]string{"client_id": "my-client", "client_secret": "s3cret", "grant_type": "client_credentials"},
		},
		"client certificate": {
			Credential{Mode: ModeClientCertificate, TenantID: tenant, ClientID: "my-client", CertificateFile: ca.rsaFile(t), AuthorityHost: server.URL},
			nil,
			map[string]string{"client_id": "my-client", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		},
		"default, from the environment": {
			Credential{AuthorityHost: server.URL},
			map[string]string{"AZURE_CLIENT_ID": "my-client", "AZURE_TENANT_ID": tenant, "AZURE_CLIENT_SECRET": "s3cret"},
			map[string]string{"client_id": "my-client", "client_secret": "s3cret"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			c := open(t, newPool(t, PoolOptions{TLS: ca.config()}), ContainerOptions{URL: containerURL, Credential: tt.credential})
			identity.requests = nil
			wantWorking(t, c)
			if len(identity.requests) == 0 {
				t.Fatal("nobody asked for a token")
			}
			last := identity.requests[len(identity.requests)-1]
			for k, v := range tt.want {
				if last.Get(k) != v {
					t.Errorf("asked for a token with %s=%q, want %q", k, last.Get(k), v)
				}
			}
		})
	}
	t.Run("wrong secret", func(t *testing.T) {
		c := open(t, newPool(t, PoolOptions{TLS: ca.config()}), ContainerOptions{URL: containerURL, Credential: Credential{
			Mode: ModeClientSecret, TenantID: tenant, ClientID: "my-client", Secret: "wrong", AuthorityHost: server.URL,
		}})
		err := c.Check(t.Context())
		wantKind(t, err, ErrPermission)
		if err == nil || !strings.Contains(err.Error(), "AADSTS7000215") || !strings.Contains(err.Error(), "client-secret credential") {
			t.Errorf("error does not tell what is wrong: %v", err)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	p := newPool(t, PoolOptions{Memory: 1 << 20})
	key := Credential{Mode: ModeSharedKey, AccountKey: "a2V5"}
	const u = "https://acct.blob.core.windows.net/data"
	for name, o := range map[string]ContainerOptions{
		"no URL":             {Credential: key},
		"no container":       {URL: "https://acct.blob.core.windows.net/", Credential: key},
		"path too long":      {URL: u + "/a/b", Credential: key},
		"other scheme":       {URL: "ftp://acct/data", Credential: key},
		"SAS in the URL":     {URL: u + "?sv=1&sig=TOPSECRET", Credential: key},
		"user in the URL":    {URL: "https://u:TOPSECRET@acct.blob.core.windows.net/data", Credential: key},
		"container name":     {URL: "https://acct.blob.core.windows.net/Data", Credential: key},
		"key":                {URL: u, Credential: Credential{Mode: ModeSharedKey, AccountKey: "TOPSECRET!"}},
		"no SAS":             {URL: u, Credential: Credential{Mode: ModeSAS}},
		"SAS":                {URL: u, Credential: Credential{Mode: ModeSAS, SAS: "TOPSECRET"}},
		"SAS file":           {URL: u, Credential: Credential{Mode: ModeSAS, SASFile: "/nonexistent/sas"}},
		"secret file":        {URL: u, Credential: Credential{Mode: ModeSharedKey, SecretFile: "/nonexistent/key"}},
		"connection string":  {URL: u, Credential: Credential{Mode: ModeConnectionString, ConnectionString: "TOPSECRET"}},
		"no key in string":   {URL: u, Credential: Credential{Mode: ModeConnectionString, ConnectionString: "AccountName=TOPSECRET"}},
		"token over HTTP":    {URL: "http://127.0.0.1:10000/acct/data", Credential: Credential{Mode: ModeDefault}},
		"key over HTTP":      {URL: "http://acct.blob.core.windows.net/data", Credential: key},
		"SAS over HTTP":      {URL: "http://10.0.0.1/acct/data", Credential: Credential{Mode: ModeSAS, SAS: "sv=1&sig=TOPSECRET"}},
		"string over HTTP":   {URL: "data", Credential: Credential{Mode: ModeConnectionString, ConnectionString: "DefaultEndpointsProtocol=http;AccountName=acct;AccountKey=a2V5"}},
		"not quite loopback": {URL: "http://localhost.example/acct/data", Credential: key},
		"unknown mode":       {URL: u, Credential: Credential{Mode: "kerberos"}},
		"certificate":        {URL: u, Credential: Credential{Mode: ModeClientCertificate, CertificateFile: "/nonexistent/cert"}},
		"block size":         {URL: u, Credential: key, BlockSize: maxBlock + 1},
		"block beyond room":  {URL: u, Credential: key, BlockSize: 2 << 20},
		"negative threshold": {URL: u, Credential: key, PutThreshold: -1},
	} {
		_, err := Open(o, p)
		var e *Error
		if !errors.As(err, &e) || e.Hint == "" || strings.Contains(err.Error(), "TOPSECRET") || strings.ContainsAny(err.Error(), "\r\n") {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

func TestParseConnectionString(t *testing.T) {
	for s, want := range map[Secret]connectionString{
		"DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=a2V5==;EndpointSuffix=core.chinacloudapi.cn": {account: "acct", key: "a2V5==", endpoint: "https://acct.blob.core.chinacloudapi.cn"},
		" AccountName = acct ; AccountKey = a2V5 ;; ":                                                            {account: "acct", key: "a2V5", endpoint: "https://acct.blob.core.windows.net"},
		"BlobEndpoint=https://x.example/acct/;SharedAccessSignature=sv=1&sig=2":                                  {sas: "sv=1&sig=2", endpoint: "https://x.example/acct"},
	} {
		if got, err := parseConnectionString(s); err != nil || got != want {
			t.Errorf("%q is %q, %q, %v", string(s), got.endpoint, got.account, err)
		}
	}
}

func TestSecretDoesNotPrint(t *testing.T) {
	cr := Credential{Mode: ModeSharedKey, AccountKey: "TOPSECRET", Secret: "TOPSECRET", SAS: "TOPSECRET", ConnectionString: "TOPSECRET"}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%v %+v %#v %s %q %x", cr, cr, cr, cr.AccountKey, cr.AccountKey, cr.AccountKey)
	_ = json.NewEncoder(&b).Encode(cr)
	if s := b.String(); strings.Contains(s, "TOPSECRET") || strings.Contains(s, fmt.Sprintf("%x", "TOPSECRET")) {
		t.Errorf("a secret was printed: %s", s)
	}
}
