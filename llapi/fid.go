package llapi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A FID names a file within one Lustre file system for as long as it exists,
// whatever its path. It is comparable and can be a map key.
type FID struct {
	Seq uint64
	OID uint32
	Ver uint32
}

// fidSize is the size of struct lu_fid.
const fidSize = 16

// IsZero reports whether f is the zero FID, which names nothing.
func (f FID) IsZero() bool { return f == FID{} }

// String returns the usual text, in brackets: "[0x200000401:0x17:0x0]". As in
// Lustre a zero sequence has no "0x": the zero FID is "[0:0x0:0x0]".
func (f FID) String() string {
	b := make([]byte, 0, 44)
	b = append(b, '[')
	b = f.appendBare(b)
	return string(append(b, ']'))
}

// Bare returns the text without brackets, as used in file names.
func (f FID) Bare() string { return string(f.appendBare(make([]byte, 0, 44))) }

func (f FID) appendBare(b []byte) []byte {
	if f.Seq != 0 {
		b = append(b, "0x"...)
	}
	b = strconv.AppendUint(b, f.Seq, 16)
	b = append(b, ":0x"...)
	b = strconv.AppendUint(b, uint64(f.OID), 16)
	b = append(b, ":0x"...)
	return strconv.AppendUint(b, uint64(f.Ver), 16)
}

// MarshalText returns String, so that a FID is text in JSON and in logs.
func (f FID) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText is ParseFID.
func (f *FID) UnmarshalText(text []byte) error {
	v, err := ParseFID(string(text))
	if err == nil {
		*f = v
	}
	return err
}

// ParseFID parses a FID with or without brackets, after optional blanks. As in
// Lustre the numbers may be hexadecimal, octal or decimal.
func ParseFID(s string) (FID, error) {
	text := strings.TrimSpace(s)
	if inner, ok := strings.CutPrefix(text, "["); ok {
		if text, ok = strings.CutSuffix(inner, "]"); !ok {
			return FID{}, fmt.Errorf("parse FID %q: no closing bracket", s)
		}
	}
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return FID{}, fmt.Errorf("parse FID %q: want sequence:object:version", s)
	}
	var n [3]uint64
	for i, bits := range [3]int{64, 32, 32} {
		var err error
		if n[i], err = parseNumber(parts[i], bits); err != nil {
			return FID{}, fmt.Errorf("parse FID %q: %w", s, err)
		}
	}
	return FID{Seq: n[0], OID: uint32(n[1]), Ver: uint32(n[2])}, nil
}

// parseNumber reads what C's strtoull reads with base 0. Go would also take
// underscores, 0b and 0o.
func parseNumber(s string, bits int) (uint64, error) {
	digits, base := s, 10
	switch {
	case strings.HasPrefix(s, "0x"), strings.HasPrefix(s, "0X"):
		digits, base = s[2:], 16
	case len(s) > 1 && s[0] == '0':
		digits, base = s[1:], 8
	}
	n, err := strconv.ParseUint(digits, base, bits)
	if err != nil {
		return 0, fmt.Errorf("number %q: %w", s, errors.Unwrap(err))
	}
	return n, nil
}

// getFID decodes a struct lu_fid at the head of b, which must hold one.
func getFID(b []byte) FID {
	return FID{
		Seq: binary.NativeEndian.Uint64(b),
		OID: binary.NativeEndian.Uint32(b[8:]),
		Ver: binary.NativeEndian.Uint32(b[12:]),
	}
}

func putFID(b []byte, f FID) {
	binary.NativeEndian.PutUint64(b, f.Seq)
	binary.NativeEndian.PutUint32(b[8:], f.OID)
	binary.NativeEndian.PutUint32(b[12:], f.Ver)
}
