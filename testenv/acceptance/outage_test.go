package acceptance

import (
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"lhsm-azblob/testenv/azurite"
	"lhsm-azblob/testenv/gate"
)

// outages is how often each of these tests disturbs, unless $LHSM_OUTAGES says
// something else.
const outages = 10

// outage runs the load with one copytool that lives through all disturbances. Asking
// again is all that a user may have to do: a read gets the right bytes or an error,
// a second one the right bytes, and at the end every file is what it should be.
func outage(l *load, disturb, settle func()) {
	l.t.Helper()
	c := l.startCopytool(l.lustre.Mount(), l.args...)
	times := timesFor("LHSM_OUTAGES", outages)
	done := 0
	for ; done < times && !l.t.Failed(); done++ {
		moment := l.moment(700 * time.Millisecond)
		readers := l.ask()
		<-moment
		disturb()
		begin := time.Now()
		settle()
		l.longest = max(l.longest, time.Since(begin))
		readers()
		l.askAgain()
		l.check()
	}
	c.stop()
	l.t.Logf("disturbed %d times; %s", done, l.figures())
}

// forget waits until nothing is open, with a coordinator that has forgotten what it had
// sent, and ends that by its timeout. The copytool reports every second what it has in
// hand.
func (l *load) forget() {
	l.t.Helper()
	if l.idleWithin(2 * time.Second) {
		return
	}
	l.lustre.SetParam("mdt.*.hsm.active_request_timeout", "3")
	l.lustre.WaitIdle()
	l.lustre.SetParam("mdt.*.hsm.active_request_timeout", "3600")
}

// TestBlobServerRestartsAtRandomMoments. What it has answered it keeps, as storage
// does.
func TestBlobServerRestartsAtRandomMoments(t *testing.T) {
	b := newBlobServer(t)
	front := *b.server
	front.Endpoint = "http://" + b.address + "/" + front.AccountName
	e := newEnvOn(t, &front, loadOptions)
	e.containerURL = e.blobs.URL() // without the gate, which would answer in its place
	l := newLoad(t, e)
	outage(l, func() {
		b.cut()
		<-l.moment(500 * time.Millisecond)
		b.restart()
	}, l.lustre.WaitIdle)
}

// TestCoordinatorRestartsAtRandomMoments, as in a failover, or by hand.
func TestCoordinatorRestartsAtRandomMoments(t *testing.T) {
	l := newLoad(t, newEnv(t, loadOptions))
	outage(l, func() {
		if l.rand.IntN(2) == 0 {
			l.command("set_param", "-P", "mdt.*.hsm_control=enabled")
			l.command("restart-coordinator")
			return
		}
		l.lustre.SetParam("mdt.*.hsm_control", "shutdown")
		<-l.moment(1500 * time.Millisecond)
		l.lustre.SetParam("mdt.*.hsm_control", "enabled")
	}, l.forget)
}

// TestMountLostAtRandomMoments, with everything behind it.
func TestMountLostAtRandomMoments(t *testing.T) {
	l := newLoad(t, newEnv(t, loadOptions))
	outage(l, func() {
		l.lustre.Kill()
		<-l.moment(1500 * time.Millisecond)
		l.lustre.Restart()
	}, l.forget)
}

// A blobServer is an Azurite of its own that can be restarted, behind an address
// that stays. Its clients see connections reset, and then refused. The gate between
// lets it do what it was asked.
type blobServer struct {
	t       *testing.T
	dir     string
	server  *azurite.Server
	gate    *gate.Gate // before this server
	address string

	mu       sync.Mutex // guards all below
	listener net.Listener
	conns    map[net.Conn]bool
}

func newBlobServer(t *testing.T) *blobServer {
	b := &blobServer{t: t, dir: t.TempDir(), address: "127.0.0.1:0", conns: map[net.Conn]bool{}}
	b.start()
	t.Cleanup(func() {
		if b.listener != nil {
			b.cut()
		}
	})
	return b
}

func (b *blobServer) start() {
	b.t.Helper()
	b.server = azurite.StartWith(b.t, azurite.Options{Location: b.dir})
	u, err := url.Parse(b.server.Endpoint)
	if err != nil {
		b.t.Fatal(err)
	}
	b.gate = newGate(b.t, u.Scheme+"://"+u.Host, gate.Options{})
	b.listen(strings.TrimPrefix(b.gate.URL, "http://"))
}

// listen relays connections to the backend.
func (b *blobServer) listen(backend string) {
	b.t.Helper()
	l, err := net.Listen("tcp", b.address)
	if err != nil {
		b.t.Fatal(err)
	}
	b.address = l.Addr().String()
	b.mu.Lock()
	b.listener = l
	b.mu.Unlock()
	go func() { // ends with the listener
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go b.relay(l, client, backend) // ends with either connection
		}
	}()
}

func (b *blobServer) relay(l net.Listener, client net.Conn, backend string) {
	server, err := net.Dial("tcp", backend)
	if err != nil {
		client.Close()
		return
	}
	if !b.keep(l, client, server) {
		client.Close()
		server.Close()
		return
	}
	go b.copy(client, server)
	b.copy(server, client)
}

// keep is false for connections that came too late to be cut.
func (b *blobServer) keep(l net.Listener, conns ...net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.listener != l {
		return false
	}
	for _, c := range conns {
		b.conns[c] = true
	}
	return true
}

func (b *blobServer) copy(to, from net.Conn) {
	_, _ = io.Copy(to, from) // either may have been cut
	to.Close()
	from.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.conns, from)
}

// cut resets every connection and refuses new ones.
func (b *blobServer) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listener.Close()
	b.listener = nil
	for c := range b.conns {
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	clear(b.conns)
}

// restart is for a server that is cut off.
func (b *blobServer) restart() {
	b.t.Helper()
	b.gate.Cut()
	b.server.Shutdown()
	b.start()
}
