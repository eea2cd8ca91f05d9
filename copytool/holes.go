package copytool

import (
	"errors"
	"math"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// holes finds what of a file is data, for an upload of the file. What the file system
// says is a hole is neither read nor sent.
type holes struct{ file *os.File }

// holesOf gives nil, so that all of a file is read, unless it is at rest. OpenZFS
// before 2.2.2 and 2.1.14 may say that data are a hole until they are on its disks,
// and an OST may be one. A file that nobody has changed for a minute has no such data:
// clients have sent what they held by then (after 35 s, by Linux's defaults), and ZFS
// has written it (5 s).
func (j *job) holesOf(s *source) func(offset int64) (start, end int64) {
	if !s.attr.atRest(j.o.HolesAfter, time.Now()) {
		return nil
	}
	return holes{j.file}.nextData
}

// atRest tells whether neither data nor attributes have been changed for so long: a
// user may set the one time, and not the other. A time that is yet to come tells that
// clocks differ, and proves nothing.
func (a Attr) atRest(long time.Duration, now time.Time) bool {
	return long == 0 || now.Sub(a.Modified) >= long && now.Sub(a.Changed) >= long
}

// nextData is where the next data begin and end, at an offset or behind it; see
// [blobstore.UploadOptions]. It moves the file's offset, which nobody else needs. A
// file system that cannot tell (older Lustre) has data everywhere.
func (h holes) nextData(offset int64) (start, end int64) {
	start, err := h.file.Seek(offset, unix.SEEK_DATA)
	switch {
	case errors.Is(err, syscall.ENXIO): // a hole to the end
		return math.MaxInt64, math.MaxInt64
	case err != nil:
		return offset, math.MaxInt64
	}
	if end, err = h.file.Seek(start, unix.SEEK_HOLE); err != nil {
		return start, math.MaxInt64
	}
	return start, end
}
