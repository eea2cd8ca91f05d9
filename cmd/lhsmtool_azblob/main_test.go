package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"lhsm-azblob/copytool"
)

// TestMain lets this binary be the keeper that a copytool in it starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == copytool.KeeperCommand {
		os.Exit(keep(os.Args[2:], os.Stderr))
	}
	os.Exit(m.Run())
}

// TestUnitBoundsCapabilities: what the copytool keeps is what its unit lets it
// have, since a service manager's bounds are all that stands before its start.
func TestUnitBoundsCapabilities(t *testing.T) {
	unit, err := os.ReadFile("../../packaging/lhsmtool_azblob@.service")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(unit)) {
		if set, ok := strings.CutPrefix(line, "CapabilityBoundingSet="); ok {
			got = append(got, strings.Fields(set)...)
		}
	}
	want := strings.Split(copytool.AgentCapabilities.String(), ", ")
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the unit has %v, the copytool keeps %v", got, want)
	}
}
