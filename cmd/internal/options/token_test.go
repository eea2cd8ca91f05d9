package options

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadToken: a token that others know, or can guess, protects nothing.
func TestReadToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	for content, want := range map[string]string{
		"0123456789abcdef\n": "",
		"0123456789abcde":    "one word of 16 characters or more",
		"0123456789 abcdef":  "one word",
		"":                   "one word",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadToken("token-file", path); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", content, err, want)
		}
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadToken("token-file", path); err == nil || !strings.Contains(err.Error(), "everybody may read") {
		t.Errorf("a token for everybody: %v", err)
	}
}
