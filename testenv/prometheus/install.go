package prometheus

import (
	"os/exec"
	"path/filepath"
	"testing"

	"lhsm-azblob/testenv"
)

// program is the path of prometheus or promtool. Where neither can be had the test
// is skipped, or fails if TESTENV_REQUIRE names prometheus.
func program(t testing.TB, name string) string {
	t.Helper()
	dir, err := testenv.Install("prometheus")
	if err != nil {
		testenv.Missing(t, "prometheus", err)
	}
	return filepath.Join(dir, name)
}

// Promtool runs promtool, which has to be content.
func Promtool(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), program(t, "promtool"), args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %q: %v\n%s", args, err, out)
	}
}
