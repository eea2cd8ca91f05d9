package blobstore

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSecretFilesMustBePrivate: whatever the kind of secret, a file that others
// can read or write is refused, by whatever name.
func TestSecretFilesMustBePrivate(t *testing.T) {
	const u = "https://acct.blob.core.windows.net/data"
	path := filepath.Join(t.TempDir(), "secret")
	link := filepath.Join(t.TempDir(), "link")
	writeFile(t, path, []byte("sv=1&sig=TOPSECRET"))
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	p := newPool(t, PoolOptions{})
	for _, access := range []struct {
		mode     os.FileMode
		uid, gid int
		want     string // "": it is private
	}{
		{0o600, 0, 0, ""},
		{0o400, 0, 1001, ""},
		{0o440, 0, 0, ""}, // as some service managers give it; root's group is root
		{0o644, 0, 0, "mode 0644"},
		{0o602, 0, 0, "mode 0602"},
		{0o640, 0, 1001, "mode 0640"},
		{0o600, 1001, 0, "belongs to user 1001"},
	} {
		if err := errors.Join(os.Chown(path, access.uid, access.gid), os.Chmod(path, access.mode)); err != nil {
			t.Skip("needs root: ", err)
		}
		for _, name := range []string{path, link} {
			for _, cr := range []Credential{
				{Mode: ModeSAS, SASFile: name},
				{Mode: ModeSharedKey, SecretFile: name},
				{Mode: ModeConnectionString, SecretFile: name},
				{Mode: ModeClientSecret, TenantID: "t", ClientID: "c", SecretFile: name},
				{Mode: ModeClientCertificate, TenantID: "t", ClientID: "c", CertificateFile: name},
			} {
				_, err := Open(ContainerOptions{URL: u, Credential: cr}, p)
				refused := err != nil && strings.Contains(err.Error(), "chmod 600") || err != nil && strings.Contains(err.Error(), "chown root")
				if refused != (access.want != "") || refused && !strings.Contains(err.Error(), access.want) {
					t.Errorf("%s with mode %#o of %d:%d: %v", cr.Mode, access.mode, access.uid, access.gid, err)
				}
				if err != nil && strings.Contains(err.Error(), "TOPSECRET") {
					t.Errorf("%s: the secret is in the error: %v", cr.Mode, err)
				}
			}
		}
	}
}

func TestSecretFileSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	writeFile(t, path, make([]byte, maxSecretFile+1))
	if _, err := readSecretFile(path); err == nil || !strings.Contains(err.Error(), "larger than any secret") {
		t.Errorf("an endless secret: %v", err)
	}
}
