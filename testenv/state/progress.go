package state

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"time"
)

// CopyStart begins an action (LL_IOC_HSM_COPY_START). For an archive it returns
// the file's data version, which the caller hands back to CopyEnd, and does what
// the client's kernel does when the file is gone: it ends the action with
// ENOENT. ECANCELED when the action was cancelled, ENOENT for unknown cookies.
func (fs *FS) CopyStart(cred Cred, c Copy) (version uint64, err error) {
	if err := fs.enter("begin"); err != nil {
		return 0, err
	}
	defer fs.end()
	p := Progress{FID: c.Item.FID, Cookie: c.Item.Cookie, Extent: Extent{Offset: c.Item.Extent.Offset}}
	if c.Item.Action == ActionArchive {
		i, ierr := fs.get(c.Item.FID)
		if ierr != nil {
			p.Errval, p.Flags = uint16(Errno(ierr)), ProgressRetry|ProgressCompleted
			err = ierr
		} else {
			version = fs.dataVersion(i)
		}
	}
	perr := fs.progress(cred, p)
	if perr == nil && err == nil && c.Item.Action == ActionArchive {
		fs.copyStarted(c.Item)
	}
	if err == nil {
		err = perr
	}
	return version, err
}

// copyStarted sets what dispatch has set already, unless somebody cleared it in
// between.
func (fs *FS) copyStarted(item Item) {
	i, err := fs.get(item.FID)
	run := fs.cdt.running[item.Cookie]
	if err == nil && run != nil {
		fs.cdt.markExists(i, run.rec.archive, fromClient)
	}
}

// CopyEnd ends an action (LL_IOC_HSM_COPY_END). For an archive it compares the
// data version with the one in c: EBUSY if the file changed, and the action has
// failed then. For a restore, c.Item.FID names the volatile file; with the FID of
// the file itself the call waits for the layout lock that the restore holds, so
// for as long as it runs or ctx lives, as it does in Lustre.
func (fs *FS) CopyEnd(ctx context.Context, cred Cred, c Copy) (version uint64, err error) {
	if err := fs.enter("end"); err != nil {
		return 0, err
	}
	defer func() { fs.end() }()
	p := Progress{
		FID: c.Item.FID, Cookie: c.Item.Cookie, Extent: c.Item.Extent,
		Flags: c.Flags | ProgressCompleted, Errval: c.Errval,
	}
	looks := c.Item.Action == ActionArchive || c.Item.Action == ActionRestore
	if looks && c.Errval == 0 {
		version, err = fs.endVersion(ctx, c, &p)
		if errors.Is(err, syscall.EINTR) {
			return 0, err // the caller died waiting, and sent nothing
		}
	}
	if perr := fs.progress(cred, p); err == nil {
		err = perr
	}
	return version, err
}

// endVersion is the client's part of a successful end: it looks at the data once
// more, and turns success into failure if they are not what was copied.
func (fs *FS) endVersion(ctx context.Context, c Copy, p *Progress) (version uint64, err error) {
	if r := fs.cdt.restores[c.Item.FID.Ino()]; r != nil && c.Item.Action == ActionRestore {
		fs.end()
		select {
		case <-r.done:
		case <-ctx.Done():
			err = syscall.EINTR
		}
		fs.begin()
		if err != nil {
			return 0, err
		}
	}
	i, err := fs.get(c.Item.FID)
	if err != nil {
		p.Errval = uint16(Errno(err))
		p.Flags |= ProgressRetry
		return 0, err
	}
	version = fs.dataVersion(i)
	p.DataVersion = version
	if c.Item.Action == ActionArchive && version != c.DataVersion {
		p.Errval = uint16(syscall.EBUSY)
		p.Flags &^= ProgressRetry
		return version, syscall.EBUSY
	}
	return version, nil
}

// Progress reports on an action (LL_IOC_HSM_PROGRESS), and ends it if its flags
// say so. ENOENT: unknown cookie; ECANCELED: the action was cancelled; EINVAL: an
// extent that wraps, an error without completion, or a FID that does not belong
// to the action. The first FID other than the file's own that a restore reports
// is taken for its volatile file, and no other is accepted afterwards.
func (fs *FS) Progress(cred Cred, p Progress) error {
	if err := fs.enter("progress"); err != nil {
		return err
	}
	defer fs.end()
	return fs.progress(cred, p)
}

func (fs *FS) progress(cred Cred, p Progress) error {
	c := &fs.cdt
	switch {
	case !cred.Admin:
		return syscall.EPERM
	case c.state == controlStopped:
		return syscall.EAGAIN
	}
	run := c.running[p.Cookie]
	switch {
	case run == nil:
		fs.logger.Warn("cannot find running request for cookie", "cookie", p.Cookie)
		return syscall.ENOENT
	case p.Extent.wraps(), p.Flags&^(ProgressCompleted|ProgressRetry) != 0,
		p.Errval != 0 && p.Flags&ProgressCompleted == 0:
		return syscall.EINVAL
	case p.FID != run.rec.fid && p.FID != run.dfid && !run.bindable():
		return syscall.EINVAL // does not match request FID nor data FID
	}
	if p.FID != run.rec.fid {
		run.dfid = p.FID
	}
	run.updated = time.Now()
	run.moved.add(p.Extent)
	if p.Flags&ProgressCompleted != 0 {
		return c.complete(run, p)
	}
	if run.canceled {
		return syscall.ECANCELED
	}
	return nil
}

