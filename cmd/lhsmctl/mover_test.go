package main

import "testing"

// TestEscapePath as systemd-escape --path has it.
func TestEscapePath(t *testing.T) {
	for path, want := range map[string]string{
		"/":              "-",
		"/mnt/lustre":    "mnt-lustre",
		"/mnt/lustre/":   "mnt-lustre",
		"/mnt//lustre-2": `mnt-lustre\x2d2`,
		"/.hidden/a.b":   `\x2ehidden-a.b`,
		"/a b/é":         `a\x20b-\xc3\xa9`,
	} {
		if got := escapePath(path); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	for name, want := range map[string]string{
		"-": "/", "mnt-lustre": "/mnt/lustre", `mnt-lustre\x2d2`: "/mnt/lustre-2", `\x2ehidden-a.b`: "/.hidden/a.b", `a\x20b-\xc3\xa9`: "/a b/é", `a\x`: `/a\x`, `a\xzz`: `/a\xzz`,
	} {
		if got := unescapePath(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}
