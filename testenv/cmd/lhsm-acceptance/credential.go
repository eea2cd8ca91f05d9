package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// A credential is how to get at the container, in the words of the copytool's
// options. Without any file it is Azure's default chain.
type credential struct {
	url, sasFile, accountName, accountKeyFile, connectionStringFile string
}

// open makes a client, and looks whether it can list the container.
func (c *credential) open(ctx context.Context) (*container.Client, error) {
	u, err := url.Parse(c.url)
	if err != nil || u.Host == "" || strings.Trim(u.Path, "/") == "" {
		return nil, fmt.Errorf("--container-url: %q is not https://ACCOUNT.blob.core.windows.net/CONTAINER", c.url)
	}
	client, err := c.client(u)
	if err != nil {
		return nil, err
	}
	one := int32(1)
	if _, err := client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{MaxResults: &one}).NextPage(ctx); err != nil {
		return nil, fmt.Errorf("list the container %s: %w", u.Redacted(), explain(err))
	}
	return client, nil
}

func (c *credential) client(u *url.URL) (*container.Client, error) {
	o := &container.ClientOptions{ClientOptions: azcore.ClientOptions{Retry: policy.RetryOptions{MaxRetries: 3}}}
	switch {
	case c.sasFile != "":
		sas, err := secretIn("--sas-file", c.sasFile)
		if err != nil {
			return nil, err
		}
		return container.NewClientWithNoCredential(c.url+"?"+strings.TrimPrefix(sas, "?"), o)
	case c.accountKeyFile != "":
		key, err := secretIn("--account-key-file", c.accountKeyFile)
		if err != nil {
			return nil, err
		}
		cred, err := container.NewSharedKeyCredential(c.account(u), key)
		if err != nil {
			return nil, errors.New("--account-key-file: the key is not base64")
		}
		return container.NewClientWithSharedKeyCredential(c.url, cred, o)
	case c.connectionStringFile != "":
		s, err := secretIn("--connection-string-file", c.connectionStringFile)
		if err != nil {
			return nil, err
		}
		return container.NewClientFromConnectionString(s, u.Path[strings.LastIndexByte(strings.TrimRight(u.Path, "/"), '/')+1:], o)
	}
	chain, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return nil, fmt.Errorf("no credential was found; give one with --sas-file, --account-key-file or --connection-string-file: %w", err)
	}
	return container.NewClient(c.url, chain, o)
}

// account is the storage account of a key: a part of the host's name, or where
// that is an address, of the path.
func (c *credential) account(u *url.URL) string {
	first, _, hasContainer := strings.Cut(strings.Trim(u.Path, "/"), "/")
	switch {
	case c.accountName != "":
		return c.accountName
	case hasContainer:
		return first
	}
	name, _, _ := strings.Cut(u.Hostname(), ".")
	return name
}

func secretIn(option, file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", option, err)
	}
	return strings.TrimSpace(string(b)), nil
}

// explain makes a line of an error of the SDK, and says what to do.
func explain(err error) error {
	var re *azcore.ResponseError
	if !errors.As(err, &re) {
		line, _, _ := strings.Cut(err.Error(), "\n")
		return errors.New(line)
	}
	remedy := ""
	switch {
	case re.ErrorCode == "ContainerNotFound":
		remedy = "; create it, or correct --container-url"
	case re.StatusCode == 401 || re.StatusCode == 403:
		remedy = "; the credential is refused, or may not list the container"
	}
	return fmt.Errorf("%s (HTTP %d)%s", re.ErrorCode, re.StatusCode, remedy)
}
