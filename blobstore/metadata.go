package blobstore

import (
	"fmt"
	"strings"
)

// checkMetadata refuses metadata that the service would, and some that would not
// come back as it was.
func checkMetadata(md map[string]string) error {
	for k, v := range md {
		if !isIdentifier(k) {
			return fmt.Errorf("metadata key %q is not letters, digits and underscores", k)
		}
		if strings.TrimSpace(v) != v || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
			return fmt.Errorf("metadata value %s=%q cannot be sent as it is", k, v)
		}
	}
	if n := metadataSize(md); n > maxMetadata {
		return &Error{Kind: ErrTooLarge, Err: fmt.Errorf("%d bytes of metadata, and Azure takes %d", n, maxMetadata)}
	}
	return nil
}

// isIdentifier reports whether k is a C# identifier, of those that are ASCII.
func isIdentifier(k string) bool {
	for i := range len(k) {
		c := k[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return k != ""
}
