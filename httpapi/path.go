package httpapi

import (
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// A path of Lustre is any bytes. JSON has only text, and an encoder would put a
// replacement character where the bytes are no UTF-8, which names another file.

// EscapePaths returns the paths as JSON can carry them. If one is no UTF-8, all
// are escaped: %XX for bytes that are no UTF-8, and for the percent sign.
func EscapePaths(paths []string) (texts []string, escaped bool) {
	for _, p := range paths {
		escaped = escaped || !utf8.ValidString(p)
	}
	if !escaped {
		return paths, false
	}
	for _, p := range paths {
		texts = append(texts, escapePath(p))
	}
	return texts, true
}

func escapePath(p string) string {
	var b strings.Builder
	for len(p) > 0 {
		r, size := utf8.DecodeRuneInString(p)
		if r == utf8.RuneError && size == 1 || r == '%' {
			fmt.Fprintf(&b, "%%%02X", p[0])
		} else {
			b.WriteString(p[:size])
		}
		p = p[size:]
	}
	return b.String()
}

// unescapePaths is the inverse, for paths in the named field.
func unescapePaths(field string, texts []string, escaped bool) ([]string, error) {
	if !escaped {
		return texts, nil
	}
	var paths []string
	for _, t := range texts {
		p, err := url.PathUnescape(t)
		if err != nil {
			return nil, invalid(field, "%q is not escaped right: %v", t, err)
		}
		paths = append(paths, p)
	}
	return paths, nil
}
