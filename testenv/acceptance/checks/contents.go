package checks

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

var contents = []Check{
	{"files of all sizes come back", sizes},
	{"a sparse file comes back, and its zeros are holes", sparse},
	{"names of all kinds come back", oddNames},
}

// sizes are around those at which the way of an upload changes.
func sizes(c *C) {
	for i, size := range []int{0, 1, 4095, 1 << 20, 8 << 20, 8<<20 + 1, 300 << 20} {
		rel := fmt.Sprintf("%d bytes", size)
		b := content(size, byte(i))
		c.released(rel, b)
		c.wantBlob(rel, b)
		c.wantContent(rel, b)
		c.wantState(rel, inBoth)
	}
}

// sparse has half a gigabyte with data at both ends and in the middle.
func sparse(c *C) {
	const size = 512 << 20
	marks := map[int64][]byte{0: []byte("begin"), size / 2: []byte("middle"), size - 3: []byte("end")}
	want := make([]byte, size)
	c.must("write the sparse file", func() error {
		f, err := os.Create(c.abs("sparse"))
		if err != nil {
			return err
		}
		for off, b := range marks {
			copy(want[off:], b)
			if _, werr := f.WriteAt(b, off); werr != nil {
				err = werr
			}
		}
		return errors.Join(err, f.Close())
	})
	c.hsm("archive", "sparse")
	c.wantState("sparse", inBoth)
	c.request("release", "sparse")
	c.hsm("restore", "sparse")
	got, err := c.read("sparse")
	if err != nil || !bytes.Equal(got, want) {
		c.Errorf("it came back as %d bytes, %v", len(got), err)
	}
	var st syscall.Stat_t
	c.must("stat", func() error { return syscall.Stat(c.abs("sparse"), &st) })
	if disk := st.Blocks * 512; disk > size/2 {
		c.Errorf("the restored file takes %d bytes of disk; its zeros are no holes", disk)
	}
}

// oddNames has every kind of name that a POSIX file system allows and a URL does not.
func oddNames(c *C) {
	names := []string{
		"new\nline", "quote'\"", "per%cent", "per%20cent", "hash#", "question?", `back\slash`, "not-utf8-\xff\xfe", "tab\tbell\a",
		strings.Repeat("n", 255), "trailing dot.", "dir./in a dotted dir", "...", " leading space", "trailing space ", "plus+and&amp;",
		"ünïcödé", "e\u0301 decomposed", "\u00e9 composed", "colon:semi;", "~tilde", "[brackets]", "star*", "$(touch pwned)", "-dash", "\u0081\ue000",
		strings.Repeat("d23456789/", 120) + "file",
	}
	for i, name := range names {
		c.write(name, content(100+i, byte(i)))
	}
	c.hsm("archive", names...)
	c.request("release", names...)
	for i, name := range names {
		c.wantState(name, inContainer)
		c.wantContent(name, content(100+i, byte(i)))
		c.wantState(name, inBoth)
	}
	if found := c.files(); len(found) != len(names) {
		c.Errorf("%d files became %d blobs: %+v", len(names), len(found), found)
	}
	for _, plain := range []string{"hash#", "question?", "ünïcödé", "quote'\""} {
		if _, ok := c.blobContent(plain); !ok {
			c.Errorf("%q is a good blob name and was changed", plain)
		}
	}
}
