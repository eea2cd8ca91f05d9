package main

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"lhsm-azblob/cmd/internal/options"
)

// settings are the options of the service as values.
type settings struct {
	mount string

	socket, group, listen                 string
	tlsCert, tlsKey, tokenFile, clientCAs string
	stateDir                              string
	scanners, maxUnfinished, keepJobs     int
	keepFor                               time.Duration
	movers                                []string
	moverTokenFile                        string
	logLevel, logFormat                   string
	check                                 bool
}

// opt is a row of the table.
func opt(name, arg, byDefault, help string, k options.Kind[settings], s options.Scope) *options.Option[settings] {
	return &options.Option[settings]{Name: name, Arg: arg, Default: byDefault, Help: help, Kind: k, Scope: s}
}

var (
	text     = options.Text[settings]
	count    = options.Count[settings]
	duration = options.Duration[settings]
	choice   = options.Choice[settings]
	toggle   = options.Toggle[settings]
)

const (
	anywhere = options.Anywhere
	oneRun   = options.OneRun
)

var table = options.Table[settings]{
	Program: programName + " serve", Prefix: "LHSMCTL_SERVE_",
	Groups: []options.Group[settings]{
		{Title: "Where it listens", Options: []*options.Option[settings]{
			opt("socket", "PATH", strings.TrimPrefix(defaultServer, "unix://"), "Unix socket; who may open it may use the service", text(func(s *settings) *string { return &s.socket }), anywhere),
			opt("group", "GROUP", "", "group that may use the socket beside root, by name or number; empty is none", text(func(s *settings) *string { return &s.group }), anywhere),
			opt("listen", "ADDRESS", "", "host:port for the web page and the API over TCP; empty is none. It needs TLS, and a token or client certificates; on a loopback address a token is enough", options.Address(func(s *settings) *string { return &s.listen }), anywhere),
			opt("tls-cert", "FILE", "", "file with the certificate for --listen and its chain, PEM", text(func(s *settings) *string { return &s.tlsCert }), anywhere),
			opt("tls-key", "FILE", "", "file with the key of --tls-cert", text(func(s *settings) *string { return &s.tlsKey }), anywhere),
			opt("token-file", "FILE", "", "file with the token that clients of --listen must know, 16 characters or more; others must not be able to read it", text(func(s *settings) *string { return &s.tokenFile }), anywhere),
			opt("client-ca", "FILE", "", "file with the authorities of client certificates that are accepted by --listen, in place of a token, PEM", text(func(s *settings) *string { return &s.clientCAs }), anywhere),
		}},
		{Title: "Jobs", Options: []*options.Option[settings]{
			opt("state-dir", "DIR", "/var/lib/lhsm-azblob", "directory on a local disk for the database of jobs, jobs-FSNAME.db", text(func(s *settings) *string { return &s.stateDir }), anywhere),
			opt("scanners", "N", "16", "files that are looked at at a time while a job looks for what it has to archive", count(func(s *settings) *int { return &s.scanners }, 1, 1000), anywhere),
			opt("max-unfinished", "N", "10000", "requests that the coordinator may have from a job and has not done; a job uses fewer as long as that keeps the copytools busy", count(func(s *settings) *int { return &s.maxUnfinished }, 1, 1000000), anywhere),
			opt("keep-jobs", "N", "1000", "jobs that are kept after their end", count(func(s *settings) *int { return &s.keepJobs }, 1, 1000000), anywhere),
			opt("keep-for", "TIME", "2160h", "time for which they are kept", duration(func(s *settings) *time.Duration { return &s.keepFor }, time.Hour, 100*365*24*time.Hour), anywhere),
		}},
		{Title: "Running", Options: []*options.Option[settings]{
			opt("mover", "URL", "", "address of a copytool's metrics, such as http://mover1:9090/metrics, for the page and for lhsmctl top; may be repeated", options.Texts(func(s *settings) *[]string { return &s.movers }, checkMover), anywhere),
			opt("mover-token-file", "FILE", "", "file with the token of the copytools' --http-token-file, so that lhsmctl top shows the paths of files", text(func(s *settings) *string { return &s.moverTokenFile }), anywhere),
			opt("log-level", "LEVEL", "info", "lines to log", choice(func(s *settings) *string { return &s.logLevel }, []string{"debug", "info", "warn", "error"}), anywhere),
			opt("log-format", "FORMAT", "text", "form of log lines, on standard error", choice(func(s *settings) *string { return &s.logFormat }, []string{"text", "json"}), anywhere),
			opt("config", "FILE", "", "configuration file (TOML); flags come before environment, environment before file, file before defaults", nil, oneRun),
			opt("check", "", "false", "check configuration, mount and database, serve nothing, and exit", toggle(func(s *settings) *bool { return &s.check }), oneRun),
			opt("print-config", "", "false", "print the configuration as it would be used, and where each value comes from, and exit", toggle(nil), oneRun),
			opt("sample-config", "", "false", "print a configuration file with every key and its default, and exit", toggle(nil), oneRun),
		}},
	},
}

const serveIntroduction = `
Works on the archive jobs of the Lustre file system mounted at MOUNT, and serves their API and web page. Jobs survive
its end, and go on when it starts again. Every option is also a key of the configuration file, with underscores
(state_dir), and a variable of the environment ($LHSMCTL_SERVE_STATE_DIR).`

func serveHelp() string {
	return table.Help(programName+" serve - the service of archive jobs", programName+" serve [options] MOUNT", serveIntroduction)
}

const sampleHead = `# Configuration of lhsmctl serve, in TOML. Every key stands here with its default.
# Options on the command line and variables of the environment ($LHSMCTL_SERVE_STATE_DIR for
# state_dir) come before this file.
`

func checkMover(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%q is no address; write it like http://mover1:9090/metrics", address)
	}
	return nil
}

// complete settles what several options decide together.
func (s *settings) complete() error {
	if s.stateDir == "" || !filepath.IsAbs(s.stateDir) {
		return options.Usagef("--state-dir: %q is not an absolute path", s.stateDir)
	}
	if (s.tlsCert == "") != (s.tlsKey == "") {
		return options.Usagef("--tls-cert and --tls-key go together; one of them is missing")
	}
	if s.listen == "" {
		if s.tlsCert+s.tokenFile+s.clientCAs != "" {
			return options.Usagef("--tls-cert, --token-file and --client-ca are for --listen, which is missing; the Unix socket goes by its permissions")
		}
		return nil
	}
	host, _, err := net.SplitHostPort(s.listen)
	switch {
	case err != nil:
		return options.Usagef("--listen: %w", err)
	case s.clientCAs != "" && s.tlsCert == "":
		return options.Usagef("--client-ca needs TLS: give --tls-cert and --tls-key")
	case s.tokenFile == "" && s.clientCAs == "":
		return options.Usagef("--listen %s would let everybody in: give --token-file, or --client-ca", s.listen)
	case s.tlsCert == "" && !isLoopback(host):
		return options.Usagef("--listen %s is reachable from other machines and would send tokens as they are: give --tls-cert and --tls-key, or listen on 127.0.0.1", s.listen)
	}
	return nil
}
