package importer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"strings"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/copytool"
	"lhsm-azblob/llapi"
)

// A Lister lists blobs in the order of their names, with metadata.
type Lister interface {
	List(ctx context.Context, prefix string) iter.Seq2[blobstore.Info, error]
}

// Options say what is made of what.
type Options struct {
	Root               string // mount point of the new file system
	ArchiveID          uint32 // of a copytool with the same container
	Account, Container string
	Prefix             string // the copytool's: below it are the blobs, and it is not part of paths
	Blobs              Lister
	Under              string // string that paths begin with; empty: all
	DryRun             bool
	Parallel           int
}

// An Outcome is what became of a blob.
type Outcome string

// The outcomes.
const (
	Imported  Outcome = "imported"
	Completed Outcome = "completed" // it had been imported, but for its attributes
	Exists    Outcome = "exists"    // something has the path already, and was left alone
	Skipped   Outcome = "skipped"   // not a blob that a copytool has written
	Failed    Outcome = "failed"
)

// A Result is what became of one blob.
type Result struct {
	Blob    blobstore.Name
	Path    string // from the root of the file system; empty where there is none
	Outcome Outcome
	Size    int64
	Err     error // of Failed and Skipped
}

// Run makes the files, and tells report of each blob but those of directories, from
// several goroutines. The error is one of the listing.
func Run(ctx context.Context, o Options, report func(Result)) error {
	root, err := os.OpenRoot(o.Root)
	if err != nil {
		return fmt.Errorf("open the file system: %w", err)
	}
	defer root.Close() //nolint:errcheck // it was only looked at
	o.Under = strings.TrimPrefix(o.Under, "/")
	r := &run{o: o, root: root}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(o.Parallel)
	for info, err := range o.Blobs.List(ctx, o.listed()) {
		if err != nil {
			return errors.Join(err, g.Wait())
		}
		at, err := blobstore.ParseAttributes(info.Metadata)
		if at.IsFolder {
			// In its turn, since it comes before what is in it.
			if err := r.directory(info, at); err != nil {
				report(Result{Blob: info.Name, Outcome: Failed, Err: err})
			}
			continue
		}
		p, pathErr := r.pathOf(info, at)
		if pathErr == nil && !strings.HasPrefix(p, o.Under) {
			continue
		}
		g.Go(func() error {
			report(r.blob(info, at, p, errors.Join(pathErr, err)))
			return nil
		})
	}
	return g.Wait()
}

// listed is what blobs begin with that can be meant. An odd path is another as a name,
// and the name of a long one has only its beginning; then everything below the prefix
// is listed.
func (o *Options) listed() string {
	prefix := o.Prefix
	if prefix != "" {
		prefix += "/"
	}
	name, err := blobstore.NameForPath(prefix + strings.TrimSuffix(o.Under, "/"))
	if err != nil || string(name) != prefix+strings.TrimSuffix(o.Under, "/") || len(name) > longName {
		return prefix
	}
	return prefix + o.Under
}

// longName is well below what of the name of a long path is kept.
const longName = 200

// run is one Run.
type run struct {
	o    Options
	root *os.Root
}

// pathOf is the path of a blob's file below the root.
func (r *run) pathOf(info blobstore.Info, at blobstore.Attributes) (string, error) {
	full, err := blobstore.PathForName(info.Name)
	if errors.Is(err, blobstore.ErrPathInMetadata) {
		full = at.Path
		if r.o.Prefix != "" {
			full = r.o.Prefix + "/" + at.Path
		}
		// The metadata says it, and the name has to be that path's.
		var name blobstore.Name
		if name, err = blobstore.NameForPath(full); err == nil && name != info.Name {
			err = fmt.Errorf("its metadata has the path of another name: %w", blobstore.ErrName)
		}
	}
	if err != nil {
		return "", err
	}
	below, ok := strings.CutPrefix(full, r.o.Prefix)
	if r.o.Prefix != "" && ok {
		below, ok = strings.CutPrefix(below, "/")
	}
	if !ok {
		return "", fmt.Errorf("it is not below %s: %w", r.o.Prefix, blobstore.ErrName)
	}
	return below, nil
}

// blob makes the file of a blob, whose path is known if there is no error.
func (r *run) blob(info blobstore.Info, at blobstore.Attributes, p string, err error) Result {
	res := Result{Blob: info.Name, Size: info.Size}
	if err != nil {
		res.Outcome, res.Err = Skipped, err
		return res
	}
	res.Path = "/" + p
	if res.Outcome, err = r.file(p, info, at); err != nil {
		res.Outcome, res.Err = Failed, err
	}
	return res
}

// file makes a file that is not there yet.
func (r *run) file(p string, info blobstore.Info, at blobstore.Attributes) (Outcome, error) {
	if _, err := r.root.Lstat(p); err == nil {
		return r.complete(p, info, at)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return Failed, err
	}
	if r.o.DryRun {
		return Imported, nil
	}
	dir, err := r.parent(p)
	if err != nil {
		return Failed, err
	}
	defer dir.Close()
	where := llapi.PathAt(int(dir.Fd()), path.Base(p))
	fid, err := llapi.Import(where, r.o.ArchiveID, statOf(info, at), llapi.Striping{})
	if err != nil {
		if errors.Is(err, fs.ErrExist) { // since we looked
			return Exists, nil
		}
		return Failed, err
	}
	return Imported, r.describe(where, fid, info, at)
}

