package prometheus

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// install runs install.sh, once per process, and gives the folder of the programs.
var install = sync.OnceValues(func() (dir string, err error) {
	root, err := exec.CommandContext(context.Background(), "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", err
	}
	top := strings.TrimSpace(string(root))
	dir = filepath.Join(top, "build/prometheus")
	if out, err := exec.CommandContext(context.Background(), filepath.Join(top, "testenv/prometheus/install.sh"), dir).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

// program is the path of prometheus or promtool. Where neither can be had the test
// is skipped, or fails if TESTENV_REQUIRE names prometheus.
func program(t testing.TB, name string) string {
	t.Helper()
	dir, err := install()
	if err != nil {
		if strings.Contains(os.Getenv("TESTENV_REQUIRE"), "prometheus") {
			t.Fatalf("prometheus is required here: %v", err)
		}
		t.Skipf("no prometheus here: %v", err)
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
