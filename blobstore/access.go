package blobstore

import (
	"crypto/sha256"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// access is how requests are authorised: the SDK's client, and what must be known
// of its credential. It never changes; a container gets another one.
type access struct {
	client *container.Client
	mode   Mode
	sas    *sasToken         // nil: another mode
	mark   [sha256.Size]byte // of the credential, to know it again
}

// client is the SDK's client of the moment. Each request asks for it, so that a
// transfer that runs for hours does not go on with a credential of yesterday.
func (c *Container) client() *container.Client { return c.access.Load().client }

// SameCredential reports whether other was opened with the credential that c has
// now: a secret or a certificate that was changed in its file is another one.
func (c *Container) SameCredential(other *Container) bool {
	return c.access.Load().mark == other.access.Load().mark
}

// TakeCredential makes c authorise with what other was opened with, from the next
// request on, also those of transfers under way. Both must be of one URL.
func (c *Container) TakeCredential(other *Container) { c.access.Store(other.access.Load()) }

// connect makes the SDK's client.
func (c *Container) connect(cr Credential) (*access, error) {
	mark, err := cr.mark()
	if err != nil {
		return nil, err
	}
	a := &access{mode: cr.Mode, mark: mark}
	o := &container.ClientOptions{ClientOptions: c.pool.clientOptions()}
	switch cr.Mode {
	case ModeSAS:
		if a.sas, err = newSAS(cr.SAS, cr.SASFile, c.pool.options.Logger); err != nil {
			return nil, err
		}
		o.PerRetryPolicies = append(o.PerRetryPolicies, sasPolicy{a.sas})
		a.client, err = container.NewClientWithNoCredential(c.url, o)
	case ModeSharedKey:
		key, kerr := container.NewSharedKeyCredential(or(cr.AccountName, c.account), string(cr.AccountKey))
		if kerr != nil {
			return nil, fmt.Errorf("account key: %w", kerr)
		}
		a.client, err = container.NewClientWithSharedKeyCredential(c.url, key, o)
	default:
		token, terr := cr.token(c.endpoint, c.pool)
		if terr != nil {
			return nil, terr
		}
		a.client, err = container.NewClient(c.url, token, o)
	}
	return a, err
}

// mark is what tells a credential from another one. What is in the file of a SAS
// does not count: it is read again when it changes.
func (cr Credential) mark() (mark [sha256.Size]byte, err error) {
	var certificate []byte
	if cr.CertificateFile != "" {
		if certificate, err = readSecretFile(cr.CertificateFile); err != nil {
			return mark, fmt.Errorf("read the certificate: %w", err)
		}
	}
	h := sha256.New()
	for _, text := range []string{
		string(cr.Mode), cr.ClientID, cr.TenantID, string(cr.Secret), string(certificate), cr.SASFile, string(cr.SAS),
		string(cr.AccountKey), cr.AccountName, cr.AuthorityHost,
	} {
		fmt.Fprintf(h, "%d:%s", len(text), text)
	}
	h.Sum(mark[:0])
	return mark, nil
}
