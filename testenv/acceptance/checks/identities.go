package checks

import (
	"errors"
	"os"
)

var identities = []Check{
	{"a renamed file comes back", func(c *C) {
		b := content(10_000, 1)
		c.released("old/name", b)
		c.rename("old/name", "new/name")
		c.wantContent("new/name", b)
		c.wantBlob("old/name", b)
	}},
	{"a file in a renamed directory comes back", func(c *C) {
		b := content(10_000, 1)
		c.released("old/name", b)
		c.rename("old", "new")
		c.wantContent("new/name", b)
	}},
	{"a new file at an old path spares the old file's copy", reuse},
	{"names that move along, as in a rotation of logs", chain},
	{"a renamed and changed file leaves no blob behind", func(c *C) {
		c.archived("before", []byte("one"))
		c.rename("before", "after")
		c.append("after", []byte("two"))
		c.hsm("archive", "after")
		c.wantState("after", inBoth)
		c.wantBlob("after", []byte("onetwo"))
		c.until(func() (bool, string) { // a moment after the coordinator has taken the success
			_, there := c.blobContent("before")
			return !there, "the blob at the former path is still there"
		})
		c.request("release", "after")
		c.wantContent("after", []byte("onetwo"))
	}},
	{"a file with two names has one blob", hardLinks},
}

// reuse is the way in which tools that go by path destroy data.
func reuse(c *C) {
	first, second := content(10_000, 1), content(20_000, 2)
	c.released("a", first)
	c.rename("a", "b")
	c.archived("a", second)
	c.wantBlob("a", second)
	c.wantContent("b", first)
	c.wantState("b", inBoth)
	c.request("release", "a")
	c.wantContent("a", second)
}

func chain(c *C) {
	c.released("log.1", content(1000, 1))
	c.released("log.0", content(1001, 2))
	c.rename("log.1", "log.2")
	c.rename("log.0", "log.1")
	c.released("log.0", content(1002, 3))
	c.append("log.1", []byte("!")) // restores it first
	c.hsm("archive", "log.1")
	c.wantState("log.1", inBoth)
	c.request("release", "log.1")
	c.wantContent("log.2", content(1000, 1))
	c.wantContent("log.1", append(content(1001, 2), '!'))
	c.wantContent("log.0", content(1002, 3))
}

func hardLinks(c *C) {
	b := content(10_000, 4)
	c.write("one", b)
	c.must("link", func() error { return os.Link(c.abs("one"), c.abs("two")) })
	c.hsm("archive", "one")
	c.wantState("two", inBoth)
	if found := c.files(); len(found) != 1 {
		c.Errorf("one file with two names became the blobs %+v, want one", found)
	}
	c.request("release", "two")
	c.must("unlink", func() error { return os.Remove(c.abs("one")) })
	c.wantContent("two", b)
}

// remove unlinks a file.
func (c *C) remove(rel string) {
	c.Helper()
	c.must("unlink", func() error {
		err := os.Remove(c.abs(rel))
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	})
}
