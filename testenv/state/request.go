package state

import (
	"context"
	"slices"
	"syscall"
)

// requestMax is the size in bytes at which the client's kernel refuses a
// request, whole: a third of MDS_MAXREQSIZE.
const requestMax = 5120 / 3

// Request carries out LL_IOC_HSM_REQUEST: E2BIG for too large a request, which
// the client's kernel says; release, which never reaches the coordinator; and
// everything else at the coordinator, where items recorded before one that fails
// stay recorded.
func (fs *FS) Request(cred Cred, r Request) error {
	if err := fs.Fault(context.Background(), "request"); err != nil {
		return err
	}
	if r.size() >= requestMax {
		return syscall.E2BIG
	}
	if r.Action == UserRelease {
		for _, item := range r.Items {
			if err := fs.Release(item.FID, cred); err != nil {
				return err
			}
		}
		return nil
	}
	fs.begin()
	defer fs.end()
	return fs.admit(cred, r)
}

// admissible says whether the coordinator takes requests at all.
func (c *coordinator) admissible() error {
	if c.state == controlStopped {
		return syscall.EAGAIN
	}
	return nil
}

func (fs *FS) admit(cred Cred, r Request) error {
	if err := fs.cdt.admissible(); err != nil {
		return err
	}
	action, ok := r.Action.action()
	if !ok && len(r.Items) > 0 {
		return syscall.EINVAL
	}
	items := r.Items[:0:0]
	for _, item := range r.Items {
		if !item.FID.sane() {
			return syscall.EINVAL
		}
		same := func(x RequestItem) bool { return x.FID == item.FID }
		if !slices.ContainsFunc(items, same) {
			items = append(items, item)
		}
	}
	defer fs.cdt.kick()
	for _, item := range items {
		if err := fs.admitItem(cred, action, r, item); err != nil {
			return err
		}
	}
	if action == ActionRestore && len(items) > 0 && fs.params.nonBlockingRestore {
		return syscall.ENODATA // though the restores are queued
	}
	return nil
}

func (fs *FS) admitItem(cred Cred, action Action, r Request, item RequestItem) error {
	rec := &record{
		action: action, fid: item.FID, dfid: item.FID, extent: item.Extent,
		data: slices.Clone(r.Data), flags: r.Flags,
	}
	if action == ActionCancel {
		target := fs.cdt.cancelTarget(item.FID)
		if target == nil {
			return nil
		}
		rec.cookie, rec.archive = target.cookie, target.archive
	}
	i, err := fs.get(item.FID)
	switch {
	case err != nil && cred.Admin && (action == ActionRemove || action == ActionCancel):
		return fs.admitOrphan(rec, r.ArchiveID)
	case err != nil:
		return err
	case !fs.mayRequest(i, cred, action):
		return syscall.EPERM
	case !i.regular():
		return syscall.EINVAL
	case action == ActionCancel:
		fs.cdt.addRecord(rec)
		return nil
	}
	if r.Flags&FlagForce == 0 && !i.needsAction(action) {
		return nil
	}
	if err := i.checkRequest(action, r.ArchiveID); err != nil {
		return err
	}
	rec.archive = fs.archiveFor(i, r.ArchiveID)
	if action == ActionRestore {
		if item.Extent.Offset != 0 {
			return syscall.EPROTO // only whole files can be restored
		}
		if fs.cdt.restores[i.ino] != nil {
			return nil // joins the one on its way
		}
	}
	fs.cdt.addRecord(rec)
	return nil
}

// admitOrphan records a REMOVE or CANCEL for a file that is gone. A REMOVE that
// names no archive goes to an agent that serves all, else to each archive served.
func (fs *FS) admitOrphan(rec *record, archive uint32) error {
	if rec.action == ActionCancel {
		fs.cdt.addRecord(rec)
		return nil
	}
	rec.archive = archive
	served := []uint32{archive}
	if archive == 0 {
		served = fs.cdt.servedArchives()
	}
	for _, id := range served {
		one := *rec
		one.archive = id
		fs.cdt.addRecord(&one)
	}
	return nil
}

