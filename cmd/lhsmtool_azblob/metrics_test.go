package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"testing"

	"lhsm-azblob/testenv"
)

// TestManualExplainsMetrics holds docs/monitoring.md against what the program says.
func TestManualExplainsMetrics(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	p := startProgram(t, l, "--http", "127.0.0.1:0", "--trace-endpoint", "http://127.0.0.1:1", "--log-format", "json")
	var listening struct{ Address string }
	if err := json.Unmarshal([]byte(p.line("serving HTTP")), &listening); err != nil {
		t.Fatal(err)
	}
	p.line(`"msg":"serving"`)
	status, metrics := get(t, "http://"+listening.Address+"/metrics")
	if status != http.StatusOK {
		t.Fatalf("%d: %s", status, metrics)
	}
	manual, err := os.ReadFile("../../docs/monitoring.md")
	if err != nil {
		t.Fatal(err)
	}
	explained := matches(`(?m)^\| .(lhsm_azblob_\w+). \| (counter|gauge|histogram) \|`, string(manual))
	served := matches(`(?m)^# TYPE (lhsm_azblob_\w+) (\w+)`, metrics)
	if !maps.Equal(explained, served) {
		t.Errorf("docs/monitoring.md explains %v,\nthe program has %v", slices.Sorted(maps.Keys(explained)), slices.Sorted(maps.Keys(served)))
	}
	p.signal()
	p.wantExit(exitOK)
}

// matches are the first groups of all matches, with the second ones.
func matches(pattern, text string) map[string]string {
	found := map[string]string{}
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		found[m[1]] = m[2]
	}
	return found
}
