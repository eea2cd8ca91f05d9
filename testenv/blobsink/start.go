package blobsink

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"testing"
	"time"
)

// Server is a sink that listens on this machine.
type Server struct {
	*Sink
	URL string // of an account; "/container/blob" comes behind it
	CA  []byte // PEM; the certificate to trust, with TLS
	l   net.Listener
}

const accountPath = "/sink"

// Listen starts to serve a sink on a port of this machine, 0 for a free one. With
// secure it serves HTTPS under a certificate made for the purpose.
func (s *Sink) Listen(port int, secure bool) (*Server, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	server := &Server{Sink: s, URL: "http://" + l.Addr().String() + accountPath, l: l}
	if secure {
		pair, ca, err := certificate()
		if err != nil {
			return nil, err
		}
		server.CA, server.URL = ca, "https://"+l.Addr().String()+accountPath
		server.l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}})
	}
	// Ends when Close closes the listener.
	go func() { _ = s.Serve(server.l) }()
	return server, nil
}

// Close ends listening; connections end when their clients close them.
func (s *Server) Close() { _ = s.l.Close() }

// Start starts a sink of the test's own, over HTTP or HTTPS.
func Start(t testing.TB, fill Fill, secure bool) *Server {
	t.Helper()
	s, err := New(fill, 0)
	if err != nil {
		t.Fatal(err)
	}
	server, err := s.Listen(0, secure)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

// certificate makes one for this machine that signs itself.
func certificate() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "blobsink"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("make a certificate: %w", err)
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, ca, nil
}
