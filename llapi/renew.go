package llapi

import (
	"os"

	"golang.org/x/sys/unix"
)

// Renew makes sure that every coordinator has this copytool on its list. A
// coordinator that was shut down, or that came back stopped from a restart of its
// metadata server, has forgotten its agents and tells none of them. It may be
// called at any time: nothing that was or is being sent is lost, and actions under
// way do not notice. It can take as long as a metadata server is away.
//
// It registers the mount a second time, with a pipe that nobody reads. A coordinator
// that has the mount on its list changes nothing (and writes "HSM agent … already
// registered" into its log), one that does not adds it. Messages go to every pipe of
// the mount, so they still come through ours; the client closes the other with the
// first of them, and keeps a small record of it until Unregister. To unregister and register anew would leave a gap in which the mount
// has no agent, and to register a second reader would bring every action twice.
//
// The kernel registers with all coordinators or with none: where one is stopped, it
// takes the mount off the lists of those it has asked before. So call it again
// until it succeeds.
//
// Errors: as of [Register]; ErrClosed after Unregister or Close, and if another
// Copytool of this process was registered on the mount since.
func (c *Copytool) Renew() error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	registrations.Lock()
	defer registrations.Unlock()
	if c.gone.Load() || !c.isNewest() {
		return ErrClosed
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return os.NewSyscallError("pipe2", err)
	}
	_ = unix.Close(pipe[0])
	defer unix.Close(pipe[1]) //nolint:errcheck // nothing was written
	c.renewed = true
	return c.start(commMessage(renewalID(), commArray, pipe[1], c.archives))
}

// renewalID is what the client knows renewals by. A failure takes every pipe of the
// same id away, so it must not be the process's own; and no process has this one.
func renewalID() int { return os.Getpid() | 1<<30 }
