package llapi

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// The library up to 2.17 reads a message in two steps and forgets what it has
// if the rest has not come yet (LU-20183). Then the pipe begins in the middle
// of a message, and every list after it would be lost as well, each holding
// its slots for an hour. So after an EPROTO we read the pipe ourselves, look
// for the beginning of a message, and leave it to the library again when one
// has ended where the pipe was empty.

// Layout of struct kuc_hdr, which comes before each list in the pipe.
const (
	kucHeaderSize       = 8
	kucMagic            = 0x191C
	kucTransportGeneric = 1
	kucTransportHSM     = 2
	kucShutdown         = 1
	kucActionList       = 100
)

// framer finds messages in a stream that may begin anywhere.
type framer struct {
	buf []byte // not yet understood
}

// inStep reports that the next byte of the stream begins a message.
func (f *framer) inStep() bool { return len(f.buf) == 0 }

// errShutdown is the message that the kernel sends last.
var errShutdown = &Error{Func: "llapi_hsm_copytool_recv", Errno: syscall.ESHUTDOWN}

// next returns the next list that is whole; ok is false when there is none.
// What is no message is skipped. The error is errShutdown.
func (f *framer) next() (list ActionList, ok bool, err error) {
	for len(f.buf) >= kucHeaderSize {
		size := int(binary.NativeEndian.Uint16(f.buf[6:]))
		switch kind := messageKind(f.buf); {
		case kind == kucShutdown:
			f.buf = f.buf[kucHeaderSize:]
			return ActionList{}, false, errShutdown
		case kind == kucActionList && size > len(f.buf):
			return ActionList{}, false, nil
		case kind == kucActionList:
			if list, err := DecodeActionList(f.buf[kucHeaderSize:size]); err == nil {
				f.buf = f.buf[size:]
				return list, true, nil
			}
		}
		f.skip()
	}
	return ActionList{}, false, nil
}

// messageKind returns the type of the message that b begins with, or 0.
func messageKind(b []byte) int {
	if binary.NativeEndian.Uint16(b) != kucMagic {
		return 0
	}
	transport, kind, size := b[2], int(binary.NativeEndian.Uint16(b[4:])), int(binary.NativeEndian.Uint16(b[6:]))
	switch {
	case transport == kucTransportGeneric && kind == kucShutdown && size == kucHeaderSize,
		transport == kucTransportHSM && kind == kucActionList && size >= kucHeaderSize+listHeaderSize:
		return kind
	}
	return 0
}

// skip drops bytes up to where the next message could begin.
func (f *framer) skip() {
	var magic [2]byte
	binary.NativeEndian.PutUint16(magic[:], kucMagic)
	f.buf = f.buf[1:]
	if i := bytes.Index(f.buf, magic[:]); i >= 0 {
		f.buf = f.buf[i:]
		return
	}
	f.buf = f.buf[len(f.buf)-1:] // perhaps half a magic
}

// resync reads what the pipe has and keeps the lists in it for Recv. It is
// called when the pipe is readable, with recv held.
func (c *Copytool) resync() error {
	chunk := make([]byte, 64<<10)
	n, err := unix.Read(int(c.fd), chunk)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return os.NewSyscallError("read", err)
	}
	c.frames.buf = append(c.frames.buf, chunk[:n]...)
	found := false
	for {
		list, ok, err := c.frames.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		found = true
		if c.serves(list.ArchiveID) {
			c.pending = append(c.pending, list)
		}
	}
	c.outOfStep = !found || !c.frames.inStep()
	return nil
}

// serves reports whether lists of an archive are for us: every pipe of a mount
// gets all of them.
func (c *Copytool) serves(archiveID uint32) bool {
	return len(c.archives) == 0 || slices.Contains(c.archives, 0) || slices.Contains(c.archives, archiveID)
}
