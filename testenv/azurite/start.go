package azurite

import (
	"context"
	"os/exec"
	"sync"
	"testing"
	"time"

	"lhsm-azblob/testenv"
)

// The server that the tests of a process share.
var shared struct {
	sync.Mutex
	server *Server
	since  time.Time
	users  int // tests that have it and have not ended
}

// youth is how old the shared server may get before the next test has a new one. Every
// ten minutes it looks for data that nobody names any more, which stops it for half a
// minute when there are gigabytes of them.
const youth = 4 * time.Minute

// Start returns the test process's Azurite, started on first use, and again now and
// then while no test has it. It keeps all data in memory.
func Start(t testing.TB) *Server {
	t.Helper()
	need(t)
	shared.Lock()
	defer shared.Unlock()
	if shared.server != nil && shared.users == 0 && time.Since(shared.since) > youth {
		shared.server.Stop()
		shared.server = nil
	}
	if shared.server == nil {
		s, err := Run(context.Background(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		shared.server, shared.since = s, time.Now()
	}
	shared.users++
	t.Cleanup(func() {
		shared.Lock()
		defer shared.Unlock()
		shared.users--
	})
	return shared.server
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
	if _, err := exec.LookPath("npm"); err != nil {
		testenv.Missing(t, "azurite", err)
	}
}
