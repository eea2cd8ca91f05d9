package options

import (
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Kind reads the values of an option into the settings. One that reads several
// also has a method List() bool.
type Kind[S any] interface {
	Set(s *S, values []string) error
}

// A Redactor is a [Kind] whose values may have something in them that must not be
// printed.
type Redactor interface {
	Redact(value string) string
}

// A Bounded is a [Kind] that says which values it takes, as in "one of a, b" or
// "1 to 100".
type Bounded interface {
	Allowed() string
}

// Allowed is a kind that takes what allowed says.
func Allowed[S any](k Kind[S], allowed string) Kind[S] { return bounded[S]{k, allowed} }

type bounded[S any] struct {
	Kind[S]
	allowed string
}

// Allowed implements [Bounded].
func (b bounded[S]) Allowed() string { return b.allowed }

// A Setter is a [Kind] with one value.
type Setter[S any] func(s *S, value string) error

// Set implements [Kind].
func (f Setter[S]) Set(s *S, values []string) error {
	if len(values) != 1 {
		return fmt.Errorf("%d values, and one is wanted", len(values))
	}
	return f(s, values[0])
}

// Text is any text.
func Text[S any](field func(*S) *string) Kind[S] {
	return Setter[S](func(s *S, v string) error {
		*field(s) = v
		return nil
	})
}

// Texts are any number of texts that check lets pass.
func Texts[S any](field func(*S) *[]string, check func(string) error) Kind[S] {
	return texts[S]{field, check}
}

type texts[S any] struct {
	field func(*S) *[]string
	check func(string) error
}

// List tells the table that there may be several.
func (texts[S]) List() bool { return true }

// Set implements [Kind]. A default of "" is none.
func (k texts[S]) Set(s *S, values []string) error {
	*k.field(s) = nil
	for _, v := range values {
		if v == "" {
			continue
		}
		if err := k.check(v); err != nil {
			return err
		}
		*k.field(s) = append(*k.field(s), v)
	}
	return nil
}

// Address is a host and a port to listen on.
func Address[S any](field func(*S) *string) Kind[S] {
	return Setter[S](func(s *S, v string) error {
		if _, _, err := net.SplitHostPort(v); err != nil && v != "" {
			return fmt.Errorf("%q is not host:port; write it like 127.0.0.1:9090 or :9090", v)
		}
		*field(s) = v
		return nil
	})
}

// Choice takes an empty value where that is the default.
func Choice[S any](field func(*S) *string, allowed []string) Kind[S] {
	return Allowed(Setter[S](func(s *S, v string) error {
		i := slices.IndexFunc(allowed, func(a string) bool { return strings.EqualFold(a, v) })
		if i < 0 && v != "" {
			return fmt.Errorf("%q is none of %s", v, strings.Join(allowed, ", "))
		}
		if i >= 0 {
			v = allowed[i]
		}
		*field(s) = v
		return nil
	}), "one of "+strings.Join(allowed, ", "))
}

// Count is a number from least to most.
func Count[S any](field func(*S) *int, least, most int) Kind[S] {
	return Allowed(Setter[S](func(s *S, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < least || n > most {
			return fmt.Errorf("%q is not a number from %d to %d", v, least, most)
		}
		*field(s) = n
		return nil
	}), fmt.Sprintf("%d to %d", least, most))
}

// Size is a number of bytes from least to most.
func Size[S any](field func(*S) *int64, least, most int64) Kind[S] {
	allowed := FormatSize(least) + " to " + FormatSize(most)
	return Allowed(Setter[S](func(s *S, v string) error {
		n, err := ParseSize(v)
		if err != nil {
			return err
		}
		if n < least || n > most {
			return fmt.Errorf("%s is out of range: %s", v, allowed)
		}
		*field(s) = n
		return nil
	}), allowed)
}

// SizeOrZero is for sizes of which 0 has a meaning of its own.
func SizeOrZero[S any](field func(*S) *int64, least, most int64) Kind[S] {
	above := Size(field, least, most)
	return Allowed(Setter[S](func(s *S, v string) error {
		if v == "0" {
			*field(s) = 0
			return nil
		}
		return above.Set(s, []string{v})
	}), "0, or "+FormatSize(least)+" to "+FormatSize(most))
}

// Duration is a time from least to most.
func Duration[S any](field func(*S) *time.Duration, least, most time.Duration) Kind[S] {
	allowed := formatDuration(least) + " to " + formatDuration(most)
	return Allowed(Setter[S](func(s *S, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil {
			return fmt.Errorf("%q is not a time; write it like 90s, 5m or 1h30m", v)
		}
		if d < least || d > most {
			return fmt.Errorf("%s is out of range: %s", v, allowed)
		}
		*field(s) = d
		return nil
	}), allowed)
}

// Toggle is a switch. Without a field it is one that is looked up by name.
func Toggle[S any](field func(*S) *bool) Kind[S] {
	return Setter[S](func(s *S, v string) error {
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

// ParseSize reads a number of bytes: 4096, 8MiB, 1.5 GiB, 2TB. KB, MB, GB and
// TB are powers of ten; K, M, G and T alone are powers of two.
func ParseSize(v string) (int64, error) {
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

// FormatSize writes a number of bytes so that [ParseSize] reads the same.
func FormatSize(n int64) string {
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

// formatDuration writes a time as people do: 1h, not 1h0m0s.
func formatDuration(d time.Duration) string {
	text := d.String()
	for _, nothing := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, nothing) {
			text = text[:len(text)-2]
		}
	}
	return text
}
