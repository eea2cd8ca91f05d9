package blobstore

import (
	"errors"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// DataIn finds the data of an open file with lseek(2), for [UploadOptions].NextData. It
// moves the file's offset. A file system that cannot tell holes (older Lustre) has data
// everywhere.
func DataIn(f *os.File) func(offset int64) (start, end int64) {
	return func(offset int64) (start, end int64) {
		start, err := f.Seek(offset, unix.SEEK_DATA)
		switch {
		case errors.Is(err, unix.ENXIO): // a hole to the end
			return math.MaxInt64, math.MaxInt64
		case err != nil:
			return offset, math.MaxInt64
		}
		if end, err = f.Seek(start, unix.SEEK_HOLE); err != nil {
			return start, math.MaxInt64
		}
		return start, end
	}
}
