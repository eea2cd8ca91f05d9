package copytool

import (
	"time"

	"lhsm-azblob/blobstore"
)

// dataOf is how an upload finds what of the file is data, so that holes are neither
// read nor sent. It is nil, so that all is read, unless the file is at rest. OpenZFS
// before 2.2.2 and 2.1.14 may say that data are a hole until they are on its disks,
// and an OST may be one. A file that nobody has changed for a minute has no such data:
// clients have sent what they held by then (after 35 s, by Linux's defaults), and ZFS
// has written it (5 s).
func (j *job) dataOf(s *source) func(offset int64) (start, end int64) {
	if !s.attr.atRest(j.o.HolesAfter, time.Now()) {
		return nil
	}
	return blobstore.DataIn(j.file) // its offset is in nobody's way
}

// atRest tells whether neither data nor attributes have been changed for so long: a
// user may set the one time, and not the other. A time that is yet to come tells that
// clocks differ, and proves nothing.
func (a Attr) atRest(long time.Duration, now time.Time) bool {
	return long == 0 || now.Sub(a.Modified) >= long && now.Sub(a.Changed) >= long
}
