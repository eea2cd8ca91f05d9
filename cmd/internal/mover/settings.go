package mover

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/cmd/internal/options"
	"lhsm-azblob/copytool"
)

// Settings are the options of one run, or of one archive in it, as values.
type Settings struct {
	Mount    string      // the argument; no option
	Check    bool        // look at everything and serve nothing
	Archives []*Settings // at least one; each with all fields but this

	// Of an archive.
	IDs       []uint32 // [copytool.AnyArchive] is any
	Prefix    string
	Container blobstore.ContainerOptions
	auth      string
	// Files and secrets that one field of the credential stands for.
	clientSecret                                           secretString
	clientSecretFile, accountKeyFile, connectionStringFile string

	// Of the run.
	Conflict            string // a [copytool.ConflictPolicy]
	Limits              copytool.Limits
	Pool                blobstore.PoolOptions
	Progress, Drain     time.Duration
	Renew, HolesAfter   time.Duration
	RunDir, StateDir    string
	HTTP                string // address; empty: none
	HTTPTokenFile       string
	TraceEndpoint       string // URL; empty: none
	LogLevel, LogFormat string
}

var tiers = []string{"Hot", "Cool", "Cold", "Archive"}

const authAuto = "auto"

func modes() []string {
	all := []string{authAuto}
	for _, m := range []blobstore.Mode{
		blobstore.ModeDefault, blobstore.ModeManagedIdentity, blobstore.ModeWorkloadIdentity, blobstore.ModeClientSecret,
		blobstore.ModeClientCertificate, blobstore.ModeSAS, blobstore.ModeSharedKey, blobstore.ModeConnectionString,
	} {
		all = append(all, string(m))
	}
	return all
}

func policies() []string {
	var all []string
	for _, p := range copytool.ConflictPolicies {
		all = append(all, string(p))
	}
	return all
}

// SettingsOf reads the values. All mistakes are reported at once, as an
// [options.UsageError].
func SettingsOf(v *options.Values) (*Settings, error) {
	s, errs := Table.Read(v.ByName)
	s.Archives = []*Settings{s}
	if len(v.Tables) > 0 {
		s.Archives = nil
	}
	for _, archive := range v.Tables {
		one, more := Table.Read(archive)
		s.Archives, errs = append(s.Archives, one), append(errs, more...)
	}
	sources := v.Tables
	if len(sources) == 0 {
		sources = []map[string]options.Value{v.ByName}
	}
	for i, one := range s.Archives {
		errs = append(errs, one.completeArchive(sources[i]))
	}
	errs = append(errs, s.distinctIDs(sources))
	if err := options.Join(errs); err != nil {
		return nil, options.UsageError{Err: err}
	}
	return s, nil
}

// notOfContainer are options of an archive that say nothing about how its container
// is reached, and others that do.
var (
	notOfContainer = []string{"archive-id", "access-tier"}
	alsoOfPool     = []string{"memory", "bandwidth", "stall-timeout", "retries"}
)

// ContainerFlags are the copytool's options that say which container, and how to
// reach it, for whoever wants nothing else.
func ContainerFlags() []cli.Flag {
	return Table.FlagsOf(func(o *option) bool {
		ofArchive := o.Scope == perArchive && !slices.Contains(notOfContainer, o.Name)
		return ofArchive || slices.Contains(alsoOfPool, o.Name)
	})
}

// completeArchive settles what several options decide together. given is what they
// were given.
func (s *Settings) completeArchive(given map[string]options.Value) error {
	if s.Container.URL == "" {
		return fmt.Errorf("the container is missing: give --container-url https://ACCOUNT.blob.core.windows.net/CONTAINER, or container_url in the configuration file")
	}
	c := &s.Container.Credential
	if c.Mode = blobstore.Mode(s.auth); s.auth == authAuto {
		mode, err := modeByCredential(given)
		if err != nil {
			return err
		}
		c.Mode = mode
	}
	switch c.Mode {
	case blobstore.ModeClientSecret, blobstore.ModeClientCertificate:
		c.Secret, c.SecretFile = s.clientSecret, s.clientSecretFile
	case blobstore.ModeSharedKey:
		c.SecretFile = s.accountKeyFile
	case blobstore.ModeConnectionString:
		c.SecretFile = s.connectionStringFile
	}
	return nil
}

// credentials are the options that give one, by the mode that they mean.
var credentials = []struct {
	mode    blobstore.Mode
	options []string
}{
	{blobstore.ModeSAS, []string{"sas", "sas-file"}},
	{blobstore.ModeSharedKey, []string{"account-key", "account-key-file"}},
	{blobstore.ModeConnectionString, []string{"connection-string", "connection-string-file"}},
	{blobstore.ModeClientCertificate, []string{"client-certificate-file"}},
	{blobstore.ModeClientSecret, []string{"client-secret", "client-secret-file"}},
}

// modeByCredential is what --auth auto means.
func modeByCredential(given map[string]options.Value) (blobstore.Mode, error) {
	var modes []blobstore.Mode
	var origins []string
	for _, c := range credentials {
		i := slices.IndexFunc(c.options, func(name string) bool { return given[name].Texts[0] != "" })
		if i < 0 || c.mode == blobstore.ModeClientSecret && slices.Contains(modes, blobstore.ModeClientCertificate) { // whose password it is
			continue
		}
		modes, origins = append(modes, c.mode), append(origins, given[c.options[i]].Origin)
	}
	switch len(modes) {
	case 0:
		return blobstore.ModeDefault, nil
	case 1:
		return modes[0], nil
	}
	return "", fmt.Errorf("credentials of several kinds are given (%s); say with auth which one counts: %v", strings.Join(origins, ", "), modes)
}

// distinctIDs makes sure that every id leads to one container. sources are what the
// archives were given.
func (s *Settings) distinctIDs(sources []map[string]options.Value) error {
	seen := map[uint32]string{}
	for i, a := range s.Archives {
		origin := cmp.Or(sources[i]["archive-id"].Origin, "default")
		for _, id := range a.IDs {
			if first, ok := seen[id]; ok {
				return fmt.Errorf("archive id %s is given twice: %s, %s", IDText(id), first, origin)
			}
			seen[id] = origin
		}
	}
	return nil
}

// IDText is an archive id as the option has it.
func IDText(id uint32) string {
	if id == copytool.AnyArchive {
		return anyID
	}
	return fmt.Sprint(id)
}
