package fusefs

import (
	"fmt"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"lhsm-azblob/testenv/lioc"
	"lhsm-azblob/testenv/state"
)

// A call is one ioctl under way.
type call struct {
	m      *Mount
	in     *fuse.IoctlIn
	fid    state.FID // of the file it is called on
	arg    []byte    // what the kernel copied in, by the size in the number
	out    []byte    // what it will copy out; zeroed
	result *int32
	cancel <-chan struct{}
}

type ioctlFunc func(*call) error

// On what kind of file an ioctl is served. Elsewhere it is ENOTTY, which is
// what lfs prints for `lfs hsm_state DIR`.
var (
	onFiles = map[uint32]ioctlFunc{
		lioc.HSMStateGet:    (*call).stateGet,
		lioc.HSMStateSet:    (*call).stateSet,
		lioc.HSMAction:      (*call).currentAction,
		lioc.HSMImport:      (*call).importFile,
		lioc.DataVersion:    (*call).dataVersion,
		lioc.HSMDataVersion: (*call).setDataVersion,
		lioc.SwapLayouts:    (*call).swapLayouts,
		lioc.Futimes3:       (*call).futimes,
		lioc.SetStripe:      (*call).setStripe,
	}
	onDirectories = map[uint32]ioctlFunc{
		lioc.HSMCTStart:    (*call).copytoolStart,
		lioc.HSMCopyStart:  (*call).copyStart,
		lioc.HSMCopyEnd:    (*call).copyEnd,
		lioc.HSMProgress:   (*call).progress,
		lioc.HSMRequest:    (*call).request,
		lioc.GetFileInfo:   (*call).fileInfo,
		lioc.GetFileStripe: (*call).fileStripe,
	}
	onBoth = map[uint32]ioctlFunc{
		lioc.FID2Path:   (*call).fid2path,
		lioc.Path2FID:   (*call).path2fid,
		lioc.GetParent:  (*call).getParent,
		lioc.FID2MDTIdx: (*call).mdtIndexOfFID,
		lioc.GetMDTIdx:  (*call).mdtIndex,
	}
)

// Ioctl serves Lustre's ioctls.
func (m *Mount) Ioctl(cancel <-chan struct{}, in *fuse.IoctlIn, arg []byte, out *fuse.IoctlOut, outbuf []byte) fuse.Status {
	clear(outbuf) // comes from a pool
	c := &call{m: m, in: in, fid: fidOf(in.NodeId), arg: arg, out: outbuf, result: &out.Result, cancel: cancel}
	serve := c.handler()
	if serve == nil {
		return fuse.Status(syscall.ENOTTY)
	}
	err := m.fs.faults.check(m.fs.ctx, ioctlOps[in.Cmd], c.fid)
	if err == nil {
		err = serve(c)
	}
	if err != nil {
		m.fs.log.Debug("ioctl", "cmd", fmt.Sprintf("%#x", in.Cmd), "fid", c.fid, "pid", in.Pid, "err", err)
	}
	return status(err)
}

func (c *call) handler() ioctlFunc {
	if c.in.NodeId == changelogNode {
		return nil
	}
	if f := onBoth[c.in.Cmd]; f != nil {
		return f
	}
	a, err := c.m.state.GetAttr(c.fid)
	if err != nil {
		return nil
	}
	switch a.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		return onFiles[c.in.Cmd]
	case syscall.S_IFDIR:
		return onDirectories[c.in.Cmd]
	}
	return nil
}

func (c *call) caller() lioc.Caller { return lioc.Caller{TID: int(c.in.Pid)} }

// cred is the caller with its groups and capabilities.
func (c *call) cred() state.Cred { return fullCred(&c.in.InHeader) }

// admin is the caller of what only an administrator may do.
func (c *call) admin() state.Cred { return adminCred(&c.in.InHeader) }

// decode reads a struct that the kernel copied in whole.
func decode[T lioc.Struct](c *call) (T, error) {
	v, err := lioc.Decode[T](c.arg)
	if err != nil {
		return v, fmt.Errorf("%w: %w", err, syscall.EFAULT)
	}
	return v, nil
}

// fetch reads a struct from the caller's memory, where the ioctl's number says
// too little.
func fetch[T lioc.Struct](c *call) (T, error) {
	var v T
	b, err := c.caller().Read(c.in.Arg, lioc.Size[T]())
	if err != nil {
		return v, err
	}
	return lioc.Decode[T](b)
}

// store writes a struct to the caller's memory at the argument. The kernel then
// writes what it takes for the whole answer over it, so that must be the same.
func store[T lioc.Struct](c *call, v T) error {
	b := lioc.Encode(v)
	copy(c.out, b)
	return c.caller().Write(c.in.Arg, b)
}

// answer returns a struct through the kernel.
func answer[T lioc.Struct](c *call, v T) { copy(c.out, lioc.Encode(v)) }
