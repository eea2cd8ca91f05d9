package state

import (
	"math/rand/v2"
	"syscall"
	"testing"
)

func TestProgressErrors(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := w.file("f", "x")
		w.archiveReq(f)
		it := c.mustNext(1)[0]
		c.start(it)
		good := Progress{FID: f, Cookie: it.Cookie, Extent: Extent{0, 1}}
		edit := func(change func(*Progress)) Progress { p := good; change(&p); return p }
		for name, c := range map[string]struct {
			cred Cred
			p    Progress
			want error
		}{
			"good":          {Root, good, nil},
			"to the end":    {Root, edit(func(p *Progress) { p.Extent = WholeFile }), nil},
			"not root":      {alice, good, syscall.EPERM},
			"cookie":        {Root, edit(func(p *Progress) { p.Cookie++ }), syscall.ENOENT},
			"wrong file":    {Root, edit(func(p *Progress) { p.FID.OID++ }), syscall.EINVAL},
			"wraps":         {Root, edit(func(p *Progress) { p.Extent = Extent{^uint64(0), 2} }), syscall.EINVAL},
			"error running": {Root, edit(func(p *Progress) { p.Errval = 5 }), syscall.EINVAL},
			"unknown flag":  {Root, edit(func(p *Progress) { p.Flags = 8 }), syscall.EINVAL},
		} {
			if err := w.Progress(c.cred, c.p); err != c.want { //nolint:errorlint // progress returns bare errnos
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
		w.wantStatuses("ARCHIVE STARTED")
	})
}

// Section 5.8 of lustre-hsm-api.md.
func TestEndOfAnArchive(t *testing.T) {
	for name, c := range map[string]struct {
		policy  string
		errno   syscall.Errno
		flags   ProgressFlags
		records string
		state   Flags
	}{
		"success":           {"+NRA", 0, 0, "ARCHIVE SUCCEED", Exists | Archived},
		"ENOSYS":            {"-NRA", syscall.ENOSYS, ProgressRetry, "ARCHIVE FAILED", Exists},
		"ECANCELED unasked": {"+NRA", syscall.ECANCELED, 0, "ARCHIVE SUCCEED", Exists},
		"retry not allowed": {"+NRA", syscall.EIO, ProgressRetry, "ARCHIVE FAILED", Exists},
		"retry not asked":   {"-NRA", syscall.EIO, 0, "ARCHIVE FAILED", Exists},
		"retry":             {"-NRA", syscall.EIO, ProgressRetry, "ARCHIVE STARTED", Exists}, // and sent again
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, enabled, func(w *world) {
				tool := w.tool(1)
				w.set("mdt.*.hsm.policy=" + c.policy)
				f := w.file("f", "x")
				w.archiveReq(f)
				it := tool.mustNext(1)[0]
				dv := tool.start(it)
				_, err := w.CopyEnd(w.t.Context(), Root, Copy{DataVersion: dv, Flags: c.flags, Errval: uint16(c.errno), Item: it})
				w.ok(err)
				w.wantStatuses(c.records)
				w.wantState(f, c.state, 1)
				if c.records == "ARCHIVE STARTED" {
					if again := tool.mustNext(1)[0]; again.Cookie != it.Cookie {
						t.Errorf("sent again with cookie %#x", again.Cookie)
					}
				}
			})
		})
	}
}

// Facts/real-lustre.md section 4.
func TestFileChangesDuringItsArchive(t *testing.T) {
	size := uint64(1)
	for name, change := range map[string]func(w *world, f FID){
		"append":    func(w *world, f FID) { w.write(f, "longer content") },
		"overwrite": func(w *world, f FID) { w.write(f, "CONTENT") },
		"truncate": func(w *world, f FID) {
			_, err := w.SetAttr(f, Root, SetAttr{Size: &size})
			w.ok(err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, enabled, func(w *world) {
				c := w.tool(1)
				f := w.file("w", "content")
				w.archiveReq(f)
				it := c.mustNext(1)[0]
				dv := c.start(it)
				change(w, f)
				w.wantState(f, Exists|Dirty, 1)
				w.is(c.end(it, dv, 0), syscall.EBUSY)
				w.wantState(f, Exists|Dirty, 1)
				w.wantStatuses("ARCHIVE FAILED")
				w.is(w.request(Root, UserRelease, 0, f), syscall.EPERM)
				w.archiveReq(f)
				c.do(c.mustNext(1)[0])
				w.wantState(f, Exists|Archived, 1)
			})
		})
	}
}

func TestHarmlessChangesDuringAnArchive(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := w.file("f", "content")
		w.archiveReq(f)
		it := c.mustNext(1)[0]
		dv := c.start(it)
		w.ok(w.SetXattr(f, Root, "trusted.x", []byte("y"), 0))
		mode := uint32(0o600)
		_, err := w.SetAttr(f, Root, SetAttr{Mode: &mode})
		w.ok(err)
		w.ok(w.Rename(RootFID, "f", RootFID, "g", 0, Root))
		w.ok(c.end(it, dv, 0))
		w.wantState(f, Exists|Archived, 1)
	})
}

func TestUnlinkDuringArchive(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f, g := w.file("f", "x"), w.file("g", "x")
		w.archiveReq(f, g)
		items := c.mustNext(2)
		dv := c.start(items[0])
		h, err := w.Open(f, 0, Root) // the copytool reads it
		w.ok(err)
		w.ok(w.Unlink(RootFID, "f", Root))
		w.ok(w.Unlink(RootFID, "g", Root))
		w.ok(c.end(items[0], dv, 0))
		h.Release()
		_, err = w.CopyStart(Root, Copy{Item: items[1]})
		w.is(err, syscall.ENOENT) // and the coordinator is told
		w.wantStatuses("ARCHIVE SUCCEED, ARCHIVE FAILED")
	})
}

// A process that never registered may finish what another one left.
func TestTakeOverOfAnArchive(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		dead := w.tool(1)
		f := w.file("f", "x")
		w.archiveReq(f)
		it := dead.mustNext(1)[0]
		dead.start(it)
		other := &tool{w: w}
		other.do(it)
		w.wantStatuses("ARCHIVE SUCCEED")
	})
}

func TestExtents(t *testing.T) {
	for name, c := range map[string]struct {
		add  []Extent
		want uint64
	}{
		"heartbeat":  {[]Extent{{5, 0}}, 0},
		"repeat":     {[]Extent{{0, 10}, {0, 10}}, 10},
		"overlap":    {[]Extent{{0, 10}, {5, 10}}, 15},
		"apart":      {[]Extent{{0, 10}, {20, 10}}, 20},
		"bridge":     {[]Extent{{0, 10}, {20, 10}, {5, 20}}, 30},
		"touching":   {[]Extent{{10, 10}, {0, 10}}, 20},
		"whole":      {[]Extent{WholeFile, {0, 10}}, ^uint64(0)},
		"everything": {[]Extent{WholeFile, {^uint64(0), 1}}, ^uint64(0)},
	} {
		var x extents
		for _, e := range c.add {
			x.add(e)
		}
		if got := x.total(); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// Against a bitmap.
func TestExtentsAtRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var x extents
		var have [300]bool
		for range 30 {
			e := Extent{r.Uint64N(250), r.Uint64N(50)}
			x.add(e)
			for b := e.Offset; b < e.Offset+e.Length; b++ {
				have[b] = true
			}
		}
		want := uint64(0)
		for _, b := range have {
			if b {
				want++
			}
		}
		if got := x.total(); got != want {
			t.Fatalf("total %d, want %d: %v", got, want, x)
		}
	}
}
