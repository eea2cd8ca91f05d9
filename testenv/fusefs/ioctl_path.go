package fusefs

import (
	"bytes"
	"errors"
	"syscall"

	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv/lioc"
	"lhsm-azblob/testenv/state"
)

// fid2path finds a path of a FID, relative to the mount; the root's is "/".
func (c *call) fid2path() error {
	in, err := fetch[lioc.FID2PathArg](c)
	if err != nil {
		return err
	}
	path, next, err := c.m.state.Path(state.FID(in.FID), int(in.LinkNo))
	if err != nil {
		return err
	}
	if len(path)+1 > int(in.PathLen) {
		return syscall.EOVERFLOW
	}
	in.LinkNo = uint32(next)
	if err := store(c, in); err != nil {
		return err
	}
	return c.caller().Write(c.in.Arg+uint64(lioc.Size[lioc.FID2PathArg]()), append([]byte(path), 0))
}

func (c *call) path2fid() error { return store(c, lioc.FID(c.fid)) }

// getParent finds the directory and name of one of the file's links.
func (c *call) getParent() error {
	in, err := fetch[lioc.GetParentArg](c)
	if err != nil {
		return err
	}
	parent, name, err := c.m.state.Parent(c.fid, int(in.LinkNo))
	if err != nil {
		return err
	}
	if len(name)+1 > int(in.NameSize) {
		return syscall.EOVERFLOW
	}
	in.FID = lioc.FID(parent)
	if err := store(c, in); err != nil {
		return err
	}
	return c.caller().Write(c.in.Arg+uint64(lioc.Size[lioc.GetParentArg]()), append([]byte(name), 0))
}

// mdtIndexOfFID answers by the ioctl's return value: there is one MDT, 0.
func (c *call) mdtIndexOfFID() error {
	copy(c.out, c.arg)
	*c.result = 0
	return nil
}

func (c *call) mdtIndex() error { return nil }

// fileInfo is a stat of a name in the directory, with FID and layout.
func (c *call) fileInfo() error {
	name, err := cString(c.arg)
	if err != nil {
		return err
	}
	a, err := c.m.state.Lookup(c.fid, name)
	if err != nil {
		return err
	}
	lov := c.layout(a.FID)
	answer(c, lioc.FileInfo{FID: lioc.FID(a.FID), Stat: statxOf(&a), LmmSize: uint32(len(lov))})
	// The layout begins in the part that the kernel copies and can end beyond.
	head := lioc.Size[lioc.FileInfo]()
	n := copy(c.out[min(head, len(c.out)):], lov)
	return c.caller().Write(c.in.Arg+uint64(head+n), lov[n:])
}

// fileStripe is the layout of a name in the directory, written over the name.
func (c *call) fileStripe() error {
	b, err := c.readName()
	if err != nil {
		return err
	}
	name, err := cString(b)
	if err != nil {
		return err
	}
	a, err := c.m.state.Lookup(c.fid, name)
	if err != nil {
		return err
	}
	lov := c.layout(a.FID)
	if lov == nil {
		return syscall.ENODATA
	}
	copy(c.out, lov)
	return c.caller().Write(c.in.Arg, lov)
}

// readName reads what can hold a name. The caller's memory may end right
// behind it, so it is read up to a page's end first.
func (c *call) readName() ([]byte, error) {
	const most, page = 256, 4096
	n := min(most, int(page-c.in.Arg%page))
	b, err := c.caller().Read(c.in.Arg, n)
	if err != nil || n == most || bytes.IndexByte(b, 0) >= 0 {
		return b, err
	}
	return c.caller().Read(c.in.Arg, most)
}

// layout is the file's lustre.lov, nil if it has none.
func (c *call) layout(fid state.FID) []byte {
	lov, err := c.m.state.GetXattr(fid, state.Root, "lustre.lov")
	if err != nil {
		return nil
	}
	return lov
}

func cString(b []byte) (string, error) {
	s, _, found := bytes.Cut(b, []byte{0})
	if !found {
		return "", errors.Join(errors.New("name has no end"), syscall.EINVAL)
	}
	return string(s), nil
}

func statxOf(a *state.Attr) lioc.Statx {
	st := lioc.Statx{
		Mask: unix.STATX_BASIC_STATS, Blksize: blockSize, Nlink: a.Nlink, UID: a.UID, GID: a.GID, Mode: uint16(a.Mode),
		Ino: a.FID.Ino(), Size: a.Size, Blocks: a.Blocks,
	}
	st.Atime = lioc.StatxTime{Sec: a.Atime.Unix(), Nsec: uint32(a.Atime.Nanosecond())}
	st.Mtime = lioc.StatxTime{Sec: a.Mtime.Unix(), Nsec: uint32(a.Mtime.Nanosecond())}
	st.Ctime = lioc.StatxTime{Sec: a.Ctime.Unix(), Nsec: uint32(a.Ctime.Nanosecond())}
	return st
}
