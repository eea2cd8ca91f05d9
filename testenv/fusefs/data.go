package fusefs

import (
	"errors"
	"io"
	"os"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv/state"
)

// Read reads through a direct file.
func (m *Mount) Read(cancel <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	h, _ := m.handles.Load(in.Fh)
	if c, ok := h.(*changelogFile); ok {
		return c.read(cancel, in, buf)
	}
	f, ok := h.(*file)
	if !ok {
		return nil, fuse.EBADF
	}
	n := 0
	err := m.onObject(f, cancel, in.Pid, "read", func(obj *os.File) (err error) {
		n, err = obj.ReadAt(buf, int64(in.Offset))
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return err
	})
	return fuse.ReadResultData(buf[:n]), status(err)
}

// writeFromCache marks a write that is not a caller's but the kernel's, of
// pages that were mapped.
const writeFromCache = 1 << 0

// Write writes through a direct file. Appending looks for the end here, since
// only here is it known while several clients append.
func (m *Mount) Write(cancel <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	h, _ := m.handles.Load(in.Fh)
	if c, ok := h.(*changelogFile); ok {
		return c.write(in, data)
	}
	f, ok := h.(*file)
	if !ok {
		return 0, fuse.EBADF
	}
	if err := f.handle.TakesData(); err != nil {
		return 0, status(err)
	}
	n := 0
	err := m.onObject(f, cancel, in.Pid, "write", func(obj *os.File) (err error) {
		defer f.handle.Wrote()
		if f.isAppend && in.WriteFlags&writeFromCache == 0 {
			n, err = unix.Pwritev2(int(obj.Fd()), [][]byte{data}, 0, unix.RWF_APPEND)
		} else {
			n, err = obj.WriteAt(data, int64(in.Offset))
		}
		return err
	})
	return uint32(n), status(err)
}

// Lseek finds data and holes. Like a read it waits for released data.
func (m *Mount) Lseek(cancel <-chan struct{}, in *fuse.LseekIn, out *fuse.LseekOut) fuse.Status {
	f := m.file(in.Fh)
	if f == nil {
		return fuse.EBADF
	}
	return status(m.onObject(f, cancel, in.Pid, "lseek", func(obj *os.File) error {
		off, err := unix.Seek(int(obj.Fd()), int64(in.Offset), int(in.Whence))
		out.Offset = uint64(off)
		return err
	}))
}

// Fallocate reserves space or punches holes.
func (m *Mount) Fallocate(cancel <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	f := m.file(in.Fh)
	if f == nil {
		return fuse.EBADF
	}
	return status(m.onObject(f, cancel, in.Pid, "write", func(obj *os.File) error {
		defer f.handle.Wrote()
		return unix.Fallocate(int(obj.Fd()), in.Mode, int64(in.Offset), int64(in.Length))
	}))
}

// Fsync has nothing to do: what a test asks to be durable need only survive
// the daemon, and the objects' pages do.
func (m *Mount) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	if f := m.file(in.Fh); f != nil {
		return status(m.fs.faults.check(m.fs.ctx, "fsync", f.fid))
	}
	return fuse.OK
}

// FsyncDir is Fsync for directories.
func (m *Mount) FsyncDir(<-chan struct{}, *fuse.FsyncIn) fuse.Status { return fuse.OK }

// onObject runs use on the object that the file has now, waiting for it if the
// file is released. The layout does not change while use runs.
func (m *Mount) onObject(f *file, cancel <-chan struct{}, tid uint32, op string, use func(*os.File) error) error {
	if err := m.fs.faults.check(m.fs.ctx, op, f.fid); err != nil {
		return err
	}
	if f.pass != nil {
		return use(f.pass.obj)
	}
	for {
		done, err := m.tryObject(f, use)
		if done {
			return err
		}
		err = f.reopen()
		if errors.Is(err, state.ErrReleased) {
			err = m.waitRestored(cancel, tid, f.fid)
		}
		if err != nil {
			return err
		}
	}
}

func (m *Mount) tryObject(f *file, use func(*os.File) error) (done bool, err error) {
	lock := m.fs.layouts.of(f.fid)
	lock.RLock()
	defer lock.RUnlock()
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.obj == nil || f.gen != f.handle.Layout() {
		return false, nil
	}
	return true, use(f.obj)
}

// reopen opens the object the file has now.
func (f *file) reopen() error {
	obj, gen, err := f.handle.OpenObject()
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.obj != nil {
		f.obj.Close()
	}
	f.obj, f.gen = obj, gen
	return nil
}
