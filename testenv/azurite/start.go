package azurite

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

var shared = sync.OnceValues(func() (*Server, error) { return Run(context.Background(), Options{}) })

// Start returns the test process's Azurite, started on first use. It keeps all
// data in memory until the process ends.
func Start(t testing.TB) *Server {
	t.Helper()
	need(t)
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// StartWith starts an Azurite for this test alone, and stops it at its end. It
// is for tests that need another kind (TLS, data on disk because there is
// much of it), or that want to stop it in the middle.
func StartWith(t testing.TB, o Options) *Server {
	t.Helper()
	need(t)
	s, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// NewContainer creates an empty container for this test and returns its URL.
// It stays until the Azurite ends.
func (s *Server) NewContainer(t testing.TB) string {
	t.Helper()
	u, err := s.CreateContainer(t.Context(), randomName())
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// need skips the test where there is no Node at all.
func need(t testing.TB) {
	t.Helper()
	_, err := exec.LookPath("npm")
	if err == nil {
		return
	}
	if strings.Contains(os.Getenv("TESTENV_REQUIRE"), "azurite") {
		t.Fatalf("azurite is required here: %v", err)
	}
	t.Skipf("azurite needs Node: %v", err)
}
