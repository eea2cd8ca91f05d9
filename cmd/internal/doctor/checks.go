package doctor

import (
	"fmt"
	"strings"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/copytool"
)

// Options are what the copytool would run with.
type Options struct {
	Mount            string
	Archives         []Archive
	Limits           copytool.Limits
	Pool             blobstore.PoolOptions
	RunDir, StateDir string
	HTTP             string // address of /healthz; empty: none
	Unit             string // of systemd, for advice
}

// An Archive is where the files of some archive ids go.
type Archive struct {
	IDs       []uint32 // [copytool.AnyArchive] is any
	Prefix    string
	Container blobstore.ContainerOptions
}

// The subjects that there always are. Each archive is one more.
const (
	lustre = "lustre"
	mover  = "mover"
)

// Checks lists what there is to look at.
func Checks(o Options) []Check {
	client := &client{mount: o.Mount}
	process := &process{o: o, client: client}
	checks := client.checks()
	checks = append(checks, (&tunables{client: client, o: o}).checks()...)
	checks = append(checks, process.checks()...)
	for _, a := range o.Archives {
		checks = append(checks, newStore(a, o.Pool).checks()...)
	}
	return checks
}

func (a *Archive) subject() string {
	var ids []string
	for _, id := range a.IDs {
		if id == copytool.AnyArchive {
			ids = append(ids, "any")
		} else {
			ids = append(ids, fmt.Sprint(id))
		}
	}
	return "archive " + strings.Join(ids, ",")
}
