package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A file is one file to move, and the name of its blob.
type file struct {
	path, name string
	size       int64
}

// filesIn finds the files below a folder. Their blobs will be below prefix.
func filesIn(dir, prefix string) (files []file, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		files = append(files, file{path, filepath.Join(prefix, name), info.Size()})
		return nil
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("there is no file in %s", dir)
	}
	return files, err
}

// empty takes the files' bytes away, so that getting them needs new memory, as a
// restore does.
func empty(files []file) error {
	for _, f := range files {
		if err := os.Truncate(f.path, 0); err != nil {
			return err
		}
	}
	return nil
}
