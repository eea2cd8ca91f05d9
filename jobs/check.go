package jobs

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// Check finds out whether [Open] would succeed, and changes nothing: neither is a
// database made, nor one of an older program upgraded. It returns what Open would do.
func Check(o Options) (what string, err error) {
	mount, fsname, err := usable(o.Mount)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(o.Path); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return "will be made", nil
		}
		return "", err
	}
	lock, err := lockService(o.Path, mount)
	if err != nil {
		return "", err
	}
	what, err = checkStore(o.Path, fsname)
	return what, errors.Join(err, lock.release())
}

func checkStore(path, fsname string) (string, error) {
	db, err := openDB(path, 1, "_pragma=query_only(1)")
	if err != nil {
		return "", err
	}
	form, err := formOf(context.Background(), db, fsname)
	if err := errors.Join(err, db.Close()); err != nil {
		return "", fmt.Errorf("open the database of jobs %s: %w", path, err)
	}
	if form <= len(upgrades) {
		return "will be upgraded", nil
	}
	return "database of jobs", nil
}
