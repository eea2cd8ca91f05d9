package blobstore

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"lhsm-azblob/testenv/azurite"
)

// What can be wrong with a configuration, and what the operator is told.
func TestCheck(t *testing.T) {
	s := azurite.Start(t)
	u := s.NewContainer(t)
	key := testKey(t)
	closed := closedPort(t)
	ca := newTestCA(t)
	secure := ca.server(t, http.NotFoundHandler())
	sas := func(perms string, d time.Duration) Credential {
		return Credential{Mode: ModeSAS, SAS: newSASFor(t, u, perms, time.Now().Add(d))}
	}
	for _, tt := range []struct {
		name string
		o    ContainerOptions
		kind error
		says []string
	}{
		{"fine", ContainerOptions{URL: u, Credential: key}, nil, nil},
		{"wrong key", ContainerOptions{URL: u, Credential: Credential{Mode: ModeSharedKey, AccountKey: "a2V5"}}, ErrPermission, []string{"AuthorizationFailure", "check that the key"}},
		{"expired SAS", ContainerOptions{URL: u, Credential: sas(allPerms, -time.Minute)}, ErrPermission, []string{"expired at"}},
		{"SAS cannot list", ContainerOptions{URL: u, Credential: sas("racwd", time.Hour)}, ErrPermission, []string{"listed", "grants"}},
		{"SAS cannot write", ContainerOptions{URL: u, Credential: sas("rld", time.Hour)}, ErrPermission, []string{"written", "grants"}},
		{"SAS cannot delete", ContainerOptions{URL: u, Credential: sas("racwl", time.Hour)}, ErrPermission, []string{"deleted", "grants"}},
		{"SAS cannot read", ContainerOptions{URL: u, Credential: sas("acwdl", time.Hour)}, ErrPermission, []string{"read", "grants"}},
		{"container missing", ContainerOptions{URL: u + "-missing", Credential: key}, ErrNoContainer, []string{"-missing", "create the container"}},
		{"nothing listens", ContainerOptions{URL: closed + "/account/data", Credential: key}, ErrUnreachable, []string{"refused", "nothing listens"}},
		{"nothing listens, SAS", ContainerOptions{URL: closed + "/account/data", Credential: sas(allPerms, time.Hour)}, ErrUnreachable, []string{"cannot reach 127.0.0.1"}},
		{"name unknown", ContainerOptions{URL: "https://account.invalid/data", Credential: key}, ErrUnreachable, []string{"account.invalid", "resolve"}},
		{"certificate not trusted", ContainerOptions{URL: secure.URL + "/account/data", Credential: key}, ErrUnreachable, []string{"certificate", "authority"}},
		{"HTTPS to HTTP", ContainerOptions{URL: strings.Replace(u, "http:", "https:", 1), Credential: key}, ErrUnreachable, []string{"http or https"}},
		{"HTTP to HTTPS", ContainerOptions{URL: strings.Replace(secure.URL, "https:", "http:", 1) + "/account/data", Credential: key}, nil, []string{"HTTP 400"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := open(t, newPool(t, PoolOptions{}), tt.o)
			err := c.Check(t.Context())
			if (err != nil) != (tt.says != nil) || tt.kind != nil && !errors.Is(err, tt.kind) {
				t.Errorf("error is %v, want %v", err, tt.kind)
			}
			for _, say := range tt.says {
				if err != nil && !strings.Contains(err.Error(), say) {
					t.Errorf("error does not say %q: %v", say, err)
				}
			}
			if err != nil && (strings.ContainsAny(err.Error(), "\r\n") || strings.Contains(err.Error(), "sig=")) {
				t.Errorf("error is %q", err)
			}
		})
	}
	for info, err := range open(t, newPool(t, PoolOptions{}), ContainerOptions{URL: u, Credential: key}).List(t.Context(), "") {
		t.Errorf("the checks left %q behind, %v", info.Name, err)
	}
}

// What Azurite cannot be brought to answer.
func TestHintsForAnswers(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	for code, tt := range map[string]struct {
		status int
		kind   error
		says   string
	}{
		"AccountIsDisabled":                  {403, ErrPermission, "is disabled; have it enabled"},
		"KeyBasedAuthenticationNotPermitted": {403, ErrPermission, "does not allow keys"},
		"AuthorizationSourceIPMismatch":      {403, ErrPermission, "network rules"},
		"BlobArchived":                       {409, ErrArchivedTier, "BlobArchived"},
		"BlobImmutableDueToPolicy":           {409, ErrImmutable, "BlobImmutableDueToPolicy"},
		"BlobImmutableDueToLegalHold":        {409, ErrImmutable, ""},
		"LeaseIdMissing":                     {412, ErrLeased, ""},
		"ContainerBeingDeleted":              {409, ErrNoContainer, "create the container"},
		"SomethingNew":                       {403, ErrPermission, "SomethingNew"},
		"":                                   {404, ErrRefused, "no error code (HTTP 404)"},
		"ResourceNotFound":                   {404, ErrRefused, "ResourceNotFound"},
		"RequestBodyTooLarge":                {413, ErrRefused, "lower the block size"},
		"BlockCountExceedsLimit":             {409, ErrRefused, "blocks of uploads that failed fill the name"},
	} {
		inject(c.pool, func(_ int, req *http.Request, _ http.RoundTripper) (*http.Response, error) {
			return answer(req, tt.status, code), nil
		})
		_, err := c.Stat(t.Context(), "a")
		var e *Error
		if !errors.As(err, &e) || !errors.Is(e.Kind, tt.kind) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", code, err)
		}
		if errors.Is(err, ErrNotFound) {
			t.Errorf("%s counts as a missing blob", code)
		}
		c.pool.transport = c.pool.transport.(*faults).real
	}
}

// closedPort is the URL of a port of this machine where nothing listens.
func closedPort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}
