package blobstore

import (
	"net"
	"net/http"
	"net/url"
)

// proxyFor is the proxy of the environment, as for most programs. A machine's
// metadata service, which hands out the tokens of a managed identity in plain
// HTTP, is asked directly: no proxy could reach it for this machine, and it
// would see the tokens.
func proxyFor(req *http.Request) (*url.URL, error) {
	if ip := net.ParseIP(req.URL.Hostname()); ip != nil && ip.IsLinkLocalUnicast() {
		return nil, nil
	}
	return http.ProxyFromEnvironment(req)
}

// noRedirect is for clients of an identity service: what is posted there is a
// secret, and is not for whom an answer names.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
