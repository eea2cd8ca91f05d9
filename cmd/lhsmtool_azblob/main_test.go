package main

import (
	"os"
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
