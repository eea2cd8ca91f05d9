package jobs

import "maps"

// find counts files that were found, and what has become of them.
func (c *Counters) find(s workStatus, files, bytes int64) {
	c.FilesFound += files
	c.BytesFound += bytes
	c.account(s, files, bytes)
}

// account counts what has become of files that are counted as found already.
func (c *Counters) account(s workStatus, files, bytes int64) {
	switch s {
	case workExported:
		c.FilesExported += files
		c.BytesExported += bytes
	case workChanged:
		c.FilesChangedDuringCopy += files
		fallthrough
	case workFailed:
		c.FilesFailed += files
		c.BytesFailed += bytes
	case workVanished:
		c.skip(SkipVanished, files, bytes)
	case workLeft:
		c.FilesLeft += files
		c.BytesLeft += bytes
	case workSkipped, workOpen, workListed, workParked:
	}
}

// skip counts files that are found already as skipped.
func (c *Counters) skip(why Reason, files, bytes int64) {
	c.FilesSkipped += files
	c.BytesSkipped += bytes
	if c.SkippedBy == nil {
		c.SkippedBy = map[Reason]int64{}
	}
	c.SkippedBy[why] += files
}

func (c *Counters) clone() Counters {
	cp := *c
	cp.SkippedBy = maps.Clone(c.SkippedBy)
	return cp
}

// percent is what is done of what had to go, by files or by bytes, whichever
// is less; never 100, which is for a job that is over.
func (c *Counters) percent() int {
	files := share(c.FilesExported+c.FilesFailed, c.FilesFound-c.FilesSkipped)
	bytes := share(c.BytesExported+c.BytesFailed, c.BytesFound-c.BytesSkipped)
	if c.BytesFound == c.BytesSkipped {
		bytes = files // nothing but empty files
	}
	return min(files, bytes, 99)
}

func share(part, whole int64) int {
	if whole <= 0 {
		return 0
	}
	return int(float64(part) / float64(whole) * 100)
}
