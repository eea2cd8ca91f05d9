package checks

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// content is the same for the same seed, and does not compress.
func content(n int, seed byte) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b) // documented never to fail
	return b
}

// within does what can hang in the kernel. What hangs is left behind.
func (c *C) within(what string, do func() error) error {
	c.Helper()
	done := make(chan error, 1)
	go func() { done <- do() }() // ends with what it does, or with the process
	select {
	case err := <-done:
		return err
	case <-c.Context().Done():
		c.Fatalf("%s hangs", what)
		return nil
	}
}

func (c *C) must(what string, do func() error) {
	c.Helper()
	if err := c.within(what, do); err != nil {
		c.Fatalf("%s: %v", what, err)
	}
}

// write makes or replaces a file and the folders above it.
func (c *C) write(rel string, b []byte) {
	c.Helper()
	c.must("write "+rel, func() error {
		return errors.Join(os.MkdirAll(filepath.Dir(c.abs(rel)), 0o755), os.WriteFile(c.abs(rel), b, 0o644))
	})
}

func (c *C) append(rel string, b []byte) {
	c.Helper()
	c.must("append to "+rel, func() error {
		f, err := os.OpenFile(c.abs(rel), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		_, err = f.Write(b)
		return errors.Join(err, f.Close())
	})
}

func (c *C) rename(from, to string) {
	c.Helper()
	c.must("rename", func() error {
		return errors.Join(os.MkdirAll(filepath.Dir(c.abs(to)), 0o755), os.Rename(c.abs(from), c.abs(to)))
	})
}

// read reads a file, which restores one that is released.
func (c *C) read(rel string) (b []byte, err error) {
	c.Helper()
	err = c.within("the read of "+rel, func() error {
		var err error
		b, err = os.ReadFile(c.abs(rel))
		return err
	})
	return b, err
}

func (c *C) wantContent(rel string, want []byte) {
	c.Helper()
	got, err := c.read(rel)
	switch {
	case err != nil:
		c.Errorf("read %q: %v", rel, err)
	case !bytes.Equal(got, want):
		c.Errorf("%q has %d bytes with SHA-256 %x, want %d with %x", rel, len(got), sha256.Sum256(got), len(want), sha256.Sum256(want))
	}
}

// archived writes a file and has it archived.
func (c *C) archived(rel string, b []byte) {
	c.Helper()
	c.write(rel, b)
	c.hsm("archive", rel)
	c.wantState(rel, inBoth)
}

// released writes a file, has it archived, and releases it.
func (c *C) released(rel string, b []byte) {
	c.Helper()
	c.archived(rel, b)
	c.request("release", rel)
	c.wantState(rel, inContainer)
}
