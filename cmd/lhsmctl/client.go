package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"lhsm-azblob/cmd/internal/options"
	"lhsm-azblob/httpapi"
)

// defaultServer is where the service listens by default.
const defaultServer = "unix:///run/lhsm-azblob/lhsmctl.sock"

// clientFlags are what every command that asks the service has.
func clientFlags() []cli.Flag {
	return append(serverFlags(), &cli.StringFlag{Name: "output", Value: "text", Usage: "`FORMAT` of what is printed: text or json"})
}

// serverFlags say where the service is, and who asks.
func serverFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "server", Value: defaultServer, EnvVars: []string{"LHSMCTL_SERVER"}, Usage: "`ADDRESS` of the service: unix:///PATH, https://HOST:PORT, or http:// on this machine"},
		&cli.StringFlag{Name: "token-file", EnvVars: []string{"LHSMCTL_TOKEN_FILE"}, Usage: "`FILE` with the service's token; none is needed on the Unix socket"},
		&cli.StringFlag{Name: "tls-ca", EnvVars: []string{"LHSMCTL_TLS_CA"}, Usage: "`FILE` with the certificates to trust, PEM, in place of the system's"},
		&cli.StringFlag{Name: "tls-cert", EnvVars: []string{"LHSMCTL_TLS_CERT"}, Usage: "`FILE` with the client's certificate, PEM"},
		&cli.StringFlag{Name: "tls-key", EnvVars: []string{"LHSMCTL_TLS_KEY"}, Usage: "`FILE` with the key of --tls-cert"},
	}
}

// A session is a command's connection with the service.
type session struct {
	*program
	ctx     context.Context
	c       *cli.Context
	server  string // as it was given
	base    string // of URLs
	token   string
	http    *http.Client
	json    bool
	waiting time.Duration // how long a service may be away while a job is watched
}

// awayTime is long enough for an update and a restart of the machine.
const awayTime = 10 * time.Minute

// connect makes a session of the flags. It does not ask the service yet.
func (p *program) connect(c *cli.Context) (*session, error) {
	s := &session{program: p, ctx: c.Context, c: c, server: c.String("server"), waiting: awayTime}
	switch format := c.String("output"); {
	case format == "json":
		s.json = true
	case format != "text" && c.IsSet("output"):
		return nil, options.Usagef("--output: %q is neither text nor json", format)
	}
	u, err := url.Parse(s.server)
	if err != nil {
		return nil, options.Usagef("--server: %w", err)
	}
	transport := &http.Transport{DisableCompression: true}
	s.http = &http.Client{Transport: transport}
	switch {
	case u.Scheme == "unix" && u.Host == "" && u.Path != "":
		s.base = "http://" + programName
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", u.Path)
		}
	case u.Scheme == "https" && u.Host != "", u.Scheme == "http" && isLoopback(u.Hostname()):
		s.base = strings.TrimRight(s.server, "/")
	case u.Scheme == "http":
		return nil, options.Usagef("--server: the token would go over the network as it is; use https://%s", u.Host)
	default:
		return nil, options.Usagef("--server: %q is none of unix:///PATH, https://HOST:PORT, http://127.0.0.1:PORT", s.server)
	}
	if transport.TLSClientConfig, err = clientTLS(c); err != nil {
		return nil, err
	}
	s.token, err = tokenIn("token-file", c.String("token-file"))
	return s, err
}

// tokenIn is the token in the file of an option, if one is given.
func tokenIn(option, file string) (string, error) {
	if file == "" {
		return "", nil
	}
	return options.ReadToken(option, file)
}

func clientTLS(c *cli.Context) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if file := c.String("tls-ca"); file != "" {
		pool, err := readCertificates(file)
		if err != nil {
			return nil, fmt.Errorf("--tls-ca: %w", err)
		}
		config.RootCAs = pool
	}
	cert, key := c.String("tls-cert"), c.String("tls-key")
	if cert == "" && key == "" {
		return config, nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert and --tls-key: %w", err)
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}

func readCertificates(file string) (*x509.CertPool, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s has no certificate in PEM form", file)
	}
	return pool, nil
}

// isLoopback tells whether only this machine can be meant.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// do sends a request. An answer that is no success is an error.
func (s *session) do(ctx context.Context, method, path string, body any, headers ...string) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(b)
	}
	request, err := http.NewRequestWithContext(ctx, method, s.base+path, content)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", programName+"/"+version)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if s.token != "" {
		request.Header.Set("Authorization", "Bearer "+s.token)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := s.http.Do(request)
	if err != nil {
		return nil, unreachable{s.explainDial(err)}
	}
	if answer.StatusCode >= http.StatusMultipleChoices {
		defer answer.Body.Close()
		return nil, s.refusal(answer)
	}
	return answer, nil
}

// explainDial says why the service cannot be reached, and what to do.
func (s *session) explainDial(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	path, isUnix := strings.CutPrefix(s.server, "unix://")
	var untrusted *tls.CertificateVerificationError
	switch {
	case isUnix && errors.Is(err, os.ErrNotExist), isUnix && errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("the service does not run: nothing listens at %s; start it (systemctl start lhsmctl-serve@MOUNT), or say with --server where it is", path)
	case isUnix && errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%s may not be used by you: be root, or in the group that lhsmctl serve --group names", path)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens at %s: start the service, or say with --server where it is", s.server)
	case errors.As(err, &untrusted):
		return fmt.Errorf("the certificate of %s is not trusted: %w; give its authority with --tls-ca", s.server, untrusted.Err)
	}
	return fmt.Errorf("reach the service at %s: %w", s.server, err)
}

// refusal reads why the service does not do what it was asked to.
func (s *session) refusal(answer *http.Response) error {
	var p httpapi.Problem
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&p); err != nil || p.Code == "" {
		return fmt.Errorf("%s answers %s, and not as lhsmctl serve does; say with --server where that is", s.server, answer.Status)
	}
	switch {
	case p.Code == httpapi.Unauthorized && s.token == "":
		p.Detail = "the service asks for a token: give the file that has it with --token-file"
	case p.Code == httpapi.Unauthorized:
		p.Detail = "the service does not know this token; give the file that has the right one with --token-file"
	case p.Field != "":
		p.Detail = p.Field + ": " + p.Detail
	}
	return &p
}

// call sends a request and reads the JSON of the answer into result.
func (s *session) call(method, path string, body, result any) error {
	answer, err := s.do(s.ctx, method, path, body)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(result); err != nil {
		return unreachable{fmt.Errorf("read the service's answer: %w", err)}
	}
	return nil
}
