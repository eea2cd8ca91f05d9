package blobstore

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lhsm-azblob/testenv/azurite"
)

// A container that gets another credential uses it from the next request on, also
// in the middle of an upload.
func TestTakeCredential(t *testing.T) {
	u := azurite.Start(t).NewContainer(t)
	p := newPool(t, PoolOptions{Transfers: 1})
	openWith := func(cr Credential) *Container { return open(t, p, ContainerOptions{URL: u, Credential: cr}) }
	before := newSASFor(t, u, allPerms, time.Now().Add(time.Hour))
	after := newSASFor(t, u, allPerms, time.Now().Add(2*time.Hour))
	c, next := openWith(Credential{Mode: ModeSAS, SAS: before}), openWith(Credential{Mode: ModeSAS, SAS: after})

	inject(p, func(_ int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
		old := strings.Contains(req.URL.RawQuery, string(before))
		if opOf(req) == "put-block" && !old {
			t.Error("a block went out with the new credential before it was there")
		}
		if opOf(req) == "put-block-list" && old {
			t.Error("the commit went out with the old credential")
		}
		return real.RoundTrip(req)
	})
	data := randomBytes(3*testBlock + 1)
	info := mustUpload(t, c, "a", data, UploadOptions{BeforeCommit: func() error {
		c.TakeCredential(next)
		return nil
	}})
	if end, ok := c.CredentialExpiry(); !ok || time.Until(end) < 90*time.Minute {
		t.Errorf("the credential ends at %s, %t: not that of the new one", end, ok)
	}
	c.TakeCredential(openWith(Credential{Mode: ModeSharedKey, AccountKey: Secret(azurite.Start(t).AccountKey)}))
	wantContent(t, c, info, data)
	if _, ok := c.CredentialExpiry(); ok {
		t.Error("a key has an end")
	}
}

// What is another credential, and what is the same one written in another way.
func TestSameCredential(t *testing.T) {
	const u = "https://a.blob.core.windows.net/files"
	p := newPool(t, PoolOptions{})
	openWith := func(cr Credential) *Container { return open(t, p, ContainerOptions{URL: u, Credential: cr}) }
	file := filepath.Join(t.TempDir(), "key")
	write := func(key string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a2V5\n")
	key := openWith(Credential{Mode: ModeSharedKey, SecretFile: file})
	for _, same := range []Credential{
		{Mode: ModeSharedKey, SecretFile: file},
		{Mode: ModeSharedKey, AccountKey: "a2V5"},
	} {
		if !key.SameCredential(openWith(same)) {
			t.Errorf("%s is another credential", same.Mode)
		}
	}
	write("b3RoZXI=\n")
	for _, other := range []Credential{
		{Mode: ModeSharedKey, SecretFile: file},
		{Mode: ModeSharedKey, AccountKey: "a2V5", AccountName: "b"},
		{Mode: ModeSAS, SAS: "sig=a2V5"},
		{Mode: ModeManagedIdentity},
		{Mode: ModeManagedIdentity, ClientID: "a2V5"},
	} {
		if key.SameCredential(openWith(other)) {
			t.Errorf("%s is the same credential", other.Mode)
		}
	}
}
