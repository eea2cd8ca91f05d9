package main

import (
	"fmt"
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/cmd/internal/options"
	"lhsm-azblob/copytool"
)

// settings are the options of one run, or of one archive in it, as values.
type settings struct {
	mount    string
	check    bool
	archives []*settings // at least one; each with all fields but this

	// Of an archive.
	ids       []uint32 // 0 is any
	prefix    string
	auth      string
	container blobstore.ContainerOptions
	// Files and secrets that one field of the credential stands for.
	clientSecret                                           secretString
	clientSecretFile, accountKeyFile, connectionStringFile string

	// Of the run.
	conflict            string
	limits              copytool.Limits
	pool                blobstore.PoolOptions
	progress, drain     time.Duration
	renew               time.Duration
	runDir, stateDir    string
	http                string
	logLevel, logFormat string
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

// settingsOf reads the values. All mistakes are reported at once.
func settingsOf(v *options.Values) (*settings, error) {
	s, errs := table.Read(v.ByName)
	s.archives = []*settings{s}
	if len(v.Tables) > 0 {
		s.archives = nil
	}
	for _, archive := range v.Tables {
		one, more := table.Read(archive)
		s.archives, errs = append(s.archives, one), append(errs, more...)
	}
	for _, one := range s.archives {
		errs = append(errs, one.completeArchive())
	}
	errs = append(errs, s.distinctIDs())
	if err := options.Join(errs); err != nil {
		return nil, options.UsageError{Err: err}
	}
	return s, nil
}

// completeArchive settles what several options decide together.
func (s *settings) completeArchive() error {
	if s.container.URL == "" {
		return fmt.Errorf("the container is missing: give --container-url https://ACCOUNT.blob.core.windows.net/CONTAINER, or container_url in the configuration file")
	}
	c := &s.container.Credential
	if c.Mode = blobstore.Mode(s.auth); s.auth == authAuto {
		mode, err := s.modeByCredential()
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

// modeByCredential is what --auth auto means.
func (s *settings) modeByCredential() (blobstore.Mode, error) {
	c := s.container.Credential
	var given []blobstore.Mode
	for _, m := range []struct {
		mode  blobstore.Mode
		given bool
	}{
		{blobstore.ModeSAS, c.SAS != "" || c.SASFile != ""},
		{blobstore.ModeSharedKey, c.AccountKey != "" || s.accountKeyFile != ""},
		{blobstore.ModeConnectionString, c.ConnectionString != "" || s.connectionStringFile != ""},
		{blobstore.ModeClientCertificate, c.CertificateFile != ""},
		{blobstore.ModeClientSecret, c.CertificateFile == "" && (s.clientSecret != "" || s.clientSecretFile != "")},
	} {
		if m.given {
			given = append(given, m.mode)
		}
	}
	switch len(given) {
	case 0:
		return blobstore.ModeDefault, nil
	case 1:
		return given[0], nil
	}
	return "", fmt.Errorf("credentials of several kinds are given (%v); say with --auth which one counts", given)
}

// distinctIDs makes sure that every id leads to one container.
func (s *settings) distinctIDs() error {
	seen := map[uint32]bool{}
	for _, a := range s.archives {
		for _, id := range a.ids {
			if seen[id] {
				return fmt.Errorf("archive id %s is given twice", idText(id))
			}
			seen[id] = true
		}
	}
	return nil
}

func idText(id uint32) string {
	if id == copytool.AnyArchive {
		return anyID
	}
	return fmt.Sprint(id)
}
