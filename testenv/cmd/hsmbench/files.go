package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"lhsm-azblob/llapi"
)

// A fileSet is a folder of files in the stand-in.
type fileSet struct {
	world *world
	dir   string
	fids  []llapi.FID
}

func (s *fileSet) add(path string, c benchCase) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := c.fill.WriteTo(f, c.size); err != nil {
		return err
	}
	fid, err := llapi.FDToFID(int(f.Fd()))
	s.fids = append(s.fids, fid)
	return errors.Join(err, f.Close())
}

func (s *fileSet) remove() error { return os.RemoveAll(s.dir) }

// ask sends a request for every file, as many calls as that takes.
func (s *fileSet) ask(action llapi.UserAction) error {
	return llapi.SendRequest(s.world.mount, llapi.Request{Action: action, Items: s.fids})
}

// allAre makes sure that what was asked for was done: a figure of work that
// failed is none.
func (s *fileSet) allAre(want llapi.StateFlags) error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		st, err := llapi.GetState(filepath.Join(s.dir, e.Name()))
		if err != nil {
			return err
		}
		if st.Flags != want {
			return fmt.Errorf("%s is %q and not %q", e.Name(), st.Flags, want)
		}
	}
	return nil
}
