package blobstore

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Name is the name of a blob within its container. It is not a path: see
// [NameForPath].
type Name string

// Azure's limits on blob names. Its "characters" are UTF-16 units.
const (
	maxNameUnits    = 1024
	maxNameSegments = 254
)

// hashMark begins the last segment of a hashed name. An escape never looks like
// it, and a path that does is escaped.
const hashMark = "%~"

// NameForPath gives the blob name for a path below the file system's root,
// written without a leading slash. Two paths never have one name.
//
// Ordinary paths are their own names. Bytes that a blob name cannot hold, or
// that tools are known to spoil, become %XX. A path whose name would be too long
// for Azure gets a hash at the end in place of the rest; then [Name.Hashed] is
// true and the path belongs into the metadata ([Attributes].Path).
//
// The error is [ErrName]: the path is empty, absolute, has an empty, "." or ".."
// segment, or a NUL.
func NameForPath(path string) (Name, error) {
	if err := checkPath(path); err != nil {
		return "", err
	}
	name := path
	if !plain(path) {
		name = escapePath(path)
	}
	if fits(name) {
		return Name(name), nil
	}
	return hashedName(name, path), nil
}

// PathForName is the inverse of [NameForPath]. The error is
// [ErrPathInMetadata] for a hashed name, and [ErrName] for a name that
// NameForPath never gives.
func PathForName(n Name) (string, error) {
	if n.Hashed() {
		return "", fmt.Errorf("path of blob %q: %w", n, ErrPathInMetadata)
	}
	path := unescape(string(n))
	// Being the only name of its path is what makes names and paths one to one.
	if back, err := NameForPath(path); err != nil || back != n {
		return "", fmt.Errorf("path of blob %q: %w", n, ErrName)
	}
	return path, nil
}

// Hashed reports whether the name holds a hash in place of the path's end.
func (n Name) Hashed() bool {
	last := string(n)[strings.LastIndexByte(string(n), '/')+1:]
	return strings.HasPrefix(last, hashMark)
}

// Check refuses a name that would be another by the time it arrives: clients,
// proxies and servers of HTTP fold "." and ".." away. NameForPath gives none such;
// names that come from elsewhere may be. The error is [ErrName].
func (n Name) Check() error {
	if n == "" || strings.IndexByte(string(n), 0) >= 0 {
		return fmt.Errorf("blob name %q: %w", n, ErrName)
	}
	for segment := range strings.SplitSeq(string(n), "/") {
		if segment == "." || segment == ".." {
			return fmt.Errorf("blob name %q: segment %q: %w", n, segment, ErrName)
		}
	}
	return nil
}

// checkPath refuses what is no path of a file below a root.
func checkPath(path string) error {
	if strings.IndexByte(path, 0) >= 0 {
		return fmt.Errorf("name for path %q: NUL byte: %w", path, ErrName)
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return fmt.Errorf("name for path %q: segment %q: %w", path, segment, ErrName)
		}
	}
	return nil
}

// plain reports, cheaply, that a path certainly needs no escape. It is the way
// of nearly all paths.
func plain(path string) bool {
	before := byte('/')
	for i := range len(path) {
		b := path[i]
		switch {
		case b < 0x20, b >= 0x7f, b == '\\', b == '%':
			return false
		case b == '/' && (before == '.' || before == ' '), b == ' ' && before == '/':
			return false
		}
		before = b
	}
	return before != '.' && before != ' '
}

// escapePath escapes each segment of a path.
func escapePath(path string) string {
	var b strings.Builder
	for i, segment := range strings.Split(path, "/") {
		if i > 0 {
			b.WriteByte('/')
		}
		escapeSegment(&b, segment)
	}
	return b.String()
}

func escapeSegment(b *strings.Builder, s string) {
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		last := i+size == len(s)
		if mustEscape(r, size, i == 0, last) || s[i] == '%' && ambiguous(s[i+1:]) {
			for _, c := range []byte(s[i : i+size]) {
				fmt.Fprintf(b, "%%%02X", c)
			}
		} else {
			b.WriteString(s[i : i+size])
		}
		i += size
	}
}

// mustEscape reports whether a character cannot stand for itself. The sets are
// fixed here and not taken from the unicode package: a name may not change with
// the version of Unicode that a release was built with.
func mustEscape(r rune, size int, first, last bool) bool {
	switch {
	case r == utf8.RuneError && size == 1: // not UTF-8
		return true
	case r < 0x20, r >= 0x7f && r < 0xa0: // controls; U+0081 is among those Azure names
		return true
	case r == '\\': // some tools make it a slash
		return true
	case r == '.': // Azure refuses it at the end of a segment
		return last
	case r == ' ': // some tools trim it
		return first || last
	case r == 0x2028, r == 0x2029, r == 0xfeff: // line separators, byte order mark: lost in XML
		return true
	case r >= 0xe000 && r <= 0xf8ff, r >= 0xf0000: // private use; U+E000 is among those Azure names
		return true
	case r >= 0xfdd0 && r <= 0xfdef, r&0xfffe == 0xfffe: // no characters
		return true
	}
	return false
}

// ambiguous reports whether what follows a % would make it the beginning of an
// escape, or of a hash.
func ambiguous(rest string) bool {
	if strings.HasPrefix(rest, hashMark[1:]) {
		return true
	}
	_, ok := escapedByte(rest)
	return ok
}

// unescape is the inverse of escapePath. Like it, it leaves a % alone that
// begins no escape of ours.
func unescape(name string) string {
	if strings.IndexByte(name, '%') < 0 {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] == '%' {
			if c, ok := escapedByte(name[i+1:]); ok {
				b.WriteByte(c)
				i += 2
				continue
			}
		}
		b.WriteByte(name[i])
	}
	return b.String()
}

// escapedByte decodes two upper-case hex digits, if they are of a byte that
// escapeSegment may escape. Not taking the others keeps names such as "100%41"
// as they are.
func escapedByte(s string) (byte, bool) {
	if len(s) < 2 {
		return 0, false
	}
	hi, ok1 := upperHex(s[0])
	lo, ok2 := upperHex(s[1])
	c := hi<<4 | lo
	if !ok1 || !ok2 {
		return 0, false
	}
	return c, c != 0 && c < 0x20 || c >= 0x7f || strings.IndexByte(`\. %`, c) >= 0
}

func upperHex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// fits reports whether Azure takes a name of this size.
func fits(name string) bool {
	return units(name) <= maxNameUnits && strings.Count(name, "/") < maxNameSegments
}

// units is the length of a string in UTF-16.
func units(s string) int {
	if len(s) <= maxNameUnits {
		return len(s) // an upper bound, and good enough below the limit
	}
	n := 0
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

// hashedName keeps the directories at the beginning of a name, as many as fit,
// and puts a hash of the whole path behind them.
func hashedName(name, path string) Name {
	sum := sha256.Sum256([]byte(path))
	tail := hashMark + hex.EncodeToString(sum[:])
	head := name
	for head != "" {
		head = head[:max(strings.LastIndexByte(head, '/'), 0)]
		if head != "" && fits(head+"/"+tail) {
			return Name(head + "/" + tail)
		}
	}
	return Name(tail)
}