// bindable says whether the request still takes a volatile file's FID.
func (r *running) bindable() bool {
	return r.rec.action == ActionRestore && r.dfid == r.rec.fid
}

// complete ends an action: flags of the file, records, agent, readers, changelog.
func (c *coordinator) complete(run *running, p Progress) (err error) {
	rec := run.rec
	errval := syscall.Errno(p.Errval)
	status := c.endStatus(rec, errval, p.Flags)
	i, _ := c.fs.get(rec.fid)
	if errval == 0 && i != nil {
		if err = c.succeed(run, i, p); err != nil {
			errval, status = Errno(err), StatusFailed
		}
	}
	if i != nil && (errval != 0 || rec.action != ActionRestore) {
		c.fs.changeHSM(i, eventOf(rec.action), changelogError(errval), fromClient)
	}
	rec.dfid = run.dfid
	if rec.action == ActionRestore && status == StatusWaiting {
		rec.dfid = rec.fid // it will be sent as it was the first time
	}
	c.forget(rec.cookie, status == StatusSucceed && errval == 0)
	c.settle(rec.cookie, status, errval)
	if rec.action == ActionRestore && status != StatusWaiting {
		c.endRestore(rec.fid.Ino(), errval != 0)
	}
	c.kick()
	return err
}

// endStatus is the table of what an errval leads to.
func (c *coordinator) endStatus(rec *record, errval syscall.Errno, flags ProgressFlags) Status {
	switch errval {
	case 0, syscall.ECANCELED: // even if nobody had cancelled it
		return StatusSucceed
	case syscall.ENOSYS:
		return StatusFailed
	}
	_, gone := c.fs.get(rec.fid)
	if flags&ProgressRetry != 0 && !c.fs.params.noRetryAction && gone == nil && rec.status == StatusStarted {
		return StatusWaiting
	}
	return StatusFailed
}

func changelogError(errval syscall.Errno) syscall.Errno {
	if errval == syscall.ENOSYS {
		return syscall.ECANCELED
	}
	return errval
}

// settle sets the status of every record of a cookie that is not over: the
// action's and its cancels'.
func (c *coordinator) settle(cookie uint64, status Status, errval syscall.Errno) {
	for _, r := range slices.Clone(c.byCookie[cookie]) {
		switch {
		case r.status.final():
		case r.action == ActionCancel && r.status == StatusWaiting:
			// Not sent yet: it will go out although its target is over.
		case r.action == ActionCancel && (errval == 0 || errval == syscall.ECANCELED):
			c.setStatus(r, StatusSucceed)
		case r.action == ActionCancel:
			c.setStatus(r, StatusFailed)
		default:
			c.setStatus(r, status)
		}
	}
}

// succeed changes the file after an action that went well.
func (c *coordinator) succeed(run *running, i *inode, p Progress) error {
	fs := c.fs
	switch run.rec.action {
	case ActionArchive:
		i.archDV = p.DataVersion
		fs.logInode(i)
		fs.setHSM(i, i.flags&^(Dirty|Lost)|Exists|Archived, i.archive, fromClient)
	case ActionRemove:
		fs.setHSM(i, i.flags&^(Archived|Exists|Lost), i.archive, fromClient)
	case ActionRestore:
		return c.restored(run, i)
	}
	return nil
}

// restored swaps the volatile file's data in. The changelog shows it as if the
// file had been archived, released and restored.
func (c *coordinator) restored(run *running, i *inode) error {
	if !i.is.hollow {
		return nil
	}
	v, err := c.fs.get(run.dfid)
	if err != nil {
		return err
	}
	if err := c.fs.swapIn(i, v); err != nil {
		return err
	}
	i.flags &^= Released | Dirty
	c.fs.logInode(i)
	c.fs.changeHSM(i, eventArchive, 0, fromClient)
	c.fs.changeHSM(i, eventRelease, 0, fromClient)
	c.fs.changeHSM(i, eventRestore, 0, fromClient)
	return nil
}

// extents are the parts of a file that were reported, disjoint and in order.
type extents []Extent

// add merges an extent in, so that nothing counts twice.
func (x *extents) add(e Extent) {
	if e.Length == 0 {
		return // a heartbeat
	}
	last := e.Offset + e.Length - 1 // inclusive: the end may be 2^64
	merged := Extent{e.Offset, e.Length}
	keep := (*x)[:0:0]
	for _, old := range *x {
		oldLast := old.Offset + old.Length - 1
		apart := oldLast < e.Offset && e.Offset-oldLast > 1 || last < old.Offset && old.Offset-last > 1
		if apart {
			keep = append(keep, old)
			continue
		}
		merged.Offset = min(merged.Offset, old.Offset)
		last = max(last, oldLast)
		e.Offset = merged.Offset
	}
	merged.Length = last - merged.Offset + 1
	if merged.Offset == 0 && last == ^uint64(0) {
		merged.Length = last // 2^64 does not fit
	}
	*x = append(keep, merged)
	slices.SortFunc(*x, func(a, b Extent) int {
		if a.Offset < b.Offset {
			return -1
		}
		return 1
	})
}

func (x extents) total() (sum uint64) {
	for _, e := range x {
		sum += e.Length
	}
	return sum
}
