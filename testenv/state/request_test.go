package state

import (
	"syscall"
	"testing"
	"testing/synctest"
)

// Facts/real-lustre.md section 3, and section 5.1 of lustre-hsm-api.md.
func TestAdmission(t *testing.T) {
	const none = ""
	dirty := func(w *world, _ *tool, f FID) { w.write(f, "changed") }
	release := func(w *world, _ *tool, f FID) { w.ok(w.Release(f, Root)) }
	lost := func(w *world, _ *tool, f FID) {
		release(w, nil, f)
		w.ok(w.HSMStateSet(f, Root, HSMSet{Set: uint64(Lost)}))
	}
	noarchive := func(w *world, _ *tool, f FID) {
		w.ok(w.HSMStateSet(f, Root, HSMSet{Set: uint64(NoArchive)}))
	}
	forget := func(w *world, _ *tool, f FID) {
		w.ok(w.HSMStateSet(f, Root, HSMSet{Clear: uint64(Exists | Archived)}))
	}
	for name, c := range map[string]struct {
		before  func(w *world, c *tool, f FID)
		cred    Cred
		action  UserAction
		archive uint32
		flags   RequestFlags
		err     error
		records string
	}{
		"archive new":              {forget, Root, UserArchive, 0, 0, nil, "ARCHIVE WAITING"},
		"archive clean":            {nil, Root, UserArchive, 0, 0, nil, none},
		"archive clean, forced":    {nil, Root, UserArchive, 0, FlagForce, syscall.EPERM, none},
		"archive clean elsewhere":  {nil, Root, UserArchive, 2, 0, nil, none},
		"archive released":         {release, Root, UserArchive, 0, 0, nil, none},
		"archive dirty":            {dirty, Root, UserArchive, 0, 0, nil, "ARCHIVE WAITING"},
		"archive dirty elsewhere":  {dirty, Root, UserArchive, 2, 0, syscall.EPERM, none},
		"archive noarchive":        {func(w *world, c *tool, f FID) { forget(w, c, f); noarchive(w, c, f) }, Root, UserArchive, 0, 0, syscall.EPERM, none},
		"archive as owner":         {forget, alice, UserArchive, 0, 0, syscall.EPERM, none},
		"archive as other":         {forget, bob, UserArchive, 0, 0, syscall.EPERM, none},
		"archive clean as owner":   {nil, alice, UserArchive, 0, 0, syscall.EPERM, none}, // before "needed"
		"archive unserved":         {forget, Root, UserArchive, 33, 0, nil, "ARCHIVE WAITING"},
		"archive -1":               {forget, Root, UserArchive, ^uint32(0), 0, nil, "ARCHIVE WAITING"},
		"restore new":              {forget, Root, UserRestore, 0, 0, nil, none},
		"restore clean":            {nil, Root, UserRestore, 0, 0, nil, none},
		"restore clean, forced":    {nil, Root, UserRestore, 0, FlagForce, syscall.EPERM, none},
		"restore dirty":            {dirty, Root, UserRestore, 0, 0, syscall.EPERM, none},
		"restore released":         {release, Root, UserRestore, 0, 0, nil, "RESTORE WAITING"},
		"restore as owner":         {release, alice, UserRestore, 0, 0, nil, "RESTORE WAITING"},
		"restore as other":         {release, bob, UserRestore, 0, 0, nil, "RESTORE WAITING"},
		"restore lost":             {lost, Root, UserRestore, 0, 0, syscall.EPERM, none},
		"remove new":               {forget, Root, UserRemove, 0, 0, nil, none},
		"remove clean":             {nil, Root, UserRemove, 0, 0, nil, "REMOVE WAITING"},
		"remove dirty":             {dirty, Root, UserRemove, 0, 0, nil, "REMOVE WAITING"},
		"remove released":          {release, Root, UserRemove, 0, 0, syscall.EPERM, none},
		"remove as owner":          {nil, alice, UserRemove, 0, 0, syscall.EPERM, none},
		"cancel nothing":           {nil, Root, UserCancel, 0, 0, nil, none},
		"cancel nothing, as owner": {nil, alice, UserCancel, 0, 0, nil, none},
		"unknown action":           {nil, Root, UserAction(99), 0, 0, syscall.EINVAL, none},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, enabled, func(w *world) {
				tool := w.tool(1)
				f := tool.archived("f", "content", alice)
				w.dropRecords()
				tool.Unregister() // what is recorded stays WAITING
				if c.before != nil {
					c.before(w, tool, f)
				}
				r := Request{Action: c.action, ArchiveID: c.archive, Flags: c.flags, Items: []RequestItem{{f, WholeFile}}}
				w.is(w.Request(c.cred, r), c.err)
				w.wantStatuses(c.records)
			})
		})
	}
}

