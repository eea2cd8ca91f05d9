package azurite_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"lhsm-azblob/testenv/azurite"
)

func TestStartIsShared(t *testing.T) {
	a, b := azurite.Start(t), azurite.Start(t)
	if a != b {
		t.Errorf("two servers in one process: %s and %s", a.Endpoint, b.Endpoint)
	}
	if u, v := a.NewContainer(t), a.NewContainer(t); u == v {
		t.Errorf("both containers are %s", u)
	}
	if cs := a.ConnectionString(); !strings.Contains(cs, "BlobEndpoint="+a.Endpoint+";") {
		t.Errorf("connection string %q lacks the endpoint %s", cs, a.Endpoint)
	}
}

func TestSASOpensOneContainerUntilItExpires(t *testing.T) {
	s := azurite.Start(t)
	u := s.NewContainer(t)
	name := u[strings.LastIndexByte(u, '/')+1:]
	for _, tt := range []struct {
		expiry time.Time
		want   int
	}{
		{time.Now().Add(time.Hour), http.StatusOK},
		{time.Now().Add(-time.Hour), http.StatusForbidden},
	} {
		token, err := s.SAS(name, "rl", tt.expiry)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Get(u + "?restype=container&comp=list&" + token)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("list with a SAS until %s: HTTP %d, want %d", tt.expiry, resp.StatusCode, tt.want)
		}
	}
}

func TestStopEndsIt(t *testing.T) {
	s := azurite.StartWith(t, azurite.Options{Location: t.TempDir()})
	s.NewContainer(t)
	s.Stop()
	if resp, err := http.Get(s.Endpoint); err == nil {
		resp.Body.Close()
		t.Error("it still answers after Stop")
	}
}
