package mover

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
	address    = options.Address[Settings]
	choice     = options.Choice[Settings]
	count      = options.Count[Settings]
	duration   = options.Duration[Settings]
	size       = options.Size[Settings]
	sizeOrZero = options.SizeOrZero[Settings]
	text       = options.Text[Settings]
	toggle     = options.Toggle[Settings]
)

type (
	kind         = options.Kind[Settings]
	setter       = options.Setter[Settings]
	secretString = blobstore.Secret
	timeSpan     = time.Duration
)

// urlText is a URL. A credential in it will be refused, and must not be printed
// before that.
type urlText struct{ kind }

// Redact implements [options.Redactor].
func (urlText) Redact(v string) string { return blobstore.RedactURL(v) }

func secretText(field func(*Settings) *secretString) kind {
	return setter(func(s *Settings, v string) error {
		*field(s) = secretString(v)
		return nil
	})
}

// folder is a path of blob names. What an HTTP client or server would fold away must not get into one.
func folder(field func(*Settings) *string) kind {
	return setter(func(s *Settings, v string) error {
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

var retryCount = count(func(s *Settings) *int { return &s.Pool.Retries }, 0, 100)

// Allowed implements [options.Bounded].
func (retries) Allowed() string { return retryCount.(options.Bounded).Allowed() }

// Set implements the kind.
func (retries) Set(s *Settings, values []string) error {
	if err := retryCount.Set(s, values); err != nil {
		return err
	}
	if s.Pool.Retries == 0 {
		s.Pool.Retries = -1
	}
	return nil
}

// archiveIDs is the one option with several values.
type archiveIDs struct{}

// List tells the table that there may be several.
func (archiveIDs) List() bool { return true }

// Allowed implements [options.Bounded].
func (archiveIDs) Allowed() string { return fmt.Sprintf("1 to %d, or %s", math.MaxInt32, anyID) }

// anyID stands for every archive id.
const anyID = "any"

// Set implements the kind.
func (archiveIDs) Set(s *Settings, values []string) error {
	s.IDs = nil
	for _, v := range values {
		id, err := strconv.ParseUint(v, 10, 31)
		if v != anyID && (id == 0 || err != nil) {
			return fmt.Errorf("%q is neither a number from 1 to %d nor %q", v, math.MaxInt32, anyID)
		}
		s.IDs = append(s.IDs, uint32(id))
	}
	if len(s.IDs) == 0 {
		return fmt.Errorf("give an id, or %q", anyID)
	}
	return nil
}
