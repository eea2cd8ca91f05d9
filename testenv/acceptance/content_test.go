package acceptance

import (
	"os/exec"
	"strings"
	"testing"

	"lhsm-azblob/testenv"
)

const blockSize = 8 << 20 // what the tests below give as --block-size

// waitLongUntilIdle is for loads that take minutes.
func (e *env) waitLongUntilIdle() {
	e.t.Helper()
	wait := exec.Command(testenv.Binary(e.t, "./testenv/cmd/lustre-standin"), "wait-idle", "--timeout", "15m")
	if out, err := wait.CombinedOutput(); err != nil {
		e.t.Fatalf("wait-idle: %v: %s", err, out)
	}
}

// TestP24OddNames has every kind of name that a POSIX file system allows and a URL does not.
func TestP24OddNames(t *testing.T) {
	e, _ := start(t)
	long := strings.Repeat("d23456789/", 120) + "file"
	names := []string{
		"new\nline", "quote'\"", "per%cent", "per%20cent", "hash#", "question?", `back\slash`, "not-utf8-\xff\xfe", "tab\tbell\a",
		strings.Repeat("n", 255), "trailing dot.", "dir./in a dotted dir", "...", " leading space", "trailing space ", "plus+and&amp;",
		"ünïcödé", "e\u0301 decomposed", "\u00e9 composed", "colon:semi;", "~tilde", "[brackets]", "star*", "$(touch pwned)", "-dash", "\u0081\ue000", long,
	}
	for i, name := range names {
		e.released(name, randomBytes(100+i, byte(i)))
	}
	for i, name := range names {
		e.wantContent(name, randomBytes(100+i, byte(i)))
		e.wantState(name, stateArchived)
	}
	if n := len(e.blobNames()); n != len(names) {
		t.Errorf("%d files became %d blobs: %q", len(names), n, e.blobNames())
	}
	for _, plain := range []string{"hash#", "question?", "ünïcödé", "quote'\""} {
		if _, ok := e.blobContent(plain); !ok {
			t.Errorf("%q is a good blob name and was changed", plain)
		}
	}
}
