package checks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
)

// displaced is the folder for copies of files whose names others have taken.
const displaced = ".lhsm_displaced/"

// Clean removes everything that the checks have made: the scratch folder, and
// the blobs of what was in it. It touches nothing else.
func (e *Env) Clean(ctx context.Context) error {
	fids := e.giveUp(ctx)
	err := os.RemoveAll(filepath.Join(e.Mount, e.Scratch))
	folder := path.Join(e.Prefix, e.Scratch)
	ours, lerr := List(ctx, e.Container, folder)
	ours = slices.DeleteFunc(ours, func(b Blob) bool { return b.Name != folder && !strings.HasPrefix(b.Name, folder+"/") })
	aside, aerr := List(ctx, e.Container, path.Join(e.Prefix, displaced)+"/")
	aside = slices.DeleteFunc(aside, func(b Blob) bool { return !slices.Contains(fids, b.FID) })
	return errors.Join(err, lerr, aerr, e.deleteAll(ctx, append(ours, aside...)))
}

// giveUp cancels what is still asked for, and returns the FIDs of the files.
func (e *Env) giveUp(ctx context.Context) (fids []string) {
	_ = filepath.WalkDir(filepath.Join(e.Mount, e.Scratch), func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // what cannot be read will not be removed either, and that is said
		}
		if out, err := exec.CommandContext(ctx, e.Lfs, "hsm_action", p).Output(); err == nil && !strings.HasSuffix(string(out), ": NOOP\n") {
			_ = exec.CommandContext(ctx, e.Lfs, "hsm_cancel", p).Run() // there may be nothing left to cancel
		}
		if out, err := exec.CommandContext(ctx, e.Lfs, "path2fid", p).Output(); err == nil {
			fids = append(fids, strings.TrimSpace(string(out)))
		}
		return nil
	})
	return fids
}

// deleteAll deletes the deepest first: folders of a hierarchical namespace must
// be empty.
func (e *Env) deleteAll(ctx context.Context, list []Blob) error {
	slices.SortFunc(list, func(a, b Blob) int { return strings.Compare(b.Name, a.Name) })
	var errs []error
	for _, b := range list {
		_, err := e.Container.NewBlobClient(b.Name).Delete(ctx, nil)
		if err != nil && !bloberror.HasCode(err, bloberror.BlobNotFound) {
			errs = append(errs, fmt.Errorf("delete blob %q: %w", b.Name, oneLine(err)))
		}
	}
	return errors.Join(errs...)
}

// errorCode is what the service calls an error.
func errorCode(err error) (string, bool) {
	var re *azcore.ResponseError
	if !errors.As(err, &re) {
		return "", false
	}
	return fmt.Sprintf("%s (HTTP %d)", re.ErrorCode, re.StatusCode), true
}
