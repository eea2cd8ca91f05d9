package main

import (
	"strings"
	"testing"
)

func TestArrange(t *testing.T) {
	commands := (&program{}).app().Commands
	for typed, want := range map[string]string{
		"archive create /data --wait":                        "archive create --wait -- /data",
		"archive create /data /more --archive-id 3 /last":    "archive create --archive-id 3 -- /data /more /last",
		"archive create --files-from - -0":                   "archive create --files-from - -0",
		"archive create --files-from=list /x":                "archive create --files-from=list -- /x",
		"--server unix:///s archive list":                    "archive list --server unix:///s",
		"archive --output json list":                         "archive list --output json",
		"export show 7":                                      "export show -- 7",
		"archive create -- --wait":                           "archive create -- --wait",
		"archive report 7 -o list":                           "archive report -o list -- 7",
		"archive show list":                                  "archive show -- list",
		"explain archive":                                    "explain -- archive",
		"serve --socket /s /mnt --log-level debug":           "serve --socket /s --log-level debug -- /mnt",
		"archive creat /x":                                   "archive -- creat /x",
		"":                                                   "",
		"archive --generate-bash-completion":                 "archive --generate-bash-completion",
		"archive create --wait --generate-bash-completion":   "archive create --wait --generate-bash-completion",
		"archive list --output":                              "archive list --output",
		"archive create --request-id --wait /data --dry-run": "archive create --request-id --wait --dry-run -- /data",
	} {
		got := strings.Join(arrange(commands, append([]string{programName}, strings.Fields(typed)...))[1:], " ")
		if got != want {
			t.Errorf("%q becomes %q, want %q", typed, got, want)
		}
	}
}
