package fusefs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv/lioc"
	"lhsm-azblob/testenv/state"
)

// A comm carries the messages of one registration: from the coordinator to the
// pipe that the copytool passed. It has a goroutine of its own, since a pipe
// can be full for as long as a copytool does not read it.
//
// The end of the copytool ends no comm. The next message finds nobody at the
// other end of the pipe, and only that tells the coordinator.
type comm struct {
	pid   uint32
	agent *state.Agent
	pipe  *os.File
	stop  func()        // ends the pump and waits for it
	done  chan struct{} // closed by the pump's end

	writing sync.Mutex // one message at a time; never held with another lock
	late    []byte     // guarded by writing: a message that a fault has the next one overtake
}

func (m *Mount) startComm(pid uint32, agent *state.Agent, pipe *os.File) error {
	// The poller of the runtime waits for room in the pipe, and so Close ends
	// a write that waits.
	if err := syscall.SetNonblock(int(pipe.Fd()), true); err != nil {
		pipe.Close()
		agent.Unregister()
		return err
	}
	w, err := repoll(pipe)
	if err != nil {
		agent.Unregister()
		return err
	}
	ctx, cancel := context.WithCancel(m.fs.ctx)
	done := make(chan struct{})
	c := &comm{pid: pid, agent: agent, pipe: w, done: done}
	c.stop = func() {
		cancel()
		c.pipe.Close() // ends a write that waits
		<-done
	}
	m.mu.Lock()
	m.comms = append(m.comms, c)
	m.mu.Unlock()
	go func() { // ended by stop, by Unregister, or by the reader's end
		defer close(done)
		m.pump(ctx, c)
	}()
	return nil
}

// repoll gives the descriptor to a new os.File, which notices that it does not
// block. One made before that change would not.
func repoll(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	f.Close()
	if err != nil {
		return nil, fmt.Errorf("take the copytool's pipe: %w", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("take the copytool's pipe: %w", err)
	}
	return os.NewFile(uintptr(fd), "pipe of a copytool"), nil
}

// stopComms unregisters what the process pid registered on this mount. The
// coordinator knows one agent per mount, so it forgets that whoever's it was. As in
// Lustre, a message that is being written keeps this waiting, for as long as nobody
// reads a pipe that is full (LU-7992).
func (m *Mount) stopComms(pid uint32) {
	m.mu.Lock()
	var stopped []*comm
	for _, c := range m.comms {
		if c.pid == pid {
			stopped = append(stopped, c)
		}
	}
	m.mu.Unlock()
	for _, c := range stopped {
		c.agent.Unregister()
		select {
		case <-c.done:
		case <-m.fs.ctx.Done():
			c.stop()
		}
	}
}

func (m *Mount) forgetComm(gone *comm) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, c := range m.comms {
		if c == gone {
			m.comms = append(m.comms[:i:i], m.comms[i+1:]...)
			return
		}
	}
}

// pump sends what the coordinator has for the agent until one of the two ends.
func (m *Mount) pump(ctx context.Context, c *comm) {
	defer c.pipe.Close()
	defer m.forgetComm(c)
	for {
		l, err := c.agent.Recv(ctx)
		if err != nil {
			return
		}
		m.fs.dispatched(l.Items)
		if err := c.send(listOf(l), &m.fs.faults); err != nil {
			m.fs.log.Info("copytool does not take its messages", "mount", m.dir, "pid", c.pid, "err", err)
			if ctx.Err() == nil {
				c.agent.SendFailed(l)
			}
			return
		}
	}
}

func listOf(l state.ActionList) lioc.ActionList {
	out := lioc.ActionList{FSName: l.FSName, ArchiveID: l.ArchiveID, Flags: uint64(l.Flags)}
	for _, it := range l.Items {
		out.Items = append(out.Items, lioc.ActionItem{
			Action: uint32(it.Action), FID: lioc.FID(it.FID), DFID: lioc.FID(it.DFID),
			Extent: lioc.Extent(it.Extent), Cookie: it.Cookie, GID: it.GID, Data: it.Data,
		})
	}
	return out
}

// errSpoiled is for messages that a fault kept from the copytool.
var errSpoiled = errors.New("spoiled by a fault")

// send writes one message, spoiled if a fault says so.
func (c *comm) send(l lioc.ActionList, f *faults) error {
	b, err := l.Message()
	if err != nil {
		return err
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	switch f.pipe() {
	case "pipe-split":
		return c.sendSplit(b)
	case "pipe-garbage":
		b[0] ^= 0xff
	case "pipe-close":
		return fmt.Errorf("close the pipe: %w", errSpoiled)
	case "pipe-shutdown":
		b = lioc.ShutdownMessage()
	case "pipe-late":
		c.late = b
		return nil
	}
	late := c.late
	c.late = nil
	if _, err = c.pipe.Write(b); err == nil && late != nil {
		_, err = c.pipe.Write(late)
	}
	return err
}

// sendSplit sends a message in two pieces, the second after the first has been
// read: what a reader sees of a message that is longer than a page.
func (c *comm) sendSplit(b []byte) error {
	half := len(b) / 2
	if _, err := c.pipe.Write(b[:half]); err != nil {
		return err
	}
	tick := time.NewTicker(time.Millisecond) // nothing tells when a pipe has been emptied
	defer tick.Stop()
	for range tick.C {
		n, err := c.unread()
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
	}
	_, err := c.pipe.Write(b[half:])
	return err
}

// unread is how many bytes wait in the pipe. It fails when the reader is gone.
func (c *comm) unread() (n int, err error) {
	raw, err := c.pipe.SyscallConn()
	if err != nil {
		return 0, err
	}
	cerr := raw.Control(func(fd uintptr) {
		poll := []unix.PollFd{{Fd: int32(fd)}}
		if _, err = unix.Poll(poll, 0); err == nil && poll[0].Revents&unix.POLLERR != 0 {
			err = syscall.EPIPE
		}
		if err == nil {
			n, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ)
		}
	})
	return n, errors.Join(cerr, err)
}

// Shutdown sends a shutdown message to every copytool on the mount, as a client
// does that is being unmounted, and takes them off the coordinator's list.
func (m *Mount) Shutdown() {
	m.mu.Lock()
	comms := m.comms
	m.comms = nil
	m.mu.Unlock()
	for _, c := range comms {
		c.writing.Lock()
		// A full pipe must not hold up the one who asked.
		_ = c.pipe.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = c.pipe.Write(lioc.ShutdownMessage())
		c.writing.Unlock()
		c.agent.Unregister()
		c.stop()
	}
}
