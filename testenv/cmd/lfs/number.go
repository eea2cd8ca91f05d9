package main

import (
	"math"
	"strconv"
	"strings"
	"syscall"

	"lhsm-azblob/llapi"
)

// strtoll is C's, for base 10: blanks, a sign, and as many digits as there
// are. rest is what follows, all of s when there was no number.
func strtoll(s string) (n int64, rest string, inRange bool) {
	digits := strings.TrimLeft(s, blanks)
	end := 0
	if end < len(digits) && (digits[end] == '+' || digits[end] == '-') {
		end++
	}
	start := end
	for end < len(digits) && digits[end] >= '0' && digits[end] <= '9' {
		end++
	}
	if end == start {
		return 0, s, true
	}
	n, err := strconv.ParseInt(strings.TrimPrefix(digits[:end], "+"), 10, 64)
	return n, digits[end:], err == nil
}

// atoi is C's: the low 32 bits of what strtoll makes of it.
func atoi(s string) int32 {
	n, _, _ := strtoll(s)
	return int32(n)
}

// parseFID is llapi_fid_parse, which minds neither what follows the FID nor a
// number that is missing, with its errors: EINVAL, or ERANGE for a number too
// large for its field.
func parseFID(s string) (llapi.FID, error) {
	s = strings.TrimLeft(strings.TrimLeft(s, blanks), "[")
	var field [3]uint64
	var outOfRange error
	for i, limit := range [3]uint64{math.MaxUint64 - 1, math.MaxUint32, math.MaxUint32} {
		n, rest := strtoull(s)
		if i < 2 && !strings.HasPrefix(rest, ":") {
			return llapi.FID{}, syscall.EINVAL
		}
		if n > limit {
			outOfRange = syscall.ERANGE
		}
		field[i] = n
		s = strings.TrimPrefix(rest, ":")
	}
	if outOfRange != nil {
		return llapi.FID{}, outOfRange
	}
	return llapi.FID{Seq: field[0], OID: uint32(field[1]), Ver: uint32(field[2])}, nil
}

// blanks are what C's isspace takes for such.
const blanks = " \t\n\v\f\r"

// strtoull is C's with base detection, without signs. A number that is too
// large is the largest, and none is 0.
func strtoull(s string) (n uint64, rest string) {
	base, digits := 10, s
	switch {
	case len(s) > 2 && (s[:2] == "0x" || s[:2] == "0X") && isDigit(s[2], 16):
		base, digits = 16, s[2:]
	case strings.HasPrefix(s, "0"):
		base = 8
	}
	end := 0
	for end < len(digits) && isDigit(digits[end], base) {
		end++
	}
	n, _ = strconv.ParseUint(digits[:end], base, 64) // an error leaves what C returns
	return n, digits[end:]
}

func isDigit(c byte, base int) bool {
	switch {
	case base == 16 && (c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'):
		return true
	case base == 8:
		return c >= '0' && c <= '7'
	}
	return c >= '0' && c <= '9'
}
