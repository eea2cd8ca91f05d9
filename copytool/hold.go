package copytool

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
)

// Lustre refuses the remove of a released file when it is asked for, and grants
// the release of a file whose copy is being removed. A file that is released in
// between, or while the storage is slow, would be lost. So a remove forbids
// releases first, and looks at the state then; and before it reports success it
// takes off the flags that say that there is a copy.

// copyFlags say that there is a copy.
const copyFlags = llapi.HSExists | llapi.HSArchived

// forbidRelease fails if the file is released, and else keeps it from being
// released until [job.allowRelease].
func (j *job) forbidRelease() error {
	flags, err := j.hsmFlags()
	if err != nil {
		return err
	}
	if flags&llapi.HSArchived != 0 && flags&llapi.HSReleased == 0 {
		// After a crash nobody knows who has forbidden it. It was probably us.
		j.holds = flags&llapi.HSNoRelease == 0 || j.t.adopted
		if err := j.fs.SetFlags(j.t.fid, llapi.HSNoRelease, 0); err != nil {
			return fmt.Errorf("keep the file from being released: %w", err)
		}
		if flags, err = j.hsmFlags(); err != nil {
			return err
		}
	}
	if flags&llapi.HSReleased != 0 {
		return failf(OnlyCopy, "the file is released, and its copy is all that is left of it; restore it first, then remove the copy")
	}
	return nil
}

// definite are errors of the storage that say that it has done nothing.
var definite = []error{
	blobstore.ErrPermission, blobstore.ErrNoContainer, blobstore.ErrChanged, blobstore.ErrImmutable, blobstore.ErrLeased, blobstore.ErrArchivedTier,
}

// allowRelease undoes forbidRelease. err is the outcome of the remove: after a
// success there is no copy, and the flags say so from now on; after an error that
// leaves it in doubt, the file counts as changed, so that the next archive finds
// out and nobody relies on the copy.
func (j *job) allowRelease(err error) error {
	if !j.holds {
		return err
	}
	var only *Failure
	set, clr := llapi.StateFlags(0), llapi.HSNoRelease
	switch {
	case err == nil:
		clr |= copyFlags
	case errors.As(err, &only), slices.ContainsFunc(definite, func(d error) bool { return errors.Is(err, d) }):
	default:
		set = llapi.HSDirty
	}
	serr := j.fs.SetFlags(j.t.fid, set, clr)
	if errors.Is(serr, syscall.EINVAL) { // written meanwhile: a dirty file cannot be released anyway
		serr = j.fs.SetFlags(j.t.fid, 0, llapi.HSNoRelease)
	}
	if serr != nil && !errors.Is(serr, fs.ErrNotExist) {
		j.log.Warn("the file stays marked never_release; lfs hsm_clear --norelease undoes it", "path", j.path, "err", serr)
	}
	return err
}
