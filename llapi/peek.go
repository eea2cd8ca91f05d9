package llapi

import (
	"context"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Peek waits for the next list of actions, and leaves it in the pipe: the next Recv
// returns it. So it can be noted somewhere before it is taken, and whenever this
// process dies it is in the one place or in the other (see [DrainPipe]). ok is false
// where only Recv can tell what comes next: an error, a message that has not come
// whole, or one for an archive that is not ours.
func (c *Copytool) Peek(ctx context.Context) (list ActionList, ok bool) {
	c.recv.Lock()
	defer c.recv.Unlock()
	defer context.AfterFunc(ctx, c.interrupt)()
	if len(c.pending) > 0 {
		return c.pending[0], true
	}
	if err := c.waitReadable(ctx); err != nil || c.outOfStep {
		return ActionList{}, false
	}
	message, err := c.copyPipe()
	if err != nil {
		return ActionList{}, false
	}
	list, ok = firstList(message)
	return list, ok && c.serves(list.ArchiveID)
}

// firstList decodes the list that b begins with.
func firstList(b []byte) (list ActionList, ok bool) {
	if len(b) < kucHeaderSize || messageKind(b) != kucActionList {
		return ActionList{}, false
	}
	size := int(binary.NativeEndian.Uint16(b[6:]))
	if size > len(b) {
		return ActionList{}, false
	}
	list, err := DecodeActionList(b[kucHeaderSize:size])
	return list, err == nil
}

// copyPipe returns what the pipe holds, as far as it can belong to one message.
func (c *Copytool) copyPipe() ([]byte, error) {
	const most = 1<<16 - 1 // by the type of kuc_msglen
	var mirror [2]int
	if err := unix.Pipe2(mirror[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, err
	}
	defer unix.Close(mirror[0]) //nolint:errcheck // a copy
	defer unix.Close(mirror[1]) //nolint:errcheck // a copy
	// Headers and lists lie on pages of their own, so the copy needs more of them.
	_, _ = unix.FcntlInt(uintptr(mirror[1]), unix.F_SETPIPE_SZ, 4*most)
	n, err := unix.Tee(int(c.fd), mirror[1], most, unix.SPLICE_F_NONBLOCK)
	if err != nil {
		return nil, err
	}
	b := make([]byte, n)
	got := 0
	for got < len(b) {
		k, err := unix.Read(mirror[0], b[got:])
		if err != nil || k == 0 {
			return b[:got], err
		}
		got += k
	}
	return b, nil
}
