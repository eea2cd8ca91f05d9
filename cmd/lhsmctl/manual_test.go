package main

import (
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"lhsm-azblob/testenv"
)

// TestManualHasEveryCommand: with its help, and each of its flags with its own.
func TestManualHasEveryCommand(t *testing.T) {
	date = "2026-01-02"
	code, stdout, stderr := lhsmctl(t, "manual")
	if code != exitOK {
		t.Fatalf("exit %d, %q", code, stderr)
	}
	page := testenv.ReadManual(t, stdout)
	app := (&program{}).app()
	for _, c := range leavesOf("", app.Commands) {
		for _, text := range []string{programName + " " + c.words, c.words + " " + c.Usage, c.ArgsUsage} {
			if !strings.Contains(page, strings.ReplaceAll(text, "…", "...")) {
				t.Errorf("no %q in\n%s", text, page)
			}
		}
		for _, f := range c.Flags {
			usage := strings.ReplaceAll(f.(cli.DocGenerationFlag).GetUsage(), "`", "")
			if name := strings.Join(dashed(f.Names()), ", "); usage == "" || !strings.Contains(page, name+" ") || !strings.Contains(page, usage) {
				t.Errorf("%s: %s is not explained as %q", c.words, name, usage)
			}
		}
	}
	for o := range table.All() {
		if !strings.Contains(page, "--"+o.Name+" ") || !strings.Contains(page, o.Help) {
			t.Errorf("--%s of the service is not explained", o.Name)
		}
	}
}
