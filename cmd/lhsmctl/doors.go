package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"lhsm-azblob/cmd/internal/options"
	"lhsm-azblob/httpapi"
)

// A door is a listener, and who may come in there.
type door struct {
	name     string
	listener net.Listener
	access   httpapi.Access
	tls      *tls.Config // nil: none
}

type doors []door

func (ds doors) close() {
	for _, d := range ds {
		_ = d.listener.Close() // closed already where it served
	}
}

// baseContext ends all requests with the service.
func (door) baseContext(ctx context.Context) func(net.Listener) context.Context {
	return func(net.Listener) context.Context { return ctx }
}

func (d door) listen(server *http.Server) error {
	if d.tls != nil {
		return server.ServeTLS(d.listener, "", "")
	}
	return server.Serve(d.listener)
}

// open opens the socket and, where it is wanted, the TCP port.
func (s *settings) open() (doors, error) {
	socket, err := s.openSocket()
	if err != nil || s.listen == "" {
		return socket, err
	}
	port, err := s.openPort()
	if err != nil {
		socket.close()
		return nil, err
	}
	return append(socket, port), nil
}

// checkDoors looks at all that open needs but the addresses, which a service that runs
// may have.
func (s *settings) checkDoors() error {
	if _, err := groupID(s.group); err != nil {
		return err
	}
	if _, err := tokenIn("mover-token-file", s.moverTokenFile); err != nil {
		return err
	}
	if s.listen == "" {
		return nil
	}
	return s.guard(&door{})
}

// openSocket opens the Unix socket. Its permissions are all the access control
// that there is, so nobody else can open it even for a moment.
func (s *settings) openSocket() (doors, error) {
	if s.socket == "" {
		return nil, nil
	}
	gid, err := groupID(s.group)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(s.socket), 0o755); err != nil {
		return nil, fmt.Errorf("--socket: %w", err)
	}
	if err := removeStale(s.socket); err != nil {
		return nil, err
	}
	mask := syscall.Umask(0o177)
	var lc net.ListenConfig
	listener, err := lc.Listen(context.Background(), "unix", s.socket)
	syscall.Umask(mask)
	if err != nil {
		return nil, fmt.Errorf("--socket: %w", err)
	}
	d := doors{{name: "unix://" + s.socket, listener: listener}}
	if s.group == "" {
		return d, nil
	}
	if err := errors.Join(os.Chown(s.socket, -1, gid), os.Chmod(s.socket, 0o660)); err != nil {
		d.close()
		return nil, fmt.Errorf("--group %s: %w", s.group, err)
	}
	return d, nil
}

func groupID(name string) (int, error) {
	if name == "" {
		return 0, nil
	}
	if gid, err := strconv.Atoi(name); err == nil && gid >= 0 {
		return gid, nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, fmt.Errorf("--group: there is no group %q on this machine", name)
	}
	return strconv.Atoi(g.Gid)
}

// removeStale removes the socket of a service that was killed, and of no other.
func removeStale(path string) error {
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "unix", path)
	switch {
	case err == nil:
		conn.Close()
		return fmt.Errorf("--socket: another service listens at %s; give this one a path of its own", path)
	case errors.Is(err, syscall.ECONNREFUSED):
		if st, err := os.Lstat(path); err != nil || st.Mode().Type() != os.ModeSocket {
			return fmt.Errorf("--socket: %s is there and is no socket; remove it, or give another path", path)
		}
		return os.Remove(path)
	case errors.Is(err, os.ErrNotExist):
		return nil
	}
	return fmt.Errorf("--socket: %w", err)
}

// openPort opens the TCP port. complete has seen to it that access is asked for.
func (s *settings) openPort() (door, error) {
	d := door{name: s.listen}
	err := s.guard(&d)
	if err != nil {
		return d, err
	}
	var lc net.ListenConfig
	if d.listener, err = lc.Listen(context.Background(), "tcp", s.listen); err != nil {
		return d, fmt.Errorf("--listen %s: %w; give host:port of this machine that is free", s.listen, err)
	}
	d.name = d.listener.Addr().String()
	return d, nil
}

// guard reads what decides who may come in over TCP.
func (s *settings) guard(d *door) (err error) {
	if s.tokenFile != "" {
		if d.access.Token, err = options.ReadToken("token-file", s.tokenFile); err != nil {
			return err
		}
	}
	d.access.ClientCert = s.clientCAs != ""
	d.tls, err = s.serverTLS()
	return err
}

func (s *settings) serverTLS() (*tls.Config, error) {
	if s.tlsCert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(s.tlsCert, s.tlsKey)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert and --tls-key: %w", err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if s.clientCAs == "" {
		return config, nil
	}
	if config.ClientCAs, err = readCertificates(s.clientCAs); err != nil {
		return nil, fmt.Errorf("--client-ca: %w", err)
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	if s.tokenFile != "" { // then that will do
		config.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return config, nil
}