// servedArchives lists the archives to expand archive 0 to: 0 itself if an agent
// serves all of them, or if there is no agent to ask.
func (c *coordinator) servedArchives() []uint32 {
	var ids []uint32
	for _, a := range c.agents {
		if len(a.archives) == 0 {
			return []uint32{0}
		}
		ids = append(ids, a.archives...)
	}
	if len(ids) == 0 {
		return []uint32{0}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// cancelTarget finds what a cancel of a file means: the last action of it in the
// log that is not over.
func (c *coordinator) cancelTarget(fid FID) *record {
	for _, r := range slices.Backward(c.byFile[fid]) {
		if r.action != ActionCancel {
			return r
		}
	}
	return nil
}

// mayRequest applies the request masks to callers without privilege.
func (fs *FS) mayRequest(i *inode, cred Cred, action Action) bool {
	switch {
	case cred.Admin:
		return true
	case cred.UID == i.uid:
		return fs.params.masks[maskUser].has(action)
	case cred.inGroup(i.gid):
		return fs.params.masks[maskGroup].has(action)
	}
	return fs.params.masks[maskOther].has(action)
}

// needsAction is the test that FORCE skips: without need, a request is accepted
// and nothing recorded.
func (i *inode) needsAction(action Action) bool {
	switch action {
	case ActionArchive:
		return i.flags&Archived == 0 || i.flags&Dirty != 0
	case ActionRestore:
		return i.flags&(Released|Dirty) != 0
	case ActionRemove:
		return i.flags&(Exists|Archived) != 0
	}
	return true
}

// checkRequest says whether the state of a file allows an action: at admission,
// and again when the action is sent. archive 0 stands for the file's own.
func (i *inode) checkRequest(action Action, archive uint32) error {
	ok := true
	switch action {
	case ActionArchive:
		clean := i.flags&Archived != 0 && i.flags&Dirty == 0
		elsewhere := i.flags&Exists != 0 && archive != 0 && i.archive != 0 && archive != i.archive
		ok = i.flags&NoArchive == 0 && !clean && !elsewhere
	case ActionRestore:
		ok = i.flags&Released != 0 && i.flags&Archived != 0 && i.flags&(Dirty|Lost) == 0
	case ActionRemove:
		ok = i.flags&Released == 0
	}
	if !ok {
		return syscall.EPERM
	}
	return nil
}

// archiveFor resolves archive id 0.
func (fs *FS) archiveFor(i *inode, asked uint32) uint32 {
	switch {
	case asked != 0:
		return asked
	case i.archive != 0:
		return i.archive
	}
	return fs.params.defaultArchive
}

// lastUnlink asks for the removal of the copies of a file that lost its last
// name, if so configured. The record waits for grace_delay before it is sent.
func (c *coordinator) lastUnlink(i *inode) {
	if !c.fs.params.removeOnUnlink || c.state == controlStopped {
		return
	}
	c.addRecord(&record{action: ActionRemove, fid: i.fid(), extent: WholeFile, archive: i.archive})
	c.kick()
}

// CurrentAction tells what is asked of, or done to, a file: the oldest request
// that is not over (LL_IOC_HSM_ACTION).
func (fs *FS) CurrentAction(fid FID) (CurrentAction, error) {
	if err := fs.enter("action"); err != nil {
		return CurrentAction{}, err
	}
	defer fs.end()
	if _, err := fs.getRegular(fid); err != nil {
		return CurrentAction{}, err
	}
	open := fs.cdt.byFile[fid]
	if len(open) == 0 {
		return CurrentAction{State: ProgressWaiting, Action: UserNone}, nil
	}
	r := open[0]
	a := CurrentAction{State: ProgressWaiting, Action: r.action.user(), Extent: r.extent}
	if r.status == StatusStarted {
		a.State, a.Extent = ProgressRunning, Extent{Length: ^uint64(0)}
		if run := fs.cdt.running[r.cookie]; run != nil {
			a.Extent.Length = run.moved.total()
		}
	}
	return a, nil
}
