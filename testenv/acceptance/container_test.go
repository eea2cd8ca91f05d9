package acceptance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"lhsm-azblob/testenv"
)

const (
	containerfile = "../../packaging/container/Containerfile"
	manifests     = "../../packaging/container/movers.yaml"
)

func readText(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// one is what a pattern's group finds in a text, where it has to be once.
func one(t *testing.T, text, pattern string) string {
	t.Helper()
	found := regexp.MustCompile("(?m)"+pattern).FindAllStringSubmatch(text, -1)
	if len(found) != 1 {
		t.Fatalf("%q is found %d times, want once", pattern, len(found))
	}
	return found[0][1]
}

// TestManifests holds the sample for Kubernetes to what the program says and needs.
func TestManifests(t *testing.T) {
	text := readText(t, manifests)
	caps := strings.Split(strings.ToLower(one(t, text, `^ +add: \[(.*)\]$`)), ", ")
	want := slices.Clone(agentCapNames)
	slices.Sort(caps)
	slices.Sort(want)
	if !slices.Equal(caps, want) {
		t.Errorf("capabilities %q, want %q", caps, want)
	}

	config := strings.ReplaceAll(one(t, text, `mover\.conf: \|\n((?: {4}.*\n)+)`), "\n    ", "\n")
	file := filepath.Join(t.TempDir(), "mover.conf")
	if err := os.WriteFile(file, []byte(strings.TrimSpace(config)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := testenv.Output(exec.CommandContext(t.Context(), testenv.Binary(t, "./cmd/lhsmtool_azblob"), "--config", file, "--print-config"))
	if err != nil || r.Code != 0 {
		t.Fatalf("the configuration is refused: %v, %s", err, r.Stderr)
	}
	drain, err := time.ParseDuration(one(t, r.Stdout, `^drain_timeout = "(.*?)"`))
	if err != nil {
		t.Fatal(err)
	}
	if grace := one(t, text, `^ +terminationGracePeriodSeconds: (\d+)$`) + "s"; !isLonger(grace, drain) {
		t.Errorf("a pod is killed after %s, and drains for %v", grace, drain)
	}
	for key, mount := range map[string]string{"state_dir": "state", "run_dir": "run"} {
		dir := one(t, r.Stdout, "^"+key+` = "(.*?)"`)
		if line := fmt.Sprintf("{name: %s, mountPath: %s}", mount, dir); !strings.Contains(text, line) {
			t.Errorf("no volume for %s: %s", key, line)
		}
	}
	if port := one(t, r.Stdout, `^http = ".*:(\d+)"`); one(t, text, `containerPort: (\d+)`) != port {
		t.Errorf("the program listens on %s", port)
	}
}

func isLonger(text string, than time.Duration) bool {
	d, err := time.ParseDuration(text)
	return err == nil && d > than
}

// wantContainerCopies looks for what the image is made of, where make install puts it.
func wantContainerCopies(t *testing.T, root string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`(?m)^COPY --from=build /out/(\S+) `).FindAllStringSubmatch(readText(t, containerfile), -1) {
		if strings.HasPrefix(m[1], "etc/ssl") { // of the builder
			continue
		}
		if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
			t.Errorf("the image wants what make install does not install: %v", err)
		}
	}
	program := one(t, readText(t, containerfile), `^ENTRYPOINT \["(.*)"\]$`)
	if _, err := os.Stat(filepath.Join(root, program)); err != nil {
		t.Errorf("the image starts what make install does not install: %v", err)
	}
}
