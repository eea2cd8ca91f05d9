package blobstore

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
)

// sasToken is a shared access signature: fixed, or the content of a file that
// somebody replaces before it expires. The file is looked at again at most once
// a second, and at once when the service refuses the token.
type sasToken struct {
	file string // empty: fixed
	log  *slog.Logger

	mu      sync.Mutex // guards what follows
	query   string     // without question mark
	seen    os.FileInfo
	checked time.Time
}

// sasLookInterval is the shortest time between two looks at the file.
const sasLookInterval = time.Second

// newSAS makes a token from a string or from a file.
func newSAS(token Secret, file string, log *slog.Logger) (*sasToken, error) {
	s := &sasToken{file: file, log: log}
	if file == "" {
		query, err := parseSAS(string(token))
		s.query = query
		return s, err
	}
	return s, s.load()
}

// current is the token to use now.
func (s *sasToken) current() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != "" && time.Since(s.checked) >= sasLookInterval {
		s.reload()
	}
	return s.query
}

// refused is the token to use after the service has refused one: another, if
// the file has changed since.
func (s *sasToken) refused(query string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != "" && s.query == query {
		s.reload()
	}
	return s.query
}

// reload reads the file if it has changed. A file that is missing or makes no
// sense, perhaps half-written, leaves the token as it was. Called with mu held.
func (s *sasToken) reload() {
	s.checked = time.Now()
	info, err := os.Stat(s.file)
	if err == nil && sameFile(info, s.seen) {
		return
	}
	if err == nil {
		err = s.load()
	}
	if err != nil {
		s.log.Warn("cannot read the SAS again, going on with the old one", "file", s.file, "err", err)
	}
}

// load reads the file. Called with mu held, or before the token is shared.
func (s *sasToken) load() error {
	s.checked = time.Now()
	// Before reading: a change after this shows as a change.
	info, err := os.Stat(s.file)
	if err != nil {
		return fmt.Errorf("read SAS: %w", err)
	}
	text, err := readSecretFile(s.file)
	if err != nil {
		return fmt.Errorf("read SAS: %w", err)
	}
	query, err := parseSAS(string(text))
	if err != nil {
		return fmt.Errorf("read SAS from %s: %w", s.file, err)
	}
	s.query, s.seen = query, info
	return nil
}

func sameFile(a, b os.FileInfo) bool {
	return b != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// parseSAS takes a token as people have it: with or without the question mark,
// or at the end of a whole URL. Its errors do not repeat it.
func parseSAS(text string) (query string, err error) {
	query = strings.TrimSpace(text)
	if _, after, ok := strings.Cut(query, "?"); ok {
		query = after
	}
	if query == "" {
		return "", errors.New("empty, and not a shared access signature")
	}
	values, err := url.ParseQuery(query)
	if err != nil || values.Get("sig") == "" {
		return "", errors.New("not a shared access signature: it has no sig=")
	}
	return query, nil
}

// expiry is when the token ends; ok is false for one whose end is in a stored
// access policy at the service.
func (s *sasToken) expiry() (end time.Time, ok bool) {
	values, err := url.ParseQuery(s.current())
	if err != nil {
		return time.Time{}, false
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z", time.DateOnly} {
		if end, err := time.Parse(layout, values.Get("se")); err == nil {
			return end, true
		}
	}
	return time.Time{}, false
}

// sasPolicy signs each try of a request with the token of the moment.
type sasPolicy struct{ sas *sasToken }

// Do implements policy.Policy.
func (p sasPolicy) Do(req *policy.Request) (*http.Response, error) {
	query := req.Raw().URL.RawQuery
	token := p.sas.current()
	resp, err := p.send(req, query, token)
	if err != nil || resp.StatusCode != http.StatusForbidden {
		return resp, err
	}
	fresh := p.sas.refused(token)
	if fresh == token {
		return resp, nil
	}
	runtime.Drain(resp)
	if err := req.RewindBody(); err != nil {
		return nil, err
	}
	return p.send(req, query, fresh)
}

func (p sasPolicy) send(req *policy.Request, query, token string) (*http.Response, error) {
	if query != "" {
		query += "&"
	}
	req.Raw().URL.RawQuery = query + token
	return req.Next()
}