// complete is for a path that exists. It may be a file of a run that was ended before
// it could say which blob is the file's copy.
func (r *run) complete(p string, info blobstore.Info, at blobstore.Attributes) (Outcome, error) {
	if r.o.DryRun {
		return Exists, nil
	}
	dir, err := r.parent(p)
	if err != nil {
		return Failed, err
	}
	defer dir.Close()
	where := llapi.PathAt(int(dir.Fd()), path.Base(p))
	var st unix.Stat_t
	if err := unix.Lstat(where, &st); err != nil {
		return Failed, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size != info.Size {
		return Exists, nil
	}
	fid, undescribed, err := asImported(where)
	switch {
	case err != nil:
		return Failed, err
	case !undescribed:
		return Exists, nil
	}
	return Completed, r.describe(where, fid, info, at)
}

// asImported tells whether a file is as an import makes it, before it is described. The
// FID is that of the very file that was looked at.
func asImported(where string) (fid llapi.FID, is bool, err error) {
	fd, err := llapi.OpenToAsk(unix.AT_FDCWD, where)
	if err != nil {
		return fid, false, err
	}
	defer unix.Close(fd) //nolint:errcheck // it was only looked at
	state, err := llapi.GetStateFD(fd)
	if err != nil {
		return fid, false, err
	}
	_, err = unix.Fgetxattr(fd, copytool.IdentityXattr, nil)
	if state.Flags&llapi.HSReleased == 0 || !errors.Is(err, unix.ENODATA) {
		return fid, false, nil
	}
	fid, err = llapi.FDToFID(fd)
	return fid, true, err
}

// parent opens the directory of a path, and makes it if need be. Links do not lead out
// of the file system.
func (r *run) parent(p string) (*os.File, error) {
	dir := path.Dir(p)
	if err := r.root.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return r.root.Open(dir)
}

// unknownMode is of files whose blobs say nothing.
const unknownMode = 0o600

func statOf(info blobstore.Info, at blobstore.Attributes) llapi.ImportStat {
	st := llapi.ImportStat{
		UID: at.UID, GID: at.GID, Mode: unix.S_IFREG | at.Mode&0o777, Size: info.Size, ModTime: at.ModTime, AccessTime: at.AccessTime,
	}
	if at.ModTime.IsZero() {
		st.ModTime = info.Modified
		if at.Mode == 0 {
			st.Mode |= unknownMode
		}
	}
	if at.AccessTime.IsZero() {
		st.AccessTime = st.ModTime
	}
	return st
}

// describe puts on a file what goes with its data, and last which blob is its copy.
func (r *run) describe(where string, fid llapi.FID, info blobstore.Info, at blobstore.Attributes) error {
	if err := setHighBits(where, fid, at.Mode); err != nil {
		return fmt.Errorf("set the mode: %w", err)
	}
	for name, value := range at.Xattrs {
		if !copytool.IsUserXattr(name) {
			continue // whoever wrote the blob may not say what the system thinks of the file
		}
		if err := unix.Lsetxattr(where, name, value, 0); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	id, err := copytool.ImportedIdentity(r.o.Account, r.o.Container, info).Encode()
	if err == nil {
		err = unix.Lsetxattr(where, copytool.IdentityXattr, id, 0)
	}
	if err != nil {
		return fmt.Errorf("set %s: %w", copytool.IdentityXattr, err)
	}
	return nil
}

// setHighBits sets what Lustre's import leaves out of a mode: set-user-id, set-group-id,
// and the sticky bit. Whoever may write to the directory can put a link in the file's
// place, or another file, root's perhaps.
func setHighBits(where string, fid llapi.FID, mode uint32) error {
	if mode&0o7000 == 0 {
		return nil
	}
	fd, err := llapi.OpenToAsk(unix.AT_FDCWD, where)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written to it
	switch got, err := llapi.FDToFID(fd); {
	case err != nil:
		return err
	case got != fid:
		return fmt.Errorf("another file, %s, has been put in the place of %s, which was imported", got, fid)
	}
	return unix.Fchmod(fd, mode&0o7777)
}

// directory makes a directory with its owner and mode. One that exists stays as it is.
func (r *run) directory(info blobstore.Info, at blobstore.Attributes) error {
	p, err := r.pathOf(info, at)
	if err != nil || r.o.DryRun || !strings.HasPrefix(p+"/", r.o.Under) {
		return err
	}
	if err := r.root.MkdirAll(path.Dir(p), 0o755); err != nil {
		return err
	}
	if at.Mode == 0 && at.ModTime.IsZero() { // as of a directory that a hierarchical namespace has made by itself
		at.Mode = 0o755
	}
	if err := r.root.Mkdir(p, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	}
	if err := r.root.Lchown(p, int(at.UID), int(at.GID)); err != nil {
		return err
	}
	return r.root.Chmod(p, fs.FileMode(at.Mode&0o777)|stickyOf(at.Mode))
}

// stickyOf are the bits above the permissions, as Go has them.
func stickyOf(mode uint32) (m fs.FileMode) {
	for bit, flag := range map[uint32]fs.FileMode{0o1000: fs.ModeSticky, 0o2000: fs.ModeSetgid, 0o4000: fs.ModeSetuid} {
		if mode&bit != 0 {
			m |= flag
		}
	}
	return m
}
