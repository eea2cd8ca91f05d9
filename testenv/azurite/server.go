package azurite

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
)

// The account of every Azurite. The key is published in its documentation and
// protects nothing.
const (
	accountName = "devstoreaccount1"
	accountKey  = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// Server is a running Azurite.
type Server struct {
	AccountName string
	AccountKey  string
	Endpoint    string // URL of the account: http://127.0.0.1:PORT/devstoreaccount1

	p *process
}

func newServer(endpoint string, o Options, p *process) *Server {
	if o.CertFile != "" {
		endpoint = strings.Replace(endpoint, "http://", "https://", 1)
	}
	return &Server{
		AccountName: accountName,
		AccountKey:  accountKey,
		Endpoint:    endpoint + "/" + accountName,
		p:           p,
	}
}

// Stop ends the Azurite and waits until it is gone.
func (s *Server) Stop() {
	_ = s.p.proc.Kill() // may have ended by itself
	<-s.p.done
}

// Shutdown ends the Azurite after it has written what it holds to its location,
// which it otherwise does every five seconds only. Cut its clients off before, and let
// it end what they have asked, as a gate's Cut does: what it does meanwhile may be lost,
// or half of it, and while a client is connected it does not end.
func (s *Server) Shutdown() {
	_ = s.p.proc.Signal(syscall.SIGTERM) // may have ended by itself
	<-s.p.done
}

// Done is closed when the Azurite has ended.
func (s *Server) Done() <-chan struct{} { return s.p.done }

// ContainerURL is the URL of a container, without any credential. The container
// need not exist.
func (s *Server) ContainerURL(name string) string { return s.Endpoint + "/" + name }

// ConnectionString is the account's connection string, key included.
func (s *Server) ConnectionString() string {
	scheme, _, _ := strings.Cut(s.Endpoint, "://")
	return fmt.Sprintf("DefaultEndpointsProtocol=%s;AccountName=%s;AccountKey=%s;BlobEndpoint=%s;",
		scheme, s.AccountName, s.AccountKey, s.Endpoint)
}

// SAS makes a service SAS for one container: perms in Azure's letters, such as
// "racwdl", until expiry. An expiry in the past gives a token that is expired.
// The result has no leading question mark.
func (s *Server) SAS(containerName, perms string, expiry time.Time) (string, error) {
	cred, err := s.sharedKey()
	if err != nil {
		return "", err
	}
	q, err := sas.BlobSignatureValues{
		ContainerName: containerName,
		Permissions:   perms,
		// Before now, and before any expiry, also one in the past.
		StartTime:  earlier(expiry, time.Now()).Add(-24 * time.Hour).UTC(),
		ExpiryTime: expiry.UTC(),
		Protocol:   sas.ProtocolHTTPSandHTTP,
	}.SignWithSharedKey(cred)
	if err != nil {
		return "", fmt.Errorf("make SAS: %w", err)
	}
	return q.Encode(), nil
}

// CreateContainer creates a container if it is not there and returns its URL.
// An Azurite with a certificate of its own needs a client that trusts it.
func (s *Server) CreateContainer(ctx context.Context, name string, client ...*http.Client) (string, error) {
	cred, err := s.sharedKey()
	if err != nil {
		return "", err
	}
	opts := &container.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: append(client, http.DefaultClient)[0],
		Telemetry: policy.TelemetryOptions{Disabled: true},
	}}
	c, err := container.NewClientWithSharedKeyCredential(s.ContainerURL(name), cred, opts)
	if err != nil {
		return "", fmt.Errorf("create container %s: %w", name, err)
	}
	_, err = c.Create(ctx, nil)
	if err != nil && !bloberror.HasCode(err, bloberror.ContainerAlreadyExists) {
		return "", fmt.Errorf("create container %s: %w", name, err)
	}
	return s.ContainerURL(name), nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (s *Server) sharedKey() (*container.SharedKeyCredential, error) {
	return container.NewSharedKeyCredential(s.AccountName, s.AccountKey)
}

// randomName is a container name that nobody else uses.
func randomName() string { return "test-" + strings.ToLower(rand.Text()) }
