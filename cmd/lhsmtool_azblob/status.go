package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net"
	"net/http"
	"strings"

	"lhsm-azblob/copytool"
)

// statusReport is what /status answers: the copytool at this moment, for lhsmctl top.
type statusReport struct {
	Version          string `json:"version"`
	FileSystem       string `json:"fileSystem"`
	Mount            string `json:"mount"`
	MemoryInUse      int64  `json:"memoryInUse"` // bytes of transfer buffers
	MemoryLimit      int64  `json:"memoryLimit"`
	RequestsInFlight int    `json:"requestsInFlight"` // to Blob storage
	RequestsLimit    int    `json:"requestsLimit"`
	copytool.Activity
}

func (f *face) status(w http.ResponseWriter, r *http.Request) {
	bearer, given := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if given && !f.isToken(bearer) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="lhsmtool_azblob"`)
		http.Error(w, "this is not the token of --http-token-file", http.StatusUnauthorized)
		return
	}
	report := statusReport{
		Version: version, FileSystem: f.mount.FSName, Mount: f.mount.Root,
		MemoryInUse: f.pool.MemoryInUse(), MemoryLimit: f.pool.MemoryLimit(), RequestsInFlight: f.pool.RequestsInFlight(), RequestsLimit: f.pool.RequestsLimit(),
		Activity: f.agent.Activity(),
	}
	if !given && !isOfThisMachine(r) {
		hidePaths(&report.Activity)
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(report)
}

// isToken compares digests, so that neither content nor length shows in the time.
func (f *face) isToken(given string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(f.token))
	return f.token != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

func isOfThisMachine(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback()
}

// hidePaths leaves out the names of users' files, which are nobody's business on the
// network, and messages, which often have them. FIDs tell nothing to strangers.
func hidePaths(a *copytool.Activity) {
	for i := range a.Actions {
		a.Actions[i].Path = ""
	}
	for i := range a.Failures {
		a.Failures[i].Path, a.Failures[i].Message = "", ""
	}
}
