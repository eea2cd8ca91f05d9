package mover

import (
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/cmd/internal/options"
)

type (
	option = options.Option[Settings]
	group  = options.Group[Settings]
)

// opt is a row of the table.
func opt(name, arg, byDefault, help string, k kind, s options.Scope) *option {
	return &option{Name: name, Arg: arg, Default: byDefault, Help: help, Kind: k, Scope: s}
}

// live marks what the copytool takes over from a changed configuration while it runs.
func live(o *option) *option {
	o.Live = true
	return o
}

// Where an option may be given.
const (
	anywhere   = options.Anywhere
	perArchive = options.PerTable
	secret     = options.Secret
	oneRun     = options.OneRun
)

// The most that can be asked for. A file system that hangs holds a thread for each
// action that runs and two for each transfer, and Go ends a program at 10,000.
const (
	mostActions   = 2000 // of a kind
	mostTransfers = 1000
)

// ManualSections are the pages of the manual that are about the copytool.
var ManualSections = []string{"8", "5"}

// discard is for options that are looked at before there are settings.
func discard(*Settings) *string { return new(string) }

// Table has all options. The defaults suit a data mover with 16 cores and a
// 25 Gb/s interface, which 64 to 96 requests of 8 MiB keep full.
var Table = options.Table[Settings]{
	Program: Program, Prefix: "LHSM_AZBLOB_", SubTable: "archive", SubKey: "archive-id",
	CheckPrivate: blobstore.CheckPrivate,
	Groups: []group{
		{Title: "What goes where", Options: []*option{
			opt("archive-id", "ID", "1", "archive id to serve; may be repeated", archiveIDs{}, perArchive),
			opt("container-url", "URL", "", "container for the files, https://ACCOUNT.blob.core.windows.net/CONTAINER", urlText{text(func(s *Settings) *string { return &s.Container.URL })}, perArchive),
			opt("prefix", "PATH", "", "folder in the container under which all blobs are", folder(func(s *Settings) *string { return &s.Prefix }), perArchive),
			opt("access-tier", "TIER", "", "access tier of new blobs; empty is the account's default", choice(func(s *Settings) *string { return &s.Container.Tier }, tiers), perArchive),
			opt("on-conflict", "POLICY", "if-ours", "what to do with a blob that has a new file's name: replace what this file system wrote (if-ours), anything (overwrite), nothing (fail)", choice(func(s *Settings) *string { return &s.Conflict }, policies()), anywhere),
		}},
		{Title: "Credentials", Options: []*option{
			live(opt("auth", "MODE", "auto", "way to authenticate; auto goes by the credential that is given, and without one by Azure's default chain", choice(func(s *Settings) *string { return &s.auth }, modes()), perArchive)),
			live(opt("client-id", "ID", "", "client id of an application or a user-assigned managed identity", text(func(s *Settings) *string { return &s.Container.Credential.ClientID }), perArchive)),
			live(opt("tenant-id", "ID", "", "tenant of an application", text(func(s *Settings) *string { return &s.Container.Credential.TenantID }), perArchive)),
			live(opt("client-secret-file", "FILE", "", "file with an application's secret", text(func(s *Settings) *string { return &s.clientSecretFile }), perArchive)),
			live(opt("client-secret", "", "", "an application's secret", secretText(func(s *Settings) *secretString { return &s.clientSecret }), secret)),
			live(opt("client-certificate-file", "FILE", "", "file with an application's certificate and key, PEM or PKCS#12", text(func(s *Settings) *string { return &s.Container.Credential.CertificateFile }), perArchive)),
			live(opt("sas-file", "FILE", "", "file with a SAS token; it is read again when it changes", text(func(s *Settings) *string { return &s.Container.Credential.SASFile }), perArchive)),
			live(opt("sas", "", "", "a SAS token", secretText(func(s *Settings) *secretString { return &s.Container.Credential.SAS }), secret)),
			live(opt("account-name", "NAME", "", "storage account of a key; empty is the one in the URL", text(func(s *Settings) *string { return &s.Container.Credential.AccountName }), perArchive)),
			live(opt("account-key-file", "FILE", "", "file with a key of the storage account", text(func(s *Settings) *string { return &s.accountKeyFile }), perArchive)),
			live(opt("account-key", "", "", "a key of the storage account", secretText(func(s *Settings) *secretString { return &s.Container.Credential.AccountKey }), secret)),
			live(opt("connection-string-file", "FILE", "", "file with a connection string of the storage account", text(func(s *Settings) *string { return &s.connectionStringFile }), perArchive)),
			live(opt("connection-string", "", "", "a connection string of the storage account", secretText(func(s *Settings) *secretString { return &s.Container.Credential.ConnectionString }), secret)),
			live(opt("authority-host", "URL", "", "identity service of a sovereign cloud; empty goes by the container's URL", urlText{text(func(s *Settings) *string { return &s.Container.Credential.AuthorityHost })}, perArchive)),
		}},
		{Title: "How much at a time", Options: []*option{
			live(opt("archives", "N", "64", "archives that run at a time; a quarter of them is kept for files below 64 MiB", count(func(s *Settings) *int { return &s.Limits.Archives }, 1, mostActions), anywhere)),
			live(opt("restores", "N", "64", "restores that run at a time; a quarter of them is kept for files below 64 MiB", count(func(s *Settings) *int { return &s.Limits.Restores }, 1, mostActions), anywhere)),
			live(opt("removes", "N", "16", "removes that run at a time", count(func(s *Settings) *int { return &s.Limits.Removes }, 1, mostActions), anywhere)),
			live(opt("transfers", "N", "96", "requests to Blob storage in flight at most, all actions together; there are fewer while the processors are busy, and with a bandwidth below 64 KiB/s for each", count(func(s *Settings) *int { return &s.Pool.Transfers }, 1, mostTransfers), anywhere)),
			opt("block-size", "SIZE", "0", "bytes of a block; 0 goes by the file's size, from 8MiB", sizeOrZero(func(s *Settings) *int64 { return &s.Container.BlockSize }, 64<<10, 4000<<20), perArchive),
			opt("memory", "SIZE", "1GiB", "bytes of buffers for all transfers, and of actions that wait, 1 KiB each; the process takes up to 64 MiB besides", size(func(s *Settings) *int64 { return &s.Pool.Memory }, 64<<20, 1<<44), anywhere),
			live(opt("bandwidth", "SIZE", "0", "bytes per second, both directions together; 0 is no limit", sizeOrZero(func(s *Settings) *int64 { return &s.Pool.Bandwidth }, 64<<10, 1<<44), anywhere)),
		}},
		{Title: "When Blob storage does not answer", Options: []*option{
			opt("stall-timeout", "TIME", "60s", "time after which a request is tried again if it has moved fewer than 256 KiB and is not done", duration(func(s *Settings) *timeSpan { return &s.Pool.StallTimeout }, time.Second, time.Hour), anywhere),
			opt("retries", "N", "6", "further tries of a request that failed for a passing reason, after pauses that double from half a second: 6 take about a minute", retries{}, anywhere),
		}},
		{Title: "Running", Options: []*option{
			opt("progress-interval", "TIME", "5s", "time between two progress reports of an action", duration(func(s *Settings) *timeSpan { return &s.Progress }, 100*time.Millisecond, 10*time.Minute), anywhere),
			opt("renew-interval", "TIME", "5m", "time without any action after which the registration is renewed, so that a coordinator that forgot it gets it back; each renewal is a line in the metadata server's log", duration(func(s *Settings) *timeSpan { return &s.Renew }, 100*time.Millisecond, 24*time.Hour), anywhere),
			opt("drain-timeout", "TIME", "5m", "time that running and waiting actions have to end after the first SIGTERM; a second one ends them at once", duration(func(s *Settings) *timeSpan { return &s.Drain }, time.Second, 24*time.Hour), anywhere),
			opt("holes-after", "TIME", "1m", "time without a change after which a file's holes are no longer read; before that a file system may take fresh data for a hole; 0 never reads them", duration(func(s *Settings) *timeSpan { return &s.HolesAfter }, 0, 365*24*time.Hour), anywhere),
			opt("run-dir", "DIR", "/run/lhsm-azblob", "directory for the lock that keeps a second copytool off a mount", text(func(s *Settings) *string { return &s.RunDir }), anywhere),
			opt("state-dir", "DIR", "/var/lib/lhsm-azblob", "directory on a local disk for the journal by which the next start takes over the actions of a process that died", text(func(s *Settings) *string { return &s.StateDir }), anywhere),
			opt("http", "ADDRESS", "", "host:port for /metrics, /healthz and /status; empty is none", address(func(s *Settings) *string { return &s.HTTP }), anywhere),
			opt("http-token-file", "FILE", "", "file with a token of 16 characters or more; who shows it sees the paths of files in /status, as does who asks on this machine, and others only see their FIDs", text(func(s *Settings) *string { return &s.HTTPTokenFile }), anywhere),
			opt("trace-endpoint", "URL", "", "OpenTelemetry collector, such as http://localhost:4318, that gets a trace of each action by OTLP over HTTP, with the storage's request ids; empty is none", urlText{text(func(s *Settings) *string { return &s.TraceEndpoint })}, anywhere),
			live(opt("log-level", "LEVEL", "info", "lines to log: one per action at info, failures at warn", choice(func(s *Settings) *string { return &s.LogLevel }, []string{"debug", "info", "warn", "error"}), anywhere)),
			opt("log-format", "FORMAT", "text", "form of log lines, on standard error", choice(func(s *Settings) *string { return &s.LogFormat }, []string{"text", "json"}), anywhere),
			opt("config", "FILE", "", "configuration file (TOML); flags come before environment, environment before file, file before defaults", nil, oneRun),
			opt("check", "", "false", "check configuration, mount and containers, register nothing, and exit", toggle(func(s *Settings) *bool { return &s.Check }), oneRun),
			opt("print-config", "", "false", "print the configuration as it would be used, and where each value comes from, without secrets, and exit", toggle(nil), oneRun),
			opt("sample-config", "", "false", "print a configuration file with every key and its default, and exit", toggle(nil), oneRun),
			opt("completion", "SHELL", "", "print the script by which a shell completes our options, and exit", choice(discard, options.Shells), oneRun),
			opt("manual", "SECTION", "", "print a page of the manual, for man -l, and exit: 8 is about this program, 5 about its configuration file", choice(discard, ManualSections), oneRun),
		}},
	},
}
