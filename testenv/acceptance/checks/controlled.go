package checks

// controlled are checks that need more than an administrator has.
var controlled = []Check{
	{"the old blob stays until the new one is complete", func(c *C) {
		c.needsGate()
		first := content(17<<20, 1)
		c.archived("f", first)
		c.append("f", []byte("second"))
		caught, release := c.Gate.HoldCommit(c.blob("f"))
		defer release()
		c.request("archive", "f")
		c.event(caught)
		c.wantBlob("f", first)
		release()
		c.wait("f")
		c.wantBlob("f", append(first, "second"...))
	}},
	{"a write at the last moment fails the archive", func(c *C) {
		c.needsGate()
		first := content(1000, 1)
		c.archived("f", first)
		c.append("f", []byte("second"))
		caught, release := c.Gate.HoldCommit(c.blob("f"))
		defer release()
		c.request("archive", "f")
		c.event(caught)
		c.append("f", []byte("third"))
		release()
		c.wait("f")
		c.wantState("f", changed) // the blob may be the second version, and the file says that it is not
		c.hsm("archive", "f")
		c.wantBlob("f", append(first, "secondthird"...))
	}},
	{"a running archive can be cancelled", func(c *C) {
		c.needsGate()
		c.write("f", content(17<<20, 1))
		caught, release := c.Gate.HoldCommit(c.blob("f"))
		defer release()
		c.request("archive", "f")
		c.event(caught)
		c.request("cancel", "f")
		c.wait("f") // the gate is still closed: only the cancel can have ended it
		c.wantState("f", exists)
		c.wantNoBlob("f")
		release()
		c.hsm("archive", "f")
		c.wantState("f", inBoth)
	}},
	{"a running restore can be cancelled", func(c *C) {
		c.needsGate()
		b := content(1_000_000, 1)
		c.released("f", b)
		caught, release := c.Gate.HoldRead(c.blob("f"))
		defer release()
		c.request("restore", "f")
		c.event(caught)
		c.request("cancel", "f")
		c.wait("f")
		c.wantState("f", inContainer)
		release()
		c.wantContent("f", b)
	}},
	{"a released file survives a restart of the copytool", func(c *C) {
		if c.Restart == nil {
			c.Skipf("needs control of the copytool")
		}
		b := content(50_000, 7)
		c.released("f", b)
		if err := c.Restart(c.Context()); err != nil {
			c.Fatalf("restart the copytool: %v", err)
		}
		c.wantContent("f", b)
	}},
}

func (c *C) needsGate() {
	c.Helper()
	if c.Gate == nil {
		c.Skipf("needs fault injection")
	}
}

// event waits for something that must come.
func (c *C) event(happens <-chan struct{}) {
	c.Helper()
	select {
	case <-happens:
	case <-c.Context().Done():
		c.Fatalf("the request that is waited for does not come")
	}
}
