package state

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"syscall"
)

// agentEntry is a line of hsm.agents. There is one per client mount, however
// many copytools run on it.
type agentEntry struct {
	uuid     string
	archives []uint32 // none: all
	current  int
	ok       int
	errors   int
}

// client is a mount, with the pipes of the copytools on it.
type client struct {
	uuid  string
	pipes []*Agent
}

// send puts a message into every pipe of the mount, whoever registered what:
// the MDT knows the mount only. (The C library then drops what its own copytool
// does not serve.)
func (cl *client) send(l ActionList) {
	l.shared = len(cl.pipes) > 1
	for _, p := range cl.pipes {
		p.queue = append(p.queue, l)
		select {
		case p.ready <- struct{}{}:
		default:
		}
	}
}

// Agent is one registration of a copytool: one pipe of one mount.
type Agent struct {
	fs       *FS
	client   *client
	archives []uint32
	ready    chan struct{} // capacity 1: something was queued, or the agent closed

	// Guarded by fs.mu.
	queue  []ActionList
	closed bool
}

// NewClient gives a new mount its uuid.
func (fs *FS) NewClient() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	uuid := fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	fs.begin()
	defer fs.end()
	fs.cdt.clients[uuid] = &client{uuid: uuid}
	return uuid
}

// ForgetClient is the unmount of a client: its agent goes with it.
func (fs *FS) ForgetClient(uuid string) {
	fs.begin()
	defer fs.end()
	if cl := fs.cdt.clients[uuid]; cl != nil {
		for _, p := range slices.Clone(cl.pipes) {
			p.close()
		}
		fs.cdt.removeAgent(uuid)
		delete(fs.cdt.clients, uuid)
	}
}

// RegisterAgent registers a copytool of a mount (LL_IOC_HSM_CT_START); no
// archives means all. EPERM without privilege, ENXIO when the coordinator is
// stopped. A second one on the same mount is accepted and gets the messages of
// the first, but its archives do not count.
func (fs *FS) RegisterAgent(uuid string, cred Cred, archives []uint32) (*Agent, error) {
	if err := fs.enter("register"); err != nil {
		return nil, err
	}
	defer fs.end()
	cl := fs.cdt.clients[uuid]
	switch {
	case cl == nil:
		return nil, syscall.ENOTCONN
	case !cred.Admin:
		return nil, syscall.EPERM
	case fs.cdt.state == controlStopped:
		fs.logger.Warn("HSM coordinator thread is not running - denying agent registration")
		return nil, syscall.ENXIO
	}
	if slices.Contains(archives, 0) {
		archives = nil
	}
	a := &Agent{fs: fs, client: cl, archives: slices.Clone(archives), ready: make(chan struct{}, 1)}
	cl.pipes = append(cl.pipes, a)
	fs.cdt.addAgent(uuid, a.archives)
	fs.cdt.kick()
	return a, nil
}

func (c *coordinator) addAgent(uuid string, archives []uint32) {
	if c.agent(uuid) != nil {
		c.fs.logger.Warn("HSM agent already registered", "uuid", uuid)
		return
	}
	c.agents = append(c.agents, &agentEntry{uuid: uuid, archives: archives})
}

func (c *coordinator) removeAgent(uuid string) {
	c.agents = slices.DeleteFunc(c.agents, func(a *agentEntry) bool { return a.uuid == uuid })
}

func (c *coordinator) agent(uuid string) *agentEntry {
	for _, a := range c.agents {
		if a.uuid == uuid {
			return a
		}
	}
	return nil
}

// choose picks the agent for an archive: the one with the fewest requests, so an
// idle one if there is any.
func (c *coordinator) choose(archive uint32) *agentEntry {
	var best *agentEntry
	for _, a := range c.agents {
		serves := len(a.archives) == 0 || slices.Contains(a.archives, archive)
		if serves && (best == nil || a.current < best.current) {
			best = a
		}
	}
	return best
}

// Recv waits for the next message to the copytool. ErrUnregistered after
// Unregister; ctx.Err().
func (a *Agent) Recv(ctx context.Context) (ActionList, error) {
	for {
		a.fs.begin()
		if len(a.queue) > 0 {
			l := a.queue[0]
			a.queue = a.queue[1:]
			a.fs.end()
			return l, nil
		}
		closed := a.closed
		a.fs.end()
		if closed {
			return ActionList{}, ErrUnregistered
		}
		select {
		case <-a.ready:
		case <-ctx.Done():
			return ActionList{}, ctx.Err()
		}
	}
}

// Unregister ends the registration. The mount has no agent any more then, even
// if another copytool on it goes on listening: it gets nothing. What was not to be
// written yet is WAITING again: a client refuses what comes after the end.
func (a *Agent) Unregister() {
	a.fs.begin()
	defer a.fs.end()
	if a.closed {
		return
	}
	a.close()
	a.fs.cdt.removeAgent(a.client.uuid)
	a.unsend()
}

// close takes the pipe away; the lock is held.
func (a *Agent) close() {
	a.closed = true
	a.client.pipes = slices.DeleteFunc(a.client.pipes, func(p *Agent) bool { return p == a })
	select {
	case a.ready <- struct{}{}:
	default:
	}
}

// SendFailed tells that message l could not be written, since the copytool is
// dead. Only now does the coordinator find out: what no other copytool of the mount
// got is WAITING again, and the agent is removed if there is no other. What was
// written into its pipe earlier stays STARTED until it times out.
func (a *Agent) SendFailed(l ActionList) {
	a.fs.begin()
	defer a.fs.end()
	if !a.closed {
		a.close()
		if len(a.client.pipes) == 0 {
			a.fs.cdt.removeAgent(a.client.uuid)
		}
	}
	a.unsend(l)
}

// unsend takes lists back, and those that nobody has taken out of the queue.
func (a *Agent) unsend(lists ...ActionList) {
	c := &a.fs.cdt
	for _, l := range append(lists, a.queue...) {
		c.unsend(l, a.client.uuid)
	}
	a.queue = nil
	c.kick()
}

// unsend puts requests that reached no copytool back into the queue.
func (c *coordinator) unsend(l ActionList, uuid string) {
	if l.shared {
		return
	}
	for _, item := range l.Items {
		c.unsendItem(item, uuid)
	}
}

func (c *coordinator) unsendItem(item Item, uuid string) {
	for _, r := range c.byCookie[item.Cookie] {
		if r.action != item.Action || r.status != StatusStarted {
			continue
		}
		if run := c.running[r.cookie]; run != nil && run.rec == r {
			if run.uuid != uuid {
				continue
			}
			delete(c.running, r.cookie)
			c.order.Remove(run.element)
		}
		c.setStatus(r, StatusWaiting)
	}
}

// EvictClient is the MDT evicting a client: its agent is removed. The copytool
// is not told. See [FS.ReconnectClient].
func (fs *FS) EvictClient(uuid string) {
	fs.begin()
	defer fs.end()
	fs.cdt.removeAgent(uuid)
}

// ReconnectClient is an evicted client coming back: its kernel registers its
// copytools again.
func (fs *FS) ReconnectClient(uuid string) {
	fs.begin()
	defer fs.end()
	if cl := fs.cdt.clients[uuid]; cl != nil && fs.cdt.state != controlStopped {
		fs.cdt.reconnect(cl)
		fs.cdt.kick()
	}
}

func (c *coordinator) reconnect(cl *client) {
	for _, p := range cl.pipes {
		c.addAgent(cl.uuid, p.archives)
	}
}
