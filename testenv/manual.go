package testenv

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// struck is how formatters set bold and underlined letters for old printers.
var struck = regexp.MustCompile(".\x08")

// ReadManual is a manual page as readers see it, in one line with single spaces
// between words. What the formatters warn of fails the test. It skips where
// there is no mandoc; groff's opinion is asked where that is.
func ReadManual(t testing.TB, page string) string {
	t.Helper()
	if _, err := exec.LookPath("mandoc"); err != nil {
		t.Skip("no mandoc on this machine")
	}
	if out := format(t, page, "mandoc", "-T", "lint", "-W", "warning"); out != "" {
		t.Errorf("mandoc: %s", out)
	}
	if _, err := exec.LookPath("groff"); err == nil {
		if out := format(t, page, "groff", "-man", "-ww", "-z"); out != "" {
			t.Errorf("groff: %s", out)
		}
	}
	text := format(t, page, "mandoc", "-T", "ascii", "-O", "width=1000")
	return strings.Join(strings.Fields(struck.ReplaceAllString(text, "")), " ")
}

// format is all that a formatter says of a page.
func format(t testing.TB, page string, command ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Stdin = strings.NewReader(page)
	out, err := cmd.CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Fatalf("%q: %v", command, err)
	}
	return string(out)
}
