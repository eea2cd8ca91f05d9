package blobstore

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// Mode is a way to authenticate.
type Mode string

// The modes. Each says which fields of a [Credential] it uses.
const (
	ModeDefault           Mode = "default"            // azidentity's chain: environment, workload identity, managed identity, Azure CLI. TenantID
	ModeManagedIdentity   Mode = "managed-identity"   // ClientID of a user-assigned one; empty: the machine's own
	ModeWorkloadIdentity  Mode = "workload-identity"  // ClientID, TenantID; empty: from the environment, as Kubernetes sets it
	ModeClientSecret      Mode = "client-secret"      // TenantID, ClientID, Secret or SecretFile
	ModeClientCertificate Mode = "client-certificate" // TenantID, ClientID, CertificateFile; Secret or SecretFile is its password
	ModeSAS               Mode = "sas"                // SAS, or SASFile, which is read again when it changes
	ModeSharedKey         Mode = "shared-key"         // AccountKey or SecretFile; AccountName, empty: from the URL
	ModeConnectionString  Mode = "connection-string"  // ConnectionString or SecretFile
)

// Modes lists all modes.
var Modes = []Mode{
	ModeDefault, ModeManagedIdentity, ModeWorkloadIdentity, ModeClientSecret,
	ModeClientCertificate, ModeSAS, ModeSharedKey, ModeConnectionString,
}

// Credential says how to authenticate. An empty Mode is [ModeDefault].
type Credential struct {
	Mode             Mode
	ClientID         string
	TenantID         string
	Secret           Secret
	SecretFile       string // file with the secret of the mode; read once
	CertificateFile  string // PEM or PKCS#12, with the private key
	SASFile          string
	SAS              Secret
	AccountKey       Secret
	ConnectionString Secret
	AccountName      string
	AuthorityHost    string // URL of the identity service; empty: of the endpoint's cloud, or $AZURE_AUTHORITY_HOST
}

// resolve reads the secret file, and turns a connection string into what it
// stands for. With one, url may be the name of the container alone.
func (cr Credential) resolve(url string) (Credential, string, error) {
	if cr.Mode == "" {
		cr.Mode = ModeDefault
	}
	if err := cr.readSecret(); err != nil || cr.Mode != ModeConnectionString {
		return cr, url, err
	}
	cs, err := parseConnectionString(cr.ConnectionString)
	if err != nil {
		return cr, url, err
	}
	if !strings.Contains(url, "://") {
		url = cs.endpoint + "/" + strings.Trim(url, "/")
	}
	if cs.key != "" {
		return Credential{Mode: ModeSharedKey, AccountName: cs.account, AccountKey: cs.key}, url, nil
	}
	return Credential{Mode: ModeSAS, SAS: cs.sas}, url, nil
}

// readSecret puts the content of SecretFile where the mode wants it.
func (cr *Credential) readSecret() error {
	if cr.SecretFile == "" {
		return nil
	}
	text, err := readSecretFile(cr.SecretFile)
	if err != nil {
		return fmt.Errorf("read the secret: %w", err)
	}
	secret := Secret(strings.TrimSpace(string(text)))
	switch cr.Mode {
	case ModeSharedKey:
		cr.AccountKey = secret
	case ModeConnectionString:
		cr.ConnectionString = secret
	default:
		cr.Secret = secret
	}
	return nil
}

// token makes the credential of the modes that get tokens from an identity
// service.
func (cr Credential) token(e endpoint, p *Pool) (azcore.TokenCredential, error) {
	if !e.secure { // not even to this machine, where Azurite would refuse it
		return nil, errors.New("an identity's token must not be sent over http; use https")
	}
	o := azcore.ClientOptions{
		Cloud:     cr.cloud(e),
		Transport: &http.Client{Transport: p.transport, CheckRedirect: noRedirect},
	}
	private := cr.AuthorityHost != "" // one that Microsoft's directory does not list
	switch cr.Mode {
	case ModeDefault:
		return azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{
			ClientOptions: o, TenantID: cr.TenantID, DisableInstanceDiscovery: private,
		})
	case ModeManagedIdentity:
		mi := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: o}
		if cr.ClientID != "" {
			mi.ID = azidentity.ClientID(cr.ClientID)
		}
		return azidentity.NewManagedIdentityCredential(mi)
	case ModeWorkloadIdentity:
		return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
			ClientOptions: o, ClientID: cr.ClientID, TenantID: cr.TenantID, DisableInstanceDiscovery: private,
		})
	case ModeClientSecret:
		return azidentity.NewClientSecretCredential(cr.TenantID, cr.ClientID, string(cr.Secret),
			&azidentity.ClientSecretCredentialOptions{ClientOptions: o, DisableInstanceDiscovery: private})
	case ModeClientCertificate:
		return cr.certificate(o, private)
	}
	return nil, fmt.Errorf("unknown authentication mode %q", cr.Mode)
}

func (cr Credential) certificate(o azcore.ClientOptions, private bool) (azcore.TokenCredential, error) {
	pem, err := readSecretFile(cr.CertificateFile)
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	certs, key, err := azidentity.ParseCertificates(pem, []byte(cr.Secret))
	if err != nil {
		return nil, fmt.Errorf("read the certificate %s: %w", cr.CertificateFile, err)
	}
	return azidentity.NewClientCertificateCredential(cr.TenantID, cr.ClientID, certs, key,
		&azidentity.ClientCertificateCredentialOptions{ClientOptions: o, DisableInstanceDiscovery: private})
}

// cloud finds the identity service that goes with a storage endpoint. An empty
// result leaves it to azidentity, which looks at $AZURE_AUTHORITY_HOST.
func (cr Credential) cloud(e endpoint) cloud.Configuration {
	switch {
	case cr.AuthorityHost != "":
		return cloud.Configuration{ActiveDirectoryAuthorityHost: cr.AuthorityHost}
	case strings.HasSuffix(e.host, ".core.chinacloudapi.cn"):
		return cloud.AzureChina
	case strings.HasSuffix(e.host, ".core.usgovcloudapi.net"):
		return cloud.AzureGovernment
	}
	return cloud.Configuration{}
}
