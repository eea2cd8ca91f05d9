package httpapi

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"lhsm-azblob/jobs"
)

func TestBearer(t *testing.T) {
	server := serve(t, newFake(), Access{Token: testToken})
	for _, tt := range []struct {
		header string
		want   int
	}{
		{"Bearer " + testToken, 200},
		{"Bearer " + testToken + "x", 401},
		{"Bearer " + testToken[:len(testToken)-1], 401},
		{"Bearer ", 401},
		{"Basic " + testToken, 401},
		{testToken, 401},
		{"", 401},
	} {
		status, header, body := ask(t, "GET", server.URL+"/v1/jobs", "", "Authorization", tt.header)
		if status != tt.want {
			t.Errorf("%q: %d, want %d", tt.header, status, tt.want)
		}
		if status == 401 && (header.Get("WWW-Authenticate") == "" || !strings.Contains(body, `"code":"Unauthorized"`)) {
			t.Errorf("%q: %v %s", tt.header, header, body)
		}
	}
}

// TestSession: the page exchanges the token for a cookie that scripts cannot
// read, and that holds neither the token nor longer than it says.
func TestSession(t *testing.T) {
	server := serve(t, newFake(), Access{Token: testToken})
	_, header, _ := ask(t, "POST", server.URL+"/v1/session", `{"token":" `+testToken+`\n"}`)
	set := header.Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"} {
		if !strings.Contains(set, want) {
			t.Errorf("Set-Cookie %q has no %s", set, want)
		}
	}
	if strings.Contains(set, testToken) {
		t.Errorf("Set-Cookie %q has the token in it", set)
	}
	cookie, _, _ := strings.Cut(set, ";")
	if status, _, _ := ask(t, "GET", server.URL+"/v1/jobs", "", "Cookie", cookie); status != 200 {
		t.Errorf("with the session: %d", status)
	}
	// A service that was started again with the same token knows it, one with another does not.
	again := serve(t, newFake(), Access{Token: testToken})
	if status, _, _ := ask(t, "GET", again.URL+"/v1/jobs", "", "Cookie", cookie); status != 200 {
		t.Errorf("after a restart: %d", status)
	}
	other := serve(t, newFake(), Access{Token: testToken + "2"})
	if status, _, _ := ask(t, "GET", other.URL+"/v1/jobs", "", "Cookie", cookie); status != 401 {
		t.Errorf("with another token: %d", status)
	}
	_, header, _ = ask(t, "DELETE", server.URL+"/v1/session", "", "Cookie", cookie)
	if set := header.Get("Set-Cookie"); !strings.Contains(set, "Max-Age=0") {
		t.Errorf("at the end: Set-Cookie %q", set)
	}
}

func TestForgedSessions(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	g := &gate{Access{Token: testToken}, func() time.Time { return now }}
	good := g.session(now.Add(time.Minute))
	if !g.isSession(good) {
		t.Fatal("a fresh session is refused")
	}
	_, mac, _ := strings.Cut(good, ".")
	for name, forged := range map[string]string{
		"prolonged":   strconv.FormatInt(now.Add(time.Hour).Unix(), 10) + "." + mac,
		"expired":     g.session(now),
		"other token": (&gate{Access: Access{Token: "x"}}).session(now.Add(time.Minute)),
		"no token":    (&gate{}).session(now.Add(time.Minute)),
		"empty":       "",
		"no mac":      strconv.FormatInt(now.Add(time.Hour).Unix(), 10),
		"token":       testToken,
	} {
		if g.isSession(forged) {
			t.Errorf("a session that is %s is accepted", name)
		}
	}
	// Without a token there are no sessions, not even those made with an empty one.
	closed := &gate{Access{ClientCert: true}, func() time.Time { return now }}
	if closed.isSession(closed.session(now.Add(time.Minute))) || closed.isToken("") {
		t.Error("a session of the empty token is accepted")
	}
}

func TestClientCertificate(t *testing.T) {
	h := New(Options{Jobs: newFake()}).Handler(Access{ClientCert: true})
	for name, state := range map[string]*tls.ConnectionState{
		"none":       nil,
		"unverified": {PeerCertificates: []*x509.Certificate{{}}},
		"verified":   {VerifiedChains: [][]*x509.Certificate{{{}}}},
	} {
		r := httptest.NewRequest(http.MethodGet, "/v1/jobs", nil)
		r.TLS = state
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Code == 200; got != (name == "verified") {
			t.Errorf("%s certificate: %d", name, w.Code)
		}
	}
}

// TestCrossSite: what another site makes a browser send is refused, whatever
// cookie comes with it, and before anything is done.
func TestCrossSite(t *testing.T) {
	f := newFake()
	id := f.put(jobs.InProgress)
	server := serve(t, f, Access{})
	for _, headers := range [][]string{
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
		{"Origin", "https://evil.example"},
		{"Origin", "null"},
	} {
		for _, path := range []string{"/v1/jobs", "/v1/jobs/1/cancel", "/v1/jobs/1/retry", "/archive", "/cancelArchive", "/v1/session"} {
			if status, _, body := ask(t, "POST", server.URL+path, `{}`, headers...); status != 403 || !strings.Contains(body, `"code":"CrossOrigin"`) {
				t.Errorf("%v %s: %d %s", headers, path, status, body)
			}
		}
	}
	if j, _, _ := f.get(id); j.State != jobs.InProgress || len(f.jobs) != 1 {
		t.Error("a refused request did something")
	}
	if status, _, _ := ask(t, "POST", server.URL+"/v1/jobs", `{}`, "Sec-Fetch-Site", "same-origin", "Origin", server.URL); status != 201 {
		t.Errorf("the page's own request: %d", status)
	}
}
