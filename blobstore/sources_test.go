package blobstore

import (
	"bytes"
	"errors"
	"sync/atomic"
	"syscall"
)

// countingSource counts the bytes that were read.
type countingSource struct {
	data []byte
	n    atomic.Int64
}

func (s *countingSource) ReadAt(p []byte, off int64) (int, error) {
	n, err := bytes.NewReader(s.data).ReadAt(p, off)
	s.n.Add(int64(n))
	return n, err
}

func (s *countingSource) bytesRead() int { return int(s.n.Load()) }

// errSource is what a failingSource fails with: an errno, as a file would.
var errSource = errors.Join(errors.New("broken disk"), syscall.EIO)

// failingSource can be neither read nor written.
type failingSource struct{}

func (failingSource) ReadAt([]byte, int64) (int, error)  { return 0, errSource }
func (failingSource) WriteAt([]byte, int64) (int, error) { return 0, errSource }
