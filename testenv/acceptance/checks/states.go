package checks

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

var states = []Check{
	{"a copytool archives a file", func(c *C) { c.archived("f", []byte("hello")) }},
	{"life of a file: archive, change, release, read, restore, remove", life},
	{"an archive of a clean file moves nothing", func(c *C) {
		c.archived("f", []byte("content"))
		etag := *c.properties("f").ETag
		c.hsm("archive", "f")
		if now := *c.properties("f").ETag; now != etag {
			c.Errorf("the blob was written again: ETag %s became %s", etag, now)
		}
	}},
	{"many files, asked for one by one", manyFiles},
	{"a release is refused unless the copy is current", releaseRefused},
	{"directories have markers", markers},
	{"a blob has the metadata that other tools read", metadata},
	{"owner, mode, size and time survive a restore", attributes},
}

func life(c *C) {
	first := content(100_000, 1)
	c.write("dir/f", first)
	if flags, _ := c.flags("dir/f"); flags != 0 {
		c.Errorf("a new file has flags %#x", flags)
	}
	c.hsm("archive", "dir/f")
	c.wantState("dir/f", inBoth)
	c.wantBlob("dir/f", first)

	c.append("dir/f", []byte("more"))
	c.wantState("dir/f", changed)
	c.wantBlob("dir/f", first)
	second := append(first, "more"...)
	c.hsm("archive", "dir/f")
	c.wantState("dir/f", inBoth)
	c.wantBlob("dir/f", second)

	c.request("release", "dir/f")
	c.wantState("dir/f", inContainer)
	c.hsm("archive", "dir/f") // its data is in the container only: nothing to do
	c.wantState("dir/f", inContainer)

	c.wantContent("dir/f", second) // the read restores
	c.wantState("dir/f", inBoth)

	c.request("release", "dir/f")
	c.hsm("restore", "dir/f")
	c.wantState("dir/f", inBoth)
	c.wantContent("dir/f", second)

	c.hsm("remove", "dir/f")
	c.wantState("dir/f", 0)
	c.wantNoBlob("dir/f")
	c.wantContent("dir/f", second)
}

func manyFiles(c *C) {
	const n = 40
	var rels []string
	for i := range n {
		rels = append(rels, fmt.Sprintf("tree/d%d/f%d", i%4, i))
		c.write(rels[i], content(1000+i, byte(i)))
	}
	c.request("archive", rels...)
	c.wait(rels...)
	for i, rel := range rels {
		c.wantState(rel, inBoth)
		c.wantBlob(rel, content(1000+i, byte(i)))
	}
	if found := c.files(); len(found) != n {
		c.Errorf("there are %d blobs, want %d", len(found), n)
	}
}

// releaseRefused looks at Lustre more than at the copytool: the data must not be
// given up before the copy is complete and current.
func releaseRefused(c *C) {
	refused := func(when string) {
		if _, stderr, code := c.tryLfs(0, "hsm_release", c.abs("f")); code != 1 || !strings.Contains(stderr, "Operation not permitted") {
			c.Errorf("release of a file %s: exit %d, %q", when, code, stderr)
		}
	}
	c.write("f", []byte("one"))
	refused("that was never archived")
	c.hsm("archive", "f")
	c.append("f", []byte("two"))
	refused("that has changed")
	c.hsm("archive", "f")
	c.request("release", "f")
	c.append("f", []byte("three")) // restores it first
	c.wantState("f", changed)
	refused("that was restored and has changed")
	c.wantContent("f", []byte("onetwothree"))
}

func markers(c *C) {
	var rels []string
	for i := range 5 {
		rels = append(rels, fmt.Sprintf("a/b/f%d", i))
		c.write(rels[i], []byte("x"))
	}
	c.must("chmod", func() error { return os.Chmod(c.abs("a/b"), 0o750) })
	c.hsm("archive", rels...)
	if md := lower(c.properties("a/b").Metadata); md["hdi_isfolder"] != "true" || md["permissions"] != "0750" {
		c.Errorf("metadata of the marker of a/b: %v", md)
	}
}

func metadata(c *C) {
	c.write("f", []byte("content"))
	want := map[string]string{"permissions": "0640"}
	if os.Geteuid() == 0 {
		c.must("chown", func() error { return os.Chown(c.abs("f"), 1234, 5678) })
		want["owner"], want["group"] = "1234", "5678"
	}
	c.must("chmod", func() error { return os.Chmod(c.abs("f"), 0o640) })
	c.hsm("archive", "f")
	md := lower(c.properties("f").Metadata)
	for key, value := range want {
		if md[key] != value {
			c.Errorf("metadata %s is %q, want %q", key, md[key], value)
		}
	}
	if got, want := strings.Trim(md["lhsm_fid"], "[]"), strings.Trim(c.fid("f"), "[]"); got != want {
		c.Errorf("metadata lhsm_fid is %q, want %q", got, want)
	}
	for _, key := range []string{"owner", "group", "modtime", "lhsm_crc64"} {
		if md[key] == "" {
			c.Errorf("metadata %s is missing: %v", key, md)
		}
	}
}

func attributes(c *C) {
	b := content(5000, 3)
	c.archived("f", b)
	if os.Geteuid() == 0 {
		c.must("chown", func() error { return os.Chown(c.abs("f"), 4321, 8765) })
	}
	c.must("chmod", func() error { return os.Chmod(c.abs("f"), 0o4710) })
	before := c.stat("f")
	c.request("release", "f")
	c.wantContent("f", b)
	if after := c.stat("f"); after != before {
		c.Errorf("release and restore changed it: before %s, after %s", before, after)
	}
}

func (c *C) stat(rel string) string {
	c.Helper()
	var st syscall.Stat_t
	c.must("stat", func() error { return syscall.Stat(c.abs(rel), &st) })
	return fmt.Sprintf("mode %o owner %d:%d size %d mtime %d", st.Mode, st.Uid, st.Gid, st.Size, st.Mtim.Sec)
}
