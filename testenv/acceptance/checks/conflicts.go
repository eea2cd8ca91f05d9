package checks

import (
	"errors"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

var conflicts = []Check{
	{"a blob that somebody changed is refused", func(c *C) {
		c.released("f", content(10_000, 1))
		c.overwriteBlob("f", content(10_000, 9))
		c.wantUnreadable("f", "whose blob was replaced")
	}},
	{"a blob that somebody deleted is an error, not an empty file", func(c *C) {
		c.released("f", content(10_000, 1))
		c.deleteBlob("f")
		c.wantUnreadable("f", "whose blob is gone")
	}},
	{"somebody else's blob is not overwritten", func(c *C) {
		c.overwriteBlob("f", []byte("somebody else's"))
		c.write("f", []byte("ours"))
		c.hsm("archive", "f")
		if got, _ := c.blobContent("f"); string(got) == "ours" {
			c.Skipf("the copytool runs with --on-conflict overwrite")
		}
		c.wantState("f", exists)
		c.wantBlob("f", []byte("somebody else's"))
	}},
	{"the last failure stays on the file until a success", lastFailure},
	{"a remove deletes the blob of a file that is unlinked", func(c *C) {
		c.archived("f", []byte("content"))
		fid := c.fid("f")
		c.remove("f")
		c.wantBlob("f", []byte("content")) // unlink leaves the copy
		c.removeByName("f", fid)
		c.until(func() (bool, string) {
			_, there := c.blobContent("f")
			return !there, "the blob of the unlinked file is still there"
		})
	}},
	{"a remove spares the blob of the path's new owner", func(c *C) {
		c.archived("f", []byte("old"))
		fid := c.fid("f")
		c.remove("f")
		c.archived("f", []byte("new"))
		c.removeByName("f", fid)
		c.archived("later", []byte("whoever is asked later is done later")) // by a copytool with --removes 1, at least
		c.wantBlob("f", []byte("new"))
		c.request("release", "f")
		c.wantContent("f", []byte("new"))
	}},
}

// wantUnreadable expects an error, and never bytes that Lustre did not archive.
func (c *C) wantUnreadable(rel, why string) {
	c.Helper()
	if b, err := c.read(rel); err == nil {
		c.Errorf("the read of a file %s gave %d bytes and no error", why, len(b))
	}
	c.wantState(rel, inContainer)
}

func (c *C) removeByName(rel, fid string) {
	c.Helper()
	data := `{"file_id": "` + filepath.ToSlash(filepath.Join(c.dir, rel)) + `"}`
	c.lfs("hsm_remove", "--archive", c.archive(), "--mntpath", c.Mount, "--data", data, fid)
}

func lastFailure(c *C) {
	c.overwriteBlob("f", []byte("somebody else's"))
	c.write("f", []byte("ours"))
	c.hsm("archive", "f")
	got, err := c.lastError("f")
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENODATA) && unix.Geteuid() != 0 {
		c.Skipf("needs root, to see attributes that plain users do not see")
	}
	if b, _ := c.blobContent("f"); string(b) == "ours" {
		c.Skipf("the copytool runs with --on-conflict overwrite")
	}
	if !strings.Contains(got, "BlobExists") {
		c.Errorf("the file's trusted.lhsm_azblob_error is %q, %v; want BlobExists in it", got, err)
	}
	c.deleteBlob("f")
	c.hsm("archive", "f")
	c.wantState("f", inBoth)
	if got, _ := c.lastError("f"); got != "" {
		c.Errorf("the error stayed on the file after a success: %q", got)
	}
}

func (c *C) lastError(rel string) (string, error) {
	buf := make([]byte, 4096)
	n, err := unix.Getxattr(c.abs(rel), "trusted.lhsm_azblob_error", buf)
	return string(buf[:max(0, n)]), err
}
