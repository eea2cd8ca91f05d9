package fusefs

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv/lioc"
	"lhsm-azblob/testenv/state"
)

func (c *call) stateGet() error {
	s, err := c.m.state.HSMStateGet(c.fid)
	if err != nil {
		return err
	}
	// The fields about progress stay 0, as Lustre leaves them.
	answer(c, lioc.UserState{States: uint32(s.Flags), ArchiveID: s.ArchiveID})
	return nil
}

func (c *call) stateSet() error {
	in, err := decode[lioc.StateSet](c)
	if err != nil {
		return err
	}
	var s state.HSMSet
	if in.Valid&lioc.SetMask != 0 {
		s.Set = in.SetMask
	}
	if in.Valid&lioc.ClearMask != 0 {
		s.Clear = in.ClearMask
	}
	if in.Valid&lioc.SetArchiveID != 0 {
		s.ArchiveID = &in.ArchiveID
	}
	defer c.m.fs.takeBack(c.fid)
	return c.m.state.HSMStateSet(c.fid, c.cred(), s)
}

func (c *call) currentAction() error {
	a, err := c.m.state.CurrentAction(c.fid)
	if err != nil {
		return err
	}
	answer(c, lioc.CurrentAction{State: uint32(a.State), Action: uint32(a.Action), Location: lioc.Extent(a.Extent)})
	return nil
}

func (c *call) importFile() error {
	in, err := decode[lioc.UserImport](c)
	if err != nil {
		return err
	}
	defer c.m.fs.changed(c.fid)
	defer c.m.fs.takeBack(c.fid)
	return c.m.fs.layouts.change([]state.FID{c.fid}, func() error {
		return c.m.state.Import(c.fid, c.cred(), state.Import{
			Size: in.Size, UID: in.UID, GID: in.GID, Mode: in.Mode & 0o777, ArchiveID: in.ArchiveID,
			Atime: time.Unix(int64(in.Atime), int64(in.AtimeNsec)), Mtime: time.Unix(int64(in.Mtime), int64(in.MtimeNsec)),
		})
	})
}

func (c *call) dataVersion() error {
	v, err := c.m.state.DataVersion(c.fid)
	if err != nil {
		return err
	}
	answer(c, lioc.DataVersionArg{Version: v})
	return nil
}

func (c *call) setDataVersion() error {
	in, err := decode[lioc.DataVersionArg](c)
	if err != nil {
		return err
	}
	defer c.m.fs.takeBack(c.fid)
	return c.m.state.SetDataVersion(c.fid, c.cred(), in.Version)
}

// futimes sets all three times, ctime too: what a copytool does to the
// volatile file of a restore.
func (c *call) futimes() error {
	in, err := decode[lioc.FutimesArg](c)
	if err != nil {
		return err
	}
	who := c.admin()
	if !who.Admin {
		return syscall.EPERM
	}
	atime := time.Unix(int64(in.Atime), int64(in.AtimeNsec))
	mtime := time.Unix(int64(in.Mtime), int64(in.MtimeNsec))
	ctime := time.Unix(int64(in.Ctime), int64(in.CtimeNsec))
	answer(c, in)
	defer c.m.fs.touched(c.fid)
	_, err = c.m.state.SetAttr(c.fid, who, state.SetAttr{Atime: &atime, Mtime: &mtime, Ctime: &ctime})
	return err
}

func (c *call) setStripe() error {
	head, err := c.caller().Read(c.in.Arg, lioc.Size[lioc.LovUserMD]())
	if err != nil {
		return err
	}
	return c.m.state.SetXattr(c.fid, c.cred(), "lustre.lov", head, unix.XATTR_CREATE)
}

// swapLayouts exchanges the data of two open files. The other one is named by a
// descriptor of the caller; its FID is asked for as any program would.
func (c *call) swapLayouts() error {
	in, err := decode[lioc.SwapLayoutsArg](c)
	if err != nil {
		return err
	}
	other, err := c.fidOfDescriptor(int(in.FD))
	if err != nil {
		return err
	}
	fids := []state.FID{c.fid, other}
	defer c.m.fs.changed(c.fid)
	defer c.m.fs.changed(other)
	return c.m.fs.layouts.change(fids, func() error {
		for i, want := range []struct {
			flag uint64
			dv   uint64
		}{{lioc.SwapCheckDV1, in.DV1}, {lioc.SwapCheckDV2, in.DV2}} {
			if in.Flags&want.flag == 0 {
				continue
			}
			if dv, err := c.m.state.DataVersion(fids[i]); err != nil || dv != want.dv {
				return syscall.EAGAIN
			}
		}
		return c.m.state.SwapLayouts(c.fid, other, c.cred())
	})
}

func (c *call) fidOfDescriptor(fd int) (state.FID, error) {
	f, err := c.caller().File(fd)
	if err != nil {
		return state.FID{}, err
	}
	defer f.Close()
	b := make([]byte, lioc.Size[lioc.FID]())
	if _, err := unix.Fgetxattr(int(f.Fd()), "lustre.fid", b); err != nil {
		return state.FID{}, fmt.Errorf("the other file is not of this file system: %w", syscall.EXDEV)
	}
	fid, err := lioc.Decode[lioc.FID](b)
	return state.FID(fid), err
}
