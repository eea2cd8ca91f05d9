package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/cmd/internal/options"
)

// The kinds of options, for our settings.
var (
	address    = options.Address[settings]
	choice     = options.Choice[settings]
	count      = options.Count[settings]
	duration   = options.Duration[settings]
	size       = options.Size[settings]
	sizeOrZero = options.SizeOrZero[settings]
	text       = options.Text[settings]
	toggle     = options.Toggle[settings]
)

type (
	kind         = options.Kind[settings]
	setter       = options.Setter[settings]
	secretString = blobstore.Secret
	timeSpan     = time.Duration
)

// urlText is a URL. A credential in it will be refused, and must not be printed
// before that.
type urlText struct{ kind }

// Redact implements [options.Redactor].
func (urlText) Redact(v string) string { return blobstore.RedactURL(v) }

func secretText(field func(*settings) *secretString) kind {
	return setter(func(s *settings, v string) error {
		*field(s) = secretString(v)
		return nil
	})
}

// folder is a path of blob names. What an HTTP client or server would fold away must not get into one.
func folder(field func(*settings) *string) kind {
	return setter(func(s *settings, v string) error {
		v = strings.Trim(v, "/")
		if v != "" {
			if _, err := blobstore.NameForPath(v); err != nil {
				return fmt.Errorf("%q is not a folder: an empty segment, . or .. is in it", v)
			}
		}
		*field(s) = v
		return nil
	})
}

// retries is a count, of which a pool wants none as a negative number.
type retries struct{}

// Set implements the kind.
func (retries) Set(s *settings, values []string) error {
	if err := count(func(s *settings) *int { return &s.pool.Retries }, 0, 100).Set(s, values); err != nil {
		return err
	}
	if s.pool.Retries == 0 {
		s.pool.Retries = -1
	}
	return nil
}

// archiveIDs is the one option with several values.
type archiveIDs struct{}

// List tells the table that there may be several.
func (archiveIDs) List() bool { return true }

// anyID stands for every archive id.
const anyID = "any"

// Set implements the kind.
func (archiveIDs) Set(s *settings, values []string) error {
	s.ids = nil
	for _, v := range values {
		id, err := strconv.ParseUint(v, 10, 31)
		if v != anyID && (id == 0 || err != nil) {
			return fmt.Errorf("%q is neither a number from 1 to %d nor %q", v, math.MaxInt32, anyID)
		}
		s.ids = append(s.ids, uint32(id))
	}
	if len(s.ids) == 0 {
		return fmt.Errorf("give an id, or %q", anyID)
	}
	return nil
}
