package acceptance

import (
	"net/http"
	"testing"

	"lhsm-azblob/testenv/gate"
)

// newGate starts a gate that lasts as long as the test.
func newGate(t *testing.T, backend string, o gate.Options) *gate.Gate {
	t.Helper()
	o.Remember = true
	g, err := gate.New(backend, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

func isCommit(r *http.Request) bool {
	comp := r.URL.Query().Get("comp")
	return r.Method == http.MethodPut && (comp == "" || comp == "blocklist")
}

// isPutOf accepts what makes the named blob visible: Put Blob and Put Block List.
func isPutOf(name string) func(*http.Request) bool {
	return func(r *http.Request) bool { return isCommit(r) && pathIs(r.URL.Path, name) }
}

func isGetOf(name string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == http.MethodGet && pathIs(r.URL.Path, name) }
}

func pathIs(path, name string) bool {
	return len(path) > len(name) && path[len(path)-len(name):] == name && path[len(path)-len(name)-1] == '/'
}
