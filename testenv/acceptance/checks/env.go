package checks

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// An Env is the installation that is looked at.
type Env struct {
	Mount     string            // root of a Lustre mount
	Scratch   string            // folder below it that is ours alone
	Lfs       string            // the lfs program
	ArchiveID int               // of the copytool that is looked at
	Prefix    string            // its --prefix
	Container *container.Client // where it puts files
	UID       int               // a plain user; needs root

	// Gate and Restart are nil where one cannot have them.
	Gate    Gate
	Restart func(ctx context.Context) error // of the copytool
}

// A Gate can hold up what a copytool sends to the container. A hold begins at
// once; caught is closed when the first request has been caught, and release
// lets that and all others go.
type Gate interface {
	HoldCommit(blob string) (caught <-chan struct{}, release func())
	HoldRead(blob string) (caught <-chan struct{}, release func())
}

// T is whom a check tells; a [testing.T] is one.
type T interface {
	Helper()
	Context() context.Context // its end is the end of all patience
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any) // does not return
	Skipf(format string, args ...any)  // does not return
}

// A Check is one thing that must be true.
type Check struct {
	Name string // a sentence that is true if the check passes
	Run  func(c *C)
}

// A C is one run of a check, with a folder of its own.
type C struct {
	T
	*Env
	dir string // below Mount
}

// Run runs a check in a folder of its own, which [Env.Clean] removes with the rest.
func (e *Env) Run(t T, check Check) {
	t.Helper()
	c := &C{T: t, Env: e, dir: filepath.Join(e.Scratch, slug(check.Name))}
	if err := os.MkdirAll(c.abs(""), 0o755); err != nil {
		t.Fatalf("make a folder: %v", err)
	}
	check.Run(c)
}

// slug makes a plain file name of a sentence.
func slug(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(s))
}

// abs is the path of a file of this check.
func (c *C) abs(rel string) string { return filepath.Join(c.Mount, c.dir, rel) }

// blob is the name of the blob of a file of this check, if it is an ordinary one.
func (c *C) blob(rel string) string { return path.Join(c.Prefix, filepath.ToSlash(c.dir), rel) }

func (e *Env) archive() string { return strconv.Itoa(e.ArchiveID) }
