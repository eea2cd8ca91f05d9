package blobstore

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// endpoint is where a container is.
type endpoint struct {
	url       string // of the container, without a credential
	account   string
	container string
	secure    bool   // HTTPS
	host      string // without port
}

// parseEndpoint reads a container's URL: account in the host's name as Azure has
// it, or in the path before the container as Azurite and private clouds may.
func parseEndpoint(raw string) (endpoint, error) {
	u, err := url.Parse(strings.TrimRight(raw, "/"))
	if err != nil {
		return endpoint{}, errors.New("not a URL") // the text of err might show a SAS
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "":
		return endpoint{}, errors.New("not a URL of the form https://ACCOUNT.blob.core.windows.net/CONTAINER")
	case u.RawQuery != "":
		return endpoint{}, errors.New("URL has a query; give a SAS as a credential and not in the URL")
	case u.User != nil || u.Fragment != "":
		return endpoint{}, errors.New("URL has more than a host and a path")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return endpoint{}, errors.New("data and credentials must not leave this machine over http; use https")
	}
	e := endpoint{url: u.String(), secure: u.Scheme == "https", host: u.Hostname()}
	switch segments := strings.Split(strings.Trim(u.Path, "/"), "/"); {
	case len(segments) == 1 && segments[0] != "" && net.ParseIP(e.host) == nil:
		e.account, _, _ = strings.Cut(e.host, ".")
		e.container = segments[0]
	case len(segments) == 2:
		e.account, e.container = segments[0], segments[1]
	default:
		return endpoint{}, errors.New("URL names no container; it is the last part of the path")
	}
	return e, checkContainerName(e.container)
}

// isLoopback tells whether a host is this machine, by its name alone.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// checkContainerName refuses names that Azure would, since its own answer to
// those (a bad URL) says nothing of the name.
func checkContainerName(name string) error {
	if name == "$web" || name == "$root" {
		return nil
	}
	valid := strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" &&
		len(name) >= 3 && len(name) <= 63 &&
		name[0] != '-' && name[len(name)-1] != '-' && !strings.Contains(name, "--")
	if !valid {
		return fmt.Errorf("container name %q is not 3 to 63 lower-case letters, digits and single dashes", name)
	}
	return nil
}

// connectionString is what a connection string says, of what matters here.
type connectionString struct {
	account  string
	key      Secret
	sas      Secret
	endpoint string // of the account
}

// parseConnectionString reads NAME=VALUE pairs with semicolons between. Its
// errors do not repeat the string.
func parseConnectionString(s Secret) (connectionString, error) {
	values := map[string]string{}
	for pair := range strings.SplitSeq(string(s), ";") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return connectionString{}, errors.New("connection string is not NAME=VALUE pairs with semicolons between")
		}
		values[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	cs := connectionString{
		account:  values["accountname"],
		key:      Secret(values["accountkey"]),
		sas:      Secret(values["sharedaccesssignature"]),
		endpoint: strings.TrimRight(values["blobendpoint"], "/"),
	}
	if cs.endpoint == "" && cs.account != "" {
		cs.endpoint = fmt.Sprintf("%s://%s.blob.%s", or(values["defaultendpointsprotocol"], "https"), cs.account,
			or(values["endpointsuffix"], "core.windows.net"))
	}
	switch {
	case cs.endpoint == "":
		return connectionString{}, errors.New("connection string has neither AccountName nor BlobEndpoint")
	case cs.key == "" && cs.sas == "":
		return connectionString{}, errors.New("connection string has neither AccountKey nor SharedAccessSignature")
	}
	return cs, nil
}

// or is a, unless that is empty.
func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}
