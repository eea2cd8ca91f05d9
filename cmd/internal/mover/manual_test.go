package mover

import (
	"cmp"
	"os"
	"regexp"
	"strings"
	"testing"

	"lhsm-azblob/cmd/internal/options"
)

// TestTuningHasEveryOption: what each option costs stands in the manual, once, with
// its default. Options of one run cost nothing that anybody would tune.
func TestTuningHasEveryOption(t *testing.T) {
	manual, err := os.ReadFile("../../../docs/tuning.md")
	if err != nil {
		t.Fatal(err)
	}
	defaults := map[string][]string{}
	row := regexp.MustCompile("(?m)^\\| `--([a-z-]+)` \\| (\\S+) \\| [^|]+ \\| [^|]+ \\|$")
	for _, m := range row.FindAllStringSubmatch(string(manual), -1) {
		defaults[m[1]] = append(defaults[m[1]], strings.Trim(m[2], "`"))
	}
	for o := range Table.All() {
		got := defaults[o.Name]
		delete(defaults, o.Name)
		switch {
		case o.Scope == options.OneRun:
		case len(got) != 1 || got[0] != cmp.Or(o.Default, "–"):
			t.Errorf("--%s is explained with the defaults %q, and has %q", o.Name, got, o.Default)
		}
	}
	for name := range defaults {
		t.Errorf("--%s is explained, and is none", name)
	}
}
