package testenv

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Install runs testenv/NAME/install.sh, once per process, and returns the folder
// build/NAME, which is its argument.
func Install(name string) (dir string, err error) {
	return built("installed "+name, func() (string, error) {
		root, err := moduleRoot()
		if err != nil {
			return "", err
		}
		dir := filepath.Join(root, "build", name)
		out, err := exec.CommandContext(context.Background(), filepath.Join(root, "testenv", name, "install.sh"), dir).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("install %s: %w: %s", name, err, bytes.TrimSpace(out))
		}
		return dir, nil
	})
}

// Missing ends a test for which something cannot be had. It is skipped, or fails if
// $TESTENV_REQUIRE names the thing.
func Missing(t testing.TB, name string, err error) {
	t.Helper()
	if strings.Contains(os.Getenv("TESTENV_REQUIRE"), name) {
		t.Fatalf("%s is required here: %v", name, err)
	}
	t.Skipf("no %s here: %v", name, err)
}
