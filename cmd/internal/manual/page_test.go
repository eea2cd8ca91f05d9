package manual

import (
	"strings"
	"testing"

	"lhsm-azblob/testenv"
)

// TestPage: a formatter shows every text as it was given, whatever is in it.
func TestPage(t *testing.T) {
	const hostile = `.SH is \fBno\fR macro: 'x' "y" ` + "`z`" + ` ~/a ^b -- \n …`
	p := New(Head{Name: "x.conf", Section: 5, About: `about "x"`, Date: "2026-01-02", Version: "v1-2"})
	p.Section("Synopsis")
	p.Usage("x", "[options] FILE…")
	p.Section("One")
	p.Text("first\nparagraph\n\n" + hostile)
	p.Subsection(hostile)
	p.Item("--y", "[Z, …]", hostile)
	p.Example("a  b\n\n" + hostile)
	got := testenv.ReadManual(t, p.String())
	shown := strings.ReplaceAll(strings.Join(strings.Fields(hostile), " "), "…", "...")
	if n := strings.Count(got, shown); n != 4 {
		t.Errorf("%q is %d times in\n%s", shown, n, got)
	}
	for _, want := range []string{"X.CONF(5)", `x.conf - about "x"`, "SYNOPSIS x [options] FILE...", "ONE first paragraph .SH", "--y [Z, ...]", "a b", "2026-01-02", "lhsm-azblob v1-2"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
