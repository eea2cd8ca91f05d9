package acceptance

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv/gate"
)

// Where a name can lead to.
var (
	gateAddress = netip.MustParseAddr("127.0.0.1")
	deadAddress = netip.MustParseAddr("127.0.0.2") // answers nothing at the gate's port
)

// A resolver is a name server with one answer for every name.
type resolver struct {
	conn *net.UDPConn

	mu       sync.Mutex // guards what follows
	address  netip.Addr
	failures int // questions still to be told that there is no such name; negative: all
}

// resolve has copytools that are started from now on find the container under
// a name, by the resolver and nothing else. Nothing but TLS goes to a name.
func (e *env) resolve() *resolver {
	e.t.Helper()
	u, err := url.Parse(e.blobs.URL())
	if err != nil {
		e.t.Fatal(err)
	}
	e.gate = newGate(e.t, u.Scheme+"://"+u.Host, gate.Options{TLS: true})
	_, port, _ := strings.Cut(e.gate.URL, "127.0.0.1:")
	e.containerURL = "https://" + gate.TLSName + ":" + port + u.Path
	deafen(e.t, netip.MustParseAddrPort(deadAddress.String()+":"+port))
	r := startResolver(e.t)
	trusted := e.file("trusted.pem", string(e.gate.Certificate()))
	config := e.file("resolv.conf", fmt.Sprintf("nameserver %s\noptions timeout:1 attempts:1\n", r.conn.LocalAddr().(*net.UDPAddr).IP))
	// The file takes the place of the machine's in a mount namespace of the copytool's own.
	e.wrapper = []string{"env", "SSL_CERT_FILE=" + trusted, "unshare", "--mount", "--propagation", "private", "sh", "-c", `mount --bind "$0" /etc/resolv.conf && exec "$@"`, config}
	return r
}

// startResolver listens on an address of the machine's own, at the port that
// resolv.conf cannot change.
func startResolver(t *testing.T) *resolver {
	t.Helper()
	r := &resolver{address: gateAddress, conn: listenNameServer(t)}
	t.Cleanup(func() { r.conn.Close() })
	go r.serve()
	return r
}

func listenNameServer(t *testing.T) *net.UDPConn {
	t.Helper()
	for range 20 {
		ip := net.IPv4(127, 53, byte(rand.N(256)), byte(1+rand.N(254)))
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: ip, Port: 53})
		switch {
		case err == nil:
			return conn
		case !errors.Is(err, syscall.EADDRINUSE): // another test's
			t.Fatal(err)
		}
	}
	t.Fatal("no address 127.53.x.y is free at UDP port 53: a name server of this machine listens at all addresses")
	return nil
}

// point lets the names lead somewhere.
func (r *resolver) point(a netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.address, r.failures = a, 0
}

// fail denies that there is such a name, so many times; negative: for good.
func (r *resolver) fail(times int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = times
}

func (r *resolver) serve() {
	for {
		question := make([]byte, 512)
		n, from, err := r.conn.ReadFromUDP(question)
		if err != nil {
			return
		}
		if answer := r.answer(question[:n]); answer != nil {
			_, _ = r.conn.WriteToUDP(answer, from) // who asks asks again
		}
	}
}

// Numbers of RFC 1035.
const (
	dnsHeader     = 12 // bytes
	dnsAnswer     = 0x8180
	dnsNoSuchName = 3
	dnsTypeA      = 1
	dnsClassIN    = 1
	dnsNameAt12   = 0xc000 | dnsHeader // "the name in the question"
)

// answer makes an answer of a question: its header and question, and the
// address, if that is what was asked for.
func (r *resolver) answer(question []byte) []byte {
	end := dnsHeader
	for end < len(question) && question[end] != 0 {
		end += 1 + int(question[end])
	}
	end += 5 // the empty label, type and class
	if end > len(question) {
		return nil
	}
	answer := append([]byte(nil), question[:end]...)
	code, records := r.next(binary.BigEndian.Uint16(question[end-4:]))
	binary.BigEndian.PutUint16(answer[2:], dnsAnswer|code)
	binary.BigEndian.PutUint16(answer[6:], uint16(len(records)))
	binary.BigEndian.PutUint32(answer[8:], 0)
	for _, a := range records {
		for _, v := range []uint16{dnsNameAt12, dnsTypeA, dnsClassIN, 0, 0, 4} { // to be kept for 0 s; 4 bytes
			answer = binary.BigEndian.AppendUint16(answer, v)
		}
		answer = append(answer, a.AsSlice()...)
	}
	return answer
}

// next is what the next question of a type is answered with.
func (r *resolver) next(kind uint16) (code uint16, records []netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.failures != 0 && kind == dnsTypeA:
		r.failures--
		return dnsNoSuchName, nil
	case r.failures != 0:
		return dnsNoSuchName, nil
	case kind == dnsTypeA:
		return 0, []netip.Addr{r.address}
	}
	return 0, nil
}

// deafen makes an address one that connections are neither accepted nor refused
// at, as behind a firewall: the queue of its listener is full.
func deafen(t *testing.T, at netip.AddrPort) {
	t.Helper()
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(listener) })
	address := &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	err = errors.Join(unix.Bind(listener, address), unix.Listen(listener, 0))
	if err != nil {
		t.Fatal(os.NewSyscallError("listen", err))
	}
	for range 4 { // the first is queued, the others knock for as long as the test lasts
		knock, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(knock) })
		if err := unix.Connect(knock, address); err != nil && !errors.Is(err, unix.EINPROGRESS) {
			t.Fatal(os.NewSyscallError("connect", err))
		}
	}
}
