package checks

import (
	"bytes"
	"os"
)

var races = []Check{
	{"a write during an archive never makes a torn blob", writeDuringArchive},
	{"two archives of one file at once", func(c *C) {
		b := content(1_000_000, 1)
		c.write("f", b)
		c.request("archive", "f", "f")
		c.wait("f")
		c.wantState("f", inBoth)
		c.wantBlob("f", b)
	}},
	{"a cancelled archive leaves a whole blob or none", cancelArchive},
	{"many readers of one released file", manyReaders},
}

// writeDuringArchive writes as long as the archive takes. Whether one of the
// writes comes in time is chance; what must hold, holds either way.
func writeDuringArchive(c *C) {
	b := content(64<<20, 1)
	c.write("f", b)
	c.request("archive", "f")
	c.append("f", []byte("late"))
	c.wait("f")
	late := append(bytes.Clone(b), "late"...)
	switch got, there := c.blobContent("f"); {
	case there && !bytes.Equal(got, b) && !bytes.Equal(got, late):
		c.Errorf("the blob has %d bytes, and is neither the file before the write nor after it", len(got))
	case there && bytes.Equal(got, b):
		if flags, _ := c.flags("f"); flags&dirty == 0 {
			c.Errorf("the file has changed since its blob was made, and its state is %#x", flags)
		}
	}
	c.hsm("archive", "f")
	c.wantState("f", inBoth)
	c.wantBlob("f", late)
}

func cancelArchive(c *C) {
	b := content(64<<20, 1)
	c.write("f", b)
	c.request("archive", "f")
	c.tryLfs(0, "hsm_cancel", c.abs("f")) // it may be too late
	c.wait("f")
	// What was on its way when the cancel came may still arrive, and be all there is of it.
	flags, _ := c.flags("f")
	switch got, there := c.blobContent("f"); {
	case there && !bytes.Equal(got, b):
		c.Errorf("the blob has %d bytes, and is not the file", len(got))
	case !there && flags == inBoth:
		c.Errorf("the state is %#x, and there is no blob", flags)
	}
	c.hsm("archive", "f")
	c.wantState("f", inBoth)
	c.wantBlob("f", b)
}

func manyReaders(c *C) {
	b := content(5_000_000, 5)
	c.released("f", b)
	type result struct {
		b   []byte
		err error
	}
	const n = 10
	results := make(chan result, n)
	for range n {
		go func() { // ends with the restore, or the process
			got, err := os.ReadFile(c.abs("f"))
			results <- result{got, err}
		}()
	}
	for range n {
		select {
		case r := <-results:
			if r.err != nil || !bytes.Equal(r.b, b) {
				c.Errorf("a reader got %d bytes, %v", len(r.b), r.err)
			}
		case <-c.Context().Done():
			c.Fatalf("a reader hangs")
		}
	}
	c.wantState("f", inBoth)
}