// dropRecords removes the records that are over, as grace_delay does.
func (w *world) dropRecords() {
	w.set("mdt.*.hsm.grace_delay=1ms")
	w.set("mdt.*.hsm.loop_period=10ms")
	w.set("mdt.*.hsm_control=enabled")
	w.sleep("20ms")
	w.set("mdt.*.hsm.loop_period=10")
	w.set("mdt.*.hsm.grace_delay=60")
	if got := w.statuses(); got != "" {
		w.t.Fatalf("records left: %s", got)
	}
}

func TestAdmissionOfDirectoriesAndMissingFiles(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		missing := FID{firstSeq, 0x9999, 0}
		w.is(w.request(Root, UserArchive, 0, missing), syscall.ENOENT)
		w.is(w.request(Root, UserRestore, 0, missing), syscall.ENOENT)
		w.is(w.request(alice, UserRemove, 0, missing), syscall.ENOENT)
		w.ok(w.request(alice, UserCancel, 0, missing))
		w.is(w.request(Root, UserArchive, 0, FID{1, 2, 3}), syscall.EINVAL)
		w.is(w.request(Root, UserArchive, 0, RootFID), syscall.EINVAL)
		w.ok(w.request(Root, UserArchive, 0))
		w.wantStatuses("")
		w.ok(w.request(Root, UserRemove, 0, missing))
		w.wantStatuses("REMOVE WAITING") // for whoever serves all archives
	})
}

func TestRemoveOfAMissingFileGoesToEveryArchiveServed(t *testing.T) {
	inBubble(t, with("mdt.*.hsm.max_requests", "10"), func(w *world) {
		c := w.tool(1, 3)
		missing := FID{firstSeq, 0x9999, 0}
		w.ok(w.request(Root, UserRemove, 0, missing))
		w.wantStatuses("REMOVE STARTED, REMOVE STARTED")
		for range 2 {
			w.ok(c.end(c.mustNext(1)[0], 0, 0))
		}
		w.ok(w.request(Root, UserRemove, 3, missing))
		w.ok(c.end(c.mustNext(1)[0], 0, syscall.ENOENT))
		w.wantStatuses("REMOVE SUCCEED, REMOVE SUCCEED, REMOVE FAILED")
	})
}

func TestRequestSize(t *testing.T) {
	for name, c := range map[string]struct {
		items, data int
		err         error
	}{
		"52 files":           {52, 0, nil},
		"53 files":           {53, 0, syscall.E2BIG},
		"1649 bytes of data": {1, 1649, nil},
		"1650 bytes of data": {1, 1650, syscall.E2BIG},
		"nothing but 2 KiB":  {0, 2048, syscall.E2BIG},
		"nothing":            {0, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, enabled, func(w *world) {
				w.ok(w.BulkCreate(RootFID, "f", 0, c.items, 1, Root))
				r := Request{Action: UserArchive, Data: make([]byte, c.data)}
				w.begin()
				first := w.nextOID - uint64(c.items)
				w.FS.end()
				for n := range c.items {
					r.Items = append(r.Items, RequestItem{FIDFromIno(first + uint64(n)), WholeFile})
				}
				w.is(w.Request(Root, r), c.err)
				want := c.items
				if c.err != nil {
					want = 0 // nothing at all
				}
				w.begin()
				defer w.FS.end()
				if got := w.cdt.log.Len(); got != want {
					t.Errorf("%d records, want %d", got, want)
				}
			})
		})
	}
}

func TestRequestDetails(t *testing.T) {
	inBubble(t, with("mdt.*.hsm.default_archive_id", "5"), func(w *world) {
		f, g := w.file("f", "x"), w.file("g", "x")
		w.archiveReq(f, f) // the same file twice in one request
		w.wantStatuses("ARCHIVE WAITING")
		w.archiveReq(f) // and once more in another one
		w.wantStatuses("ARCHIVE WAITING, ARCHIVE WAITING")
		r := Request{Action: UserArchive, ArchiveID: 2, Data: []byte("thirteen byte"), Items: []RequestItem{{g, WholeFile}}}
		w.ok(w.Request(Root, r))
		missing := FID{firstSeq, 0x9999, 0}
		h := w.file("h", "x")
		w.is(w.request(Root, UserArchive, 2, h, missing, f), syscall.ENOENT)
		w.wantStatuses("ARCHIVE WAITING, ARCHIVE WAITING, ARCHIVE WAITING, ARCHIVE WAITING") // h stays
		five := w.tool(5)
		items := five.mustNext(2)
		if items[0].FID != f || items[1].FID != f || items[0].Cookie == items[1].Cookie {
			t.Errorf("duplicates: %+v", items)
		}
		two := w.toolOn(w.NewClient(), 2)
		items = two.mustNext(1) // max_requests is 3
		if string(items[0].Data) != "thirteen byte" || items[0].FID != g {
			t.Errorf("data: %+v", items[0])
		}
	})
}

