package httpapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Access is how a request shows that it may be served. The zero value serves
// everybody who can connect; it is for listeners that see to that themselves.
type Access struct {
	Token      string // accepted as a bearer, and in exchange for a session
	ClientCert bool   // a client certificate that the TLS layer verified is accepted
}

const (
	sessionCookie = "lhsmctl_session"
	sessionTime   = 12 * time.Hour
)

// gate decides about requests by an Access.
type gate struct {
	Access
	now func() time.Time
}

func (a Access) gate() *gate { return &gate{a, time.Now} }

func (g *gate) routes() []route {
	return []route{
		{pattern: "POST /v1/session", handle: g.login, open: true},
		{pattern: "DELETE /v1/session", handle: g.logout, open: true},
	}
}

// guard lets only those through who may.
func (g *gate) guard(next http.Handler, say style) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.admits(r) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="lhsmctl"`)
		say.problem(w, problem(http.StatusUnauthorized, Unauthorized, "send the service's token as Authorization: Bearer TOKEN"))
	})
}

func (g *gate) admits(r *http.Request) bool {
	if g.Token == "" && !g.ClientCert {
		return true
	}
	if g.ClientCert && r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return true
	}
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return g.isToken(bearer)
	}
	cookie, err := r.Cookie(sessionCookie)
	return err == nil && g.isSession(cookie.Value)
}

// isToken compares digests, so that neither content nor length shows in the time.
func (g *gate) isToken(given string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(g.Token))
	return g.Token != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// session is "EXPIRY.MAC": who has the token made it, and nobody can prolong it.
func (g *gate) session(expires time.Time) string {
	text := strconv.FormatInt(expires.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(g.Token))
	mac.Write([]byte("lhsmctl session until " + text))
	return text + "." + hex.EncodeToString(mac.Sum(nil))
}

func (g *gate) isSession(given string) bool {
	text, _, _ := strings.Cut(given, ".")
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || g.Token == "" {
		return false
	}
	expires := time.Unix(seconds, 0)
	return hmac.Equal([]byte(given), []byte(g.session(expires))) && g.now().Before(expires)
}

// login exchanges the token for a session.
func (g *gate) login(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Token string `json:"token"`
	}
	if err := decode(w, r, smallBody, &body); err != nil {
		return err
	}
	if !g.isToken(strings.TrimSpace(body.Token)) {
		return problem(http.StatusUnauthorized, Unauthorized, "this is not the service's token")
	}
	g.setSession(w, r, g.session(g.now().Add(sessionTime)), int(sessionTime.Seconds()))
	return nil
}

// logout forgets the session in this browser.
func (g *gate) logout(w http.ResponseWriter, r *http.Request) error {
	g.setSession(w, r, "", -1)
	return nil
}

func (g *gate) setSession(w http.ResponseWriter, r *http.Request, value string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode,
	})
	w.WriteHeader(http.StatusNoContent)
}
