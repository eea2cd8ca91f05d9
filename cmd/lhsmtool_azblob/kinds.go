package main

import (
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"lhsm-azblob/blobstore"
)

// A kind reads the values of an option into the settings.
type kind interface {
	set(s *settings, values []string) error
}

// setter is a kind with one value.
type setter func(s *settings, value string) error

func (f setter) set(s *settings, values []string) error {
	if len(values) != 1 {
		return fmt.Errorf("%d values, and one is wanted", len(values))
	}
	return f(s, values[0])
}

type (
	secretString = blobstore.Secret
	timeSpan     = time.Duration
)

func text(field func(*settings) *string) kind {
	return setter(func(s *settings, v string) error {
		*field(s) = v
		return nil
	})
}

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

// address is a host and a port to listen on.
func address(field func(*settings) *string) kind {
	return setter(func(s *settings, v string) error {
		if _, _, err := net.SplitHostPort(v); err != nil && v != "" {
			return fmt.Errorf("%q is not host:port; write it like 127.0.0.1:9090 or :9090", v)
		}
		*field(s) = v
		return nil
	})
}

// choice takes an empty value where that is the default.
func choice(field func(*settings) *string, allowed []string) kind {
	return setter(func(s *settings, v string) error {
		i := slices.IndexFunc(allowed, func(a string) bool { return strings.EqualFold(a, v) })
		if i < 0 && v != "" {
			return fmt.Errorf("%q is none of %s", v, strings.Join(allowed, ", "))
		}
		if i >= 0 {
			v = allowed[i]
		}
		*field(s) = v
		return nil
	})
}

func count(field func(*settings) *int, least, most int) kind {
	return setter(func(s *settings, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < least || n > most {
			return fmt.Errorf("%q is not a number from %d to %d", v, least, most)
		}
		*field(s) = n
		return nil
	})
}

// retries is a count, of which a pool wants none as a negative number.
type retries struct{}

func (retries) set(s *settings, values []string) error {
	if err := count(func(s *settings) *int { return &s.pool.Retries }, 0, 100).set(s, values); err != nil {
		return err
	}
	if s.pool.Retries == 0 {
		s.pool.Retries = -1
	}
	return nil
}

func size(field func(*settings) *int64, least, most int64) kind {
	return setter(func(s *settings, v string) error {
		n, err := parseSize(v)
		if err != nil {
			return err
		}
		if n < least || n > most {
			return fmt.Errorf("%s is out of range: %s to %s", v, formatSize(least), formatSize(most))
		}
		*field(s) = n
		return nil
	})
}

// sizeOrZero is for sizes of which 0 has a meaning of its own.
func sizeOrZero(field func(*settings) *int64, least, most int64) kind {
	return setter(func(s *settings, v string) error {
		if v == "0" {
			*field(s) = 0
			return nil
		}
		return size(field, least, most).set(s, []string{v})
	})
}

func duration(field func(*settings) *timeSpan, least, most time.Duration) kind {
	return setter(func(s *settings, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil {
			return fmt.Errorf("%q is not a time; write it like 90s, 5m or 1h30m", v)
		}
		if d < least || d > most {
			return fmt.Errorf("%s is out of range: %s to %s", v, least, most)
		}
		*field(s) = d
		return nil
	})
}

// toggle without a field is for a switch that is looked up by name.
func toggle(field func(*settings) *bool) kind {
	return setter(func(s *settings, v string) error {
		b, err := strconv.ParseBool(v)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", v)
		}
		if field != nil {
			*field(s) = b
		}
		return nil
	})
}

// archiveIDs is the one option with several values.
type archiveIDs struct{}

// anyID stands for every archive id.
const anyID = "any"

func (archiveIDs) set(s *settings, values []string) error {
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

// units are what a size may end with. Longer ones come first.
var units = []struct {
	suffix string
	bytes  float64
}{
	{"kib", 1 << 10},
	{"mib", 1 << 20},
	{"gib", 1 << 30},
	{"tib", 1 << 40},
	{"kb", 1e3},
	{"mb", 1e6},
	{"gb", 1e9},
	{"tb", 1e12},
	{"k", 1 << 10},
	{"m", 1 << 20},
	{"g", 1 << 30},
	{"t", 1 << 40},
	{"b", 1},
}

// parseSize reads a number of bytes: 4096, 8MiB, 1.5 GiB, 2TB. KB, MB, GB and
// TB are powers of ten; K, M, G and T alone are powers of two.
func parseSize(v string) (int64, error) {
	number, unit := strings.ToLower(strings.TrimSpace(v)), 1.0
	for _, u := range units {
		if rest, ok := strings.CutSuffix(number, u.suffix); ok {
			number, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n < 0 || math.IsNaN(n) {
		return 0, fmt.Errorf("%q is not a size; write bytes, or a number with KiB, MiB, GiB, TiB, KB, MB, GB or TB", v)
	}
	if n*unit >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is larger than any size can be", v)
	}
	return int64(n * unit), nil
}

func formatSize(n int64) string {
	for _, u := range []struct {
		suffix string
		shift  int
	}{{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}} {
		if n >= 1<<u.shift && n%(1<<u.shift) == 0 {
			return strconv.FormatInt(n>>u.shift, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}
