package jobs

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Limits of a [Spec].
const (
	maxRequestID   = 200
	maxRetries     = 100
	defaultRetries = 3
)

// root is the prefix that every path begins with.
const root = "/"

// normalize checks a Spec and brings it into the form in which it is stored.
// mount is where the file system is mounted.
func (s Spec) normalize(mount string) (Spec, error) {
	if len(s.Files) > 0 && len(s.Prefixes) > 0 {
		return s, &InvalidError{"files", "a job takes prefixes or a list of files, not both; make two jobs"}
	}
	var err error
	if s.Prefixes, err = eachPath("prefixes", s.Prefixes, mount); err != nil {
		return s, err
	}
	if s.Files, err = eachPath("files", s.Files, mount); err != nil {
		return s, err
	}
	s.FileCount = int64(len(s.Files))
	s.Prefixes = disjoint(s.Prefixes)
	if len(s.Prefixes) == 0 && len(s.Files) == 0 {
		s.Prefixes = []string{root}
	}
	return s, s.checkRest()
}

func (s *Spec) checkRest() error {
	switch s.IfBusy {
	case "":
		s.IfBusy = BusyQueue
	case BusyQueue, BusyFail:
	default:
		return &InvalidError{"ifBusy", fmt.Sprintf("%q; it is %q or %q", s.IfBusy, BusyQueue, BusyFail)}
	}
	if s.Retries != nil && (*s.Retries < 0 || *s.Retries > maxRetries) {
		return &InvalidError{"retries", fmt.Sprintf("%d; it is 0 to %d", *s.Retries, maxRetries)}
	}
	if len(s.RequestID) > maxRequestID {
		return &InvalidError{"requestId", fmt.Sprintf("%d bytes; at most %d", len(s.RequestID), maxRequestID)}
	}
	if s.RetryOf < 0 || s.ArchiveID > 1<<31-1 {
		return &InvalidError{"archiveId", "it is 0 to 2147483647"}
	}
	return nil
}

// retries is the number in force.
func (s *Spec) retries() int {
	if s.Retries == nil {
		return defaultRetries
	}
	return *s.Retries
}

func eachPath(field string, paths []string, mount string) ([]string, error) {
	clean := make([]string, len(paths))
	for i, p := range paths {
		var problem string
		if clean[i], problem = cleanPath(p, mount); problem != "" {
			return nil, &InvalidError{field, fmt.Sprintf("%q %s", p, problem)}
		}
	}
	return clean, nil
}

// cleanPath makes a path from the root of the file system of what somebody
// typed: with the mount point before it or not, with a leading slash or not. A
// slash at the end stays, since as a prefix "/data/" is less than "/data"; so does
// "/." as one, which is the directory, too.
//
// Nothing is no path: it is what a shell makes of a variable that is not set, and
// must not mean everything.
func cleanPath(p, mount string) (clean, problem string) {
	if p == "" {
		return "", `is no path; "/" is the whole file system`
	}
	if strings.ContainsRune(p, 0) {
		return "", "has a NUL in it"
	}
	if slices.Contains(strings.Split(p, "/"), "..") {
		return "", `has ".." in it; give the path itself`
	}
	clean = path.Clean("/" + p)
	if rest, ok := strings.CutPrefix(clean, path.Clean(mount)); ok && (rest == "" || rest[0] == '/') {
		clean = path.Clean("/" + rest)
	}
	if clean == root && p[0] != '/' { // not where somebody is, as a shell has it
		return "", `would be the whole file system; write "/" if you mean that, else the path from the mount point on, or with it`
	}
	if (strings.HasSuffix(p, "/") || strings.HasSuffix(p, "/.")) && clean != root {
		clean += "/"
	}
	return clean, ""
}

// disjoint leaves out what another prefix covers, so that no path begins with two.
func disjoint(prefixes []string) []string {
	var kept []string
	for _, p := range slices.Compact(slices.Sorted(slices.Values(prefixes))) {
		// What covers p sorts before it, and right before it among those kept.
		if n := len(kept); n == 0 || !strings.HasPrefix(p, kept[n-1]) {
			kept = append(kept, p)
		}
	}
	return kept
}