func TestRestoreAdmission(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := c.released("f", "x")
		c.Unregister()
		r := Request{Action: UserRestore, Items: []RequestItem{{f, Extent{1, 5}}}}
		w.is(w.Request(Root, r), syscall.EPROTO)
		w.ok(w.request(Root, UserRestore, 0, f))
		w.ok(w.request(alice, UserRestore, 0, f)) // joins
		w.wantStatuses("ARCHIVE SUCCEED, RESTORE WAITING")
		w.set("mdt.*.hsm.policy=+NBR")
		w.is(w.request(Root, UserRestore, 0, f), syscall.ENODATA)
	})
}

func TestRequestMasks(t *testing.T) {
	member := Cred{UID: 2000, GID: 2000, Groups: []uint32{alice.GID}}
	inBubble(t, enabled, func(w *world) {
		f := w.file("f", "x", alice)
		w.set("mdt.*.hsm.user_request_mask=ARCHIVE")
		w.set("mdt.*.hsm.group_request_mask=+REMOVE +CANCEL")
		w.ok(w.request(alice, UserArchive, 0, f))
		w.is(w.request(member, UserArchive, 0, f), syscall.EPERM)
		w.is(w.request(alice, UserCancel, 0, f), syscall.EPERM)
		w.is(w.request(bob, UserCancel, 0, f), syscall.EPERM)
		w.ok(w.request(member, UserCancel, 0, f))
		w.wantStatuses("ARCHIVE WAITING, CANCEL WAITING")
	})
}

func TestControl(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		f := w.file("f", "x")
		_, err := w.RegisterAgent(w.uuid, Root, nil)
		w.is(err, syscall.ENXIO)
		w.is(w.request(Root, UserArchive, 0, f), syscall.EAGAIN)
		w.is(w.Progress(Root, Progress{}), syscall.EAGAIN)
		_, err = w.SetParam("mdt.*.hsm_control=disabled", false)
		w.is(err, syscall.EINVAL)
		w.set("mdt.*.hsm_control=enabled")
		_, err = w.RegisterAgent(w.uuid, alice, nil)
		w.is(err, syscall.EPERM)
		_, err = w.RegisterAgent("nobody", Root, nil)
		w.is(err, syscall.ENOTCONN)
		c := w.tool(1)
		w.set("mdt.*.hsm_control=disabled")
		w.archiveReq(f)
		c.mustIdle()
		w.wantStatuses("ARCHIVE WAITING")
		if a, _ := w.CurrentAction(f); a != (CurrentAction{ProgressWaiting, UserArchive, WholeFile}) {
			t.Errorf("current action %+v", a)
		}
		w.set("mdt.*.hsm_control=enabled") // the agent is still there
		it := c.mustNext(1)[0]
		c.do(it)
		// Shutdown empties the list of agents without telling the copytools.
		w.set("mdt.*.hsm_control=shutdown")
		if got := w.param("mdt.*.hsm_control") + w.param("mdt.*.hsm.agents"); got != "stopped" {
			t.Errorf("after shutdown: %q", got)
		}
		_, err = w.SetParam("mdt.*.hsm_control=shutdown", false)
		w.is(err, syscall.EALREADY)
		w.set("mdt.*.hsm_control=enabled")
		w.archiveReq(w.file("g", "x"))
		c.mustIdle()
		if got := w.param("mdt.*.hsm.agents"); got != "" {
			t.Errorf("agents: %q", got)
		}
	})
}

func TestCurrentAction(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := w.file("f", "x")
		want := func(state ProgressState, action UserAction, moved uint64) {
			t.Helper()
			a, err := w.CurrentAction(f)
			if err != nil || a != (CurrentAction{state, action, Extent{0, moved}}) {
				t.Fatalf("current action %+v, %v", a, err)
			}
		}
		want(ProgressWaiting, UserNone, 0)
		w.archiveReq(f)
		it := c.mustNext(1)[0]
		want(ProgressRunning, UserArchive, 0)
		dv := c.start(it)
		w.ok(w.Progress(Root, Progress{FID: f, Cookie: it.Cookie, Extent: Extent{0, 6291456}}))
		want(ProgressRunning, UserArchive, 6291456)
		w.ok(c.end(it, dv, 0))
		synctest.Wait()
		want(ProgressWaiting, UserNone, 0)
	})
}
