package fusefs

import (
	"syscall"

	"lhsm-azblob/testenv/lioc"
	"lhsm-azblob/testenv/state"
)

// copytoolStart registers a copytool, or with CommStop takes it off again.
func (c *call) copytoolStart() error {
	in, err := decode[lioc.KernelComm](c)
	if err != nil {
		return err
	}
	who := c.admin()
	if !who.Admin {
		return syscall.EPERM
	}
	if in.Flags&lioc.CommStop != 0 {
		c.m.stopComms(in.PID)
		return nil
	}
	archives, err := c.archiveIDs(in.Count)
	if err != nil {
		return err
	}
	pipe, err := c.caller().File(int(in.WriteFD))
	if err != nil {
		return err
	}
	agent, err := c.m.state.RegisterAgent(c.m.uuid, who, archives)
	if err != nil {
		pipe.Close()
		return err
	}
	return c.m.startComm(in.PID, agent, pipe)
}

// archiveIDs fetches the list that follows the struct.
func (c *call) archiveIDs(count uint32) ([]uint32, error) {
	if count == 0 {
		return nil, nil
	}
	if count > lioc.MaxArchives {
		return nil, syscall.EINVAL
	}
	b, err := c.caller().Read(c.in.Arg+uint64(lioc.Size[lioc.KernelComm]()), 4*int(count))
	if err != nil {
		return nil, err
	}
	return lioc.DecodeArchiveIDs(b, count)
}

func copyOf(in lioc.Copy) state.Copy {
	return state.Copy{
		DataVersion: in.DataVersion, Flags: state.ProgressFlags(in.Flags), Errval: in.Errno,
		Item: state.Item{
			Action: state.Action(in.Item.Action), FID: state.FID(in.Item.FID), DFID: state.FID(in.Item.DFID),
			Extent: state.Extent(in.Item.Extent), Cookie: in.Item.Cookie, GID: in.Item.GID,
		},
	}
}

// copyStart tells the caller the data version it starts from.
func (c *call) copyStart() error {
	in, err := fetch[lioc.Copy](c)
	if err != nil {
		return err
	}
	dv, err := c.m.state.CopyStart(c.admin(), copyOf(in))
	in.DataVersion = dv
	if werr := store(c, in); err == nil {
		err = werr
	}
	return err
}

func (c *call) copyEnd() error {
	in, err := fetch[lioc.Copy](c)
	if err != nil {
		return err
	}
	ctx, stop := c.m.callerContext(c.cancel, c.in.Pid)
	defer stop()
	dv, err := c.m.state.CopyEnd(ctx, c.admin(), copyOf(in))
	c.m.fs.ended(in.Item.Cookie)
	in.DataVersion = dv
	if werr := store(c, in); err == nil {
		err = werr
	}
	return err
}

func (c *call) progress() error {
	in, err := fetch[lioc.Progress](c)
	if err != nil {
		return err
	}
	if err := c.m.state.Progress(c.admin(), state.Progress{
		FID: state.FID(in.FID), Cookie: in.Cookie, Extent: state.Extent(in.Extent),
		Flags: state.ProgressFlags(in.Flags), Errval: in.Errno,
	}); err != nil {
		return err
	}
	if in.Flags&lioc.CopyCompleted != 0 {
		c.m.fs.ended(in.Cookie)
	}
	return nil
}

// request is what lfs hsm_* send. The size is refused before anything else is
// looked at, for releases as well: the client kernel does so.
func (c *call) request() error {
	head, err := decode[lioc.RequestHeader](c)
	if err != nil {
		return err
	}
	if head.Size() >= lioc.MaxRequestSize {
		return syscall.E2BIG
	}
	b, err := c.caller().Read(c.in.Arg, int(head.Size()))
	if err != nil {
		return err
	}
	in, err := lioc.DecodeRequest(b)
	if err != nil {
		return err
	}
	r := state.Request{
		Action: state.UserAction(in.Action), ArchiveID: in.ArchiveID, Flags: state.RequestFlags(in.Flags), Data: in.Data,
	}
	fids := make([]state.FID, 0, len(in.Items))
	for _, it := range in.Items {
		r.Items = append(r.Items, state.RequestItem{FID: state.FID(it.FID), Extent: state.Extent(it.Extent)})
		fids = append(fids, state.FID(it.FID))
	}
	if r.Action == state.UserRelease {
		return c.m.fs.release(c.cred(), r, fids)
	}
	return c.m.state.Request(c.cred(), r)
}

// release takes the data of files away while nobody reads or writes them.
func (fs *FS) release(who state.Cred, r state.Request, fids []state.FID) error {
	defer func() {
		for _, fid := range fids {
			fs.changed(fid)
			fs.takeBack(fid)
		}
	}()
	fs.awaitClosed(fids)
	return fs.layouts.change(fids, func() error {
		for _, fid := range fids {
			a, err := fs.state.GetAttr(fid)
			if err == nil && releasable(&a) && fs.heldForWriting(fid) {
				return syscall.EBUSY
			}
		}
		return fs.state.Request(who, r)
	})
}

// dispatched remembers whose restore a cookie is, to tell the kernels when it
// ends.
func (fs *FS) dispatched(items []state.Item) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, it := range items {
		if it.Action == state.ActionRestore {
			fs.restores[it.Cookie] = it.FID
		}
	}
}

func (fs *FS) ended(cookie uint64) {
	fs.mu.Lock()
	fid, ok := fs.restores[cookie]
	delete(fs.restores, cookie)
	fs.mu.Unlock()
	if ok {
		fs.changed(fid)
	}
}
