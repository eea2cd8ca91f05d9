package copytool

import (
	"errors"
	"fmt"
	"io/fs"

	"lhsm-azblob/llapi"
)

// Lustre refuses the remove of a released file when it is asked for, and grants
// the release of a file whose copy is being removed. A file that is released in
// between, or while the storage is slow, would be lost. So a remove first marks the
// file dirty, which nobody can release, and looks at its state then. A success takes
// all flags off that tell of a copy. After anything else, a crash included, the file
// stays dirty: whether there still is a copy is for the next archive to find out,
// which sends nothing if there is.

// copyFlags tell of a copy. Lustre refuses to take off the one that is archived and to
// leave the one that it is lost.
const copyFlags = llapi.HSExists | llapi.HSArchived | llapi.HSDirty | llapi.HSLost

// forbidRelease fails if the file is released, and else keeps it from being released.
func (j *job) forbidRelease() error {
	flags, err := j.hsmFlags()
	if err != nil {
		return err
	}
	if flags&(llapi.HSArchived|llapi.HSReleased|llapi.HSDirty) == llapi.HSArchived {
		if err := j.fs.SetFlags(j.t.fid, llapi.HSDirty, 0); err != nil {
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

// forgetCopy lets the file's flags say that there is no copy. Lustre does that as well
// when it takes the end, but leaves a file that is marked dirty so. A file that is
// gone has no flags.
func (j *job) forgetCopy() error {
	err := j.fs.SetFlags(j.t.fid, 0, copyFlags)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("take off the flags that tell of a copy: %w", err)
}
