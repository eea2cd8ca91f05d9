package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lhsm-azblob/httpapi"
)

// An authority signs certificates.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, dir: t.TempDir(), key: key}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.write("ca", a.cert, key)
	return a
}

// write signs a certificate and returns the files of it and its key.
func (a *authority) write(name string, template *x509.Certificate, key *ecdsa.PrivateKey) (certFile, keyFile string) {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// issue makes a certificate of this machine, for both sides.
func (a *authority) issue(name string) (certFile, keyFile string) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write(name, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, key)
}

// open serves an API without jobs at the doors of the settings.
func openDoors(t *testing.T, s *settings) doors {
	t.Helper()
	s.stateDir = "/var/lib/lhsm-azblob"
	if err := s.complete(); err != nil {
		t.Fatal(err)
	}
	ds, err := s.open()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel) // before what waits for its effect, since the last comes first
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	for _, d := range ds {
		done := make(chan error, 1)
		go func() { done <- d.serve(ctx, httpapi.New(httpapi.Options{Log: log}), log) }()
		t.Cleanup(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	return ds
}

// TestTLS: over the network only with the right authority on both sides.
func TestTLS(t *testing.T) {
	ca, foreign := newAuthority(t), newAuthority(t)
	cert, key := ca.issue("server")
	clientCert, clientKey := ca.issue("client")
	foreignCert, foreignKey := foreign.issue("client")
	token := filepath.Join(ca.dir, "token")
	if err := os.WriteFile(token, []byte("0123456789abcdef"), 0o600); err != nil {
		t.Fatal(err)
	}
	trust := []string{"--tls-ca", filepath.Join(ca.dir, "ca.pem")}
	withToken := append([]string{"--token-file", token}, trust...)
	withCert := append([]string{"--tls-cert", clientCert, "--tls-key", clientKey}, trust...)
	withForeign := append([]string{"--tls-cert", foreignCert, "--tls-key", foreignKey}, trust...)
	tlsOnly := settings{listen: "127.0.0.1:0", tlsCert: cert, tlsKey: key}
	for name, tt := range map[string]struct {
		tokenFile, clientCAs string
		right, wrong         [][]string
	}{
		"token":        {token, "", [][]string{withToken}, [][]string{trust, withCert, {"--token-file", token}}},
		"certificate":  {"", filepath.Join(ca.dir, "ca.pem"), [][]string{withCert}, [][]string{trust, withToken, withForeign}},
		"one of these": {token, filepath.Join(ca.dir, "ca.pem"), [][]string{withToken, withCert}, [][]string{trust, withForeign}},
	} {
		s := tlsOnly
		s.tokenFile, s.clientCAs = tt.tokenFile, tt.clientCAs
		at := "https://" + openDoors(t, &s)[0].name
		// The API document is for everybody, so an operation is asked for that answers without jobs.
		ask := func(args []string) (int, string) {
			code, _, stderr := lhsmctl(t, append([]string{"explain", "", "--server", at}, args...)...)
			return code, stderr
		}
		for _, args := range tt.right {
			if code, stderr := ask(args); !strings.Contains(stderr, "path is missing") {
				t.Errorf("%s, %q: exit %d, %s", name, args, code, stderr)
			}
		}
		for _, args := range tt.wrong {
			if code, stderr := ask(args); code == 0 || strings.Contains(stderr, "path is missing") {
				t.Errorf("%s, %q was let in: exit %d, %s", name, args, code, stderr)
			}
		}
	}
}

// TestOptionsOfAll: what is for no address comes to our handler, which bounds its body;
// net/http's own answer does not.
func TestOptionsOfAll(t *testing.T) {
	d := openDoors(t, &settings{socket: filepath.Join(t.TempDir(), "ctl.sock")})[0]
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "unix", strings.TrimPrefix(d.name, "unix://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusNotFound || answer.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("%s, %v", answer.Status, answer.Header)
	}
}

// TestOldTLS is refused.
func TestOldTLS(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.issue("server")
	token := filepath.Join(ca.dir, "token")
	if err := os.WriteFile(token, []byte("0123456789abcdef"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := openDoors(t, &settings{listen: "127.0.0.1:0", tlsCert: cert, tlsKey: key, tokenFile: token})[0]
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}} //nolint:gosec // that is the test
	if conn, err := dialer.DialContext(t.Context(), "tcp", d.name); err == nil {
		conn.Close()
		t.Error("TLS 1.1 is accepted")
	}
}

// TestSocket: nobody but root without a group, and the socket of a service that
// was killed is no obstacle, while one of a living service is.
func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "ctl.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "old.sock"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dead.Addr().String(), path); err != nil {
		t.Fatal(err)
	}
	openDoors(t, &settings{socket: path})
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	if _, err := (&settings{socket: path}).open(); err == nil || !strings.Contains(err.Error(), "another service listens") {
		t.Errorf("a second service: %v", err)
	}
	if _, err := (&settings{socket: path + "2", group: "no-such-group"}).open(); err == nil || !strings.Contains(err.Error(), `no group "no-such-group"`) {
		t.Errorf("an unknown group: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (&settings{socket: file}).open(); err == nil || !strings.Contains(err.Error(), "is no socket") {
		t.Errorf("a file in the way: %v", err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Errorf("the file in the way: %q, %v", b, err)
	}
}
