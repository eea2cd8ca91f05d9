package checks

import (
	"os"
	"strings"
)

var users = []Check{
	{"a plain user may release and restore, and not archive or remove", plainUser},
	{"lfs refuses what is no file", func(c *C) {
		c.must("mkdir", func() error { return os.Mkdir(c.abs("dir"), 0o755) })
		if _, stderr, code := c.tryLfs(0, "hsm_archive", c.abs("dir")); code == 0 {
			c.Errorf("a directory could be archived: %q", stderr)
		}
	}},
}

// plainUser is denied where Lustre denies, and only there.
func plainUser(c *C) {
	if os.Geteuid() != 0 {
		c.Skipf("needs root, to act as somebody else")
	}
	b := content(100_000, 1)
	c.write("f", b)
	c.must("chown", func() error { return os.Chown(c.abs("f"), c.UID, c.UID) })
	denied := func(verb string) {
		if _, stderr, code := c.tryLfs(c.UID, "hsm_"+verb, c.abs("f")); code != 1 || !strings.Contains(stderr, "Operation not permitted") {
			c.Errorf("user %d, hsm_%s: exit %d, %q", c.UID, verb, code, stderr)
		}
	}
	allowed := func(verb string) {
		if _, stderr, code := c.tryLfs(c.UID, "hsm_"+verb, c.abs("f")); code != 0 {
			c.Errorf("user %d, hsm_%s: exit %d, %q", c.UID, verb, code, stderr)
		}
	}
	denied("archive")
	c.hsm("archive", "f")
	denied("remove")
	allowed("release")
	allowed("state")
	c.wantState("f", inContainer)
	allowed("restore")
	c.wait("f")
	c.wantState("f", inBoth)
	c.wantContent("f", b)
	if _, stderr, code := c.tryLfs(c.UID, "hsm_set", "--exists", c.abs("f")); code != 1 || !strings.Contains(stderr, "Operation not permitted") {
		c.Errorf("user %d, hsm_set --exists: exit %d, %q", c.UID, code, stderr)
	}
}
