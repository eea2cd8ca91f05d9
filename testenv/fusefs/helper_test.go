package fusefs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/lioc"
)

// helperEnv turns the test binary into a program that does one thing to a
// file: what must happen in a process of its own, to be killed.
const helperEnv = "FUSEFS_TEST_HELPER"

func TestMain(m *testing.M) {
	if what := os.Getenv(helperEnv); what != "" {
		if err := help(what, os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func help(what, path string) error {
	switch what {
	case "read":
		signal.Notify(make(chan os.Signal, 1), syscall.SIGUSR1)
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		fmt.Println("reading")
		b, err := io.ReadAll(f)
		if err != nil {
			return err
		}
		fmt.Printf("%d bytes\n", len(b))
		return nil
	case "mmap":
		b, err := mapFile(path, unix.PROT_READ, unix.MAP_PRIVATE)
		if err != nil {
			return err
		}
		fmt.Printf("%q\n", b[:5])
		return nil
	case "register":
		root, err := os.Open(path)
		if err != nil {
			return err
		}
		_, err = ioctl(root, lioc.HSMCTStart, lioc.Encode(lioc.KernelComm{WriteFD: 1, PID: uint32(os.Getpid())}))
		return err
	case "create":
		return os.WriteFile(path, nil, 0o644)
	case "open":
		_, err := os.Open(path)
		return err
	}
	return errors.New("no such help: " + what)
}

// helper is a process that does one thing to a file.
func helper(what, path string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], path)
	cmd.Env = append(os.Environ(), helperEnv+"="+what)
	return cmd
}

// helpAs runs a helper as a plain user and returns what it said.
func helpAs(t *testing.T, uid uint32, what, path string) string {
	t.Helper()
	// The test binary lies in a directory that only root may enter.
	self := filepath.Join(publicDir(t), "helper")
	b, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(self, b, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := helper(what, path)
	cmd.Path = self
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if testenv.Run(t, cmd).Wait() == 0 {
		return ""
	}
	return stderr.String()
}

func publicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fusefs-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// modes runs a test with data through the kernel and through the daemon.
func modes(t *testing.T, f func(t *testing.T, l *testenv.Lustre)) {
	t.Run("passthrough", func(t *testing.T) { f(t, testenv.StartLustre(t, testenv.Options{})) })
	t.Run("direct", func(t *testing.T) { f(t, testenv.StartLustre(t, testenv.Options{NoPassthrough: true})) })
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(content), 0o644))
}

func wantContent(t testing.TB, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("content of %s: %.60q, %v, want %.60q", filepath.Base(path), got, err, want)
	}
}

// ioctl is an ioctl with a buffer as argument.
func ioctl(f *os.File, cmd uint32, arg []byte) (int, error) {
	n, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), uintptr(cmd), uintptr(unsafe.Pointer(&arg[0])))
	runtime.KeepAlive(f)
	if errno != 0 {
		return int(n), errno
	}
	return int(n), nil
}

func open(t testing.TB, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// call runs an ioctl on a path that must succeed, and decodes its answer.
func call[T lioc.Struct](t testing.TB, path string, cmd uint32, in T) T {
	t.Helper()
	b := lioc.Encode(in)
	if _, err := ioctl(open(t, path), cmd, b); err != nil {
		t.Fatalf("ioctl %#x on %s: %v", cmd, path, err)
	}
	out, err := lioc.Decode[T](b)
	must(t, err)
	return out
}

func fidOf(t testing.TB, path string) lioc.FID {
	t.Helper()
	return call(t, path, lioc.Path2FID, lioc.FID{})
}

func wantState(t testing.TB, path string, want uint32) {
	t.Helper()
	if got := call(t, path, lioc.HSMStateGet, lioc.UserState{}).States; got != want {
		t.Errorf("state of %s: %#x, want %#x", filepath.Base(path), got, want)
	}
}

// request asks for an action as lfs does.
func request(t testing.TB, mount string, action uint32, fids ...lioc.FID) error {
	t.Helper()
	r := lioc.Request{Action: action}
	for _, fid := range fids {
		r.Items = append(r.Items, lioc.UserItem{FID: fid, Extent: lioc.Extent{Length: ^uint64(0)}})
	}
	_, err := ioctl(open(t, mount), lioc.HSMRequest, r.Encode())
	return err
}

// A copytool is the least that can archive and restore: it keeps files in
// memory. Its steps are the calls that liblustreapi makes.
type copytool struct {
	t     testing.TB
	mount string
	root  *os.File
	pipe  *os.File
	store map[lioc.FID][]byte
}

const processID = 4242 // what the copytool says its pid is

func register(t testing.TB, mount string, archives ...uint32) *copytool {
	t.Helper()
	c, err := tryRegister(t, mount, archives...)
	must(t, err)
	return c
}

func tryRegister(t testing.TB, mount string, archives ...uint32) (*copytool, error) {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	defer w.Close()
	c := &copytool{t: t, mount: mount, root: open(t, mount), pipe: r, store: map[lioc.FID][]byte{}}
	t.Cleanup(func() { r.Close() })
	arg := lioc.Encode(lioc.KernelComm{WriteFD: uint32(w.Fd()), ReadFD: uint32(r.Fd()), PID: processID, Group: 2, Count: uint32(len(archives))})
	for _, id := range archives {
		arg = append(arg, byte(id), byte(id>>8), byte(id>>16), byte(id>>24))
	}
	_, err = ioctl(c.root, lioc.HSMCTStart, arg)
	return c, err
}

func (c *copytool) unregister() {
	c.t.Helper()
	arg := lioc.Encode(lioc.KernelComm{PID: processID, Group: 2, Flags: lioc.CommStop})
	if _, err := ioctl(open(c.t, c.mount), lioc.HSMCTStart, arg); err != nil {
		c.t.Errorf("unregister: %v", err)
	}
}

// message reads one message, whatever it is.
func (c *copytool) message() ([]byte, error) {
	c.t.Helper()
	must(c.t, c.pipe.SetReadDeadline(time.Now().Add(time.Minute)))
	head := make([]byte, lioc.Size[lioc.Header]())
	if _, err := io.ReadFull(c.pipe, head); err != nil {
		return nil, err
	}
	h, err := lioc.Decode[lioc.Header](head)
	must(c.t, err)
	b := append(head, make([]byte, int(h.Len)-len(head))...)
	_, err = io.ReadFull(c.pipe, b[len(head):])
	return b, err
}

func (c *copytool) recv() lioc.ActionList {
	c.t.Helper()
	b, err := c.message()
	must(c.t, err)
	l, err := lioc.DecodeMessage(b)
	must(c.t, err)
	return l
}

// next receives a list that must hold one item.
func (c *copytool) next() lioc.ActionItem {
	c.t.Helper()
	l := c.recv()
	if len(l.Items) != 1 {
		c.t.Fatalf("received %d items, want 1", len(l.Items))
	}
	return l.Items[0]
}

func copyArg(it lioc.ActionItem) lioc.Copy {
	return lioc.Copy{Item: lioc.Item{
		Len: 72, Action: it.Action, FID: it.FID, DFID: it.DFID, Extent: it.Extent, Cookie: it.Cookie, GID: it.GID,
	}}
}

func (c *copytool) copyIoctl(cmd uint32, arg lioc.Copy) (lioc.Copy, error) {
	c.t.Helper()
	b := lioc.Encode(arg)
	_, err := ioctl(c.root, cmd, b)
	out, derr := lioc.Decode[lioc.Copy](b)
	must(c.t, derr)
	return out, err
}

func (c *copytool) fidPath(fid lioc.FID) string {
	return filepath.Join(c.mount, ".lustre/fid", fid.Bare())
}

// begin is COPY_START.
func (c *copytool) begin(it lioc.ActionItem) lioc.Copy {
	c.t.Helper()
	out, err := c.copyIoctl(lioc.HSMCopyStart, copyArg(it))
	must(c.t, err)
	return out
}

func (c *copytool) end(cp lioc.Copy, errno syscall.Errno) error {
	c.t.Helper()
	cp.Errno = uint16(errno)
	_, err := c.copyIoctl(lioc.HSMCopyEnd, cp)
	return err
}

// archive carries out one ARCHIVE.
func (c *copytool) archive(it lioc.ActionItem) error {
	c.t.Helper()
	cp := c.begin(it)
	b, err := os.ReadFile(c.fidPath(it.FID))
	must(c.t, err)
	c.store[it.FID] = b
	return c.end(cp, 0)
}

// volatile makes the nameless file of a restore.
func (c *copytool) volatile() *os.File {
	c.t.Helper()
	name := filepath.Join(c.mount, ".\x0c\x13\x14\x12:VOLATILE:0000:1F690DDA:fd=08")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	must(c.t, err)
	return f
}

// restore carries out one RESTORE.
func (c *copytool) restore(it lioc.ActionItem) error {
	c.t.Helper()
	v := c.volatile()
	defer v.Close()
	b := lioc.Encode(lioc.FID{})
	_, err := ioctl(v, lioc.Path2FID, b)
	must(c.t, err)
	dfid, err := lioc.Decode[lioc.FID](b)
	must(c.t, err)
	cp := c.begin(it)
	_, err = v.Write(c.store[it.FID])
	must(c.t, err)
	cp.Item.FID, cp.Item.DFID = dfid, dfid // the library names the volatile in both
	return c.end(cp, 0)
}

// serve carries out actions until told to stop.
func (c *copytool) serve() (stop func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			b, err := c.message()
			if err != nil {
				return
			}
			l, err := lioc.DecodeMessage(b)
			if err != nil {
				return // shutdown
			}
			for _, it := range l.Items {
				var err error
				switch it.Action {
				case lioc.ActionArchive:
					err = c.archive(it)
				case lioc.ActionRestore:
					err = c.restore(it)
				default:
					err = c.end(copyArg(it), 0)
				}
				if err != nil {
					c.t.Errorf("action %d on %v: %v", it.Action, it.FID, err)
				}
			}
		}
	}()
	return func() {
		c.unregister()
		<-done
	}
}

// released makes a file with this content that is in the copytool's store only.
func (c *copytool) released(l *testenv.Lustre, name, content string) string {
	c.t.Helper()
	path := filepath.Join(c.mount, name)
	write(c.t, path, content)
	must(c.t, request(c.t, c.mount, lioc.UserArchive, fidOf(c.t, path)))
	must(c.t, c.archive(c.next()))
	must(c.t, request(c.t, c.mount, lioc.UserRelease, fidOf(c.t, path)))
	return path
}

// waitFor asks for a tunable until it shows what it must.
func waitFor(t testing.TB, l *testenv.Lustre, pattern, what string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !strings.Contains(l.GetParam(pattern), what) {
		if time.Now().After(deadline) {
			t.Fatalf("%s never showed %q: %s", pattern, what, l.GetParam(pattern))
		}
	}
}

func mapFile(path string, prot, flags int) ([]byte, error) {
	mode := os.O_RDONLY
	if prot&unix.PROT_WRITE != 0 {
		mode = os.O_RDWR
	}
	f, err := os.OpenFile(path, mode, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return unix.Mmap(int(f.Fd()), 0, int(st.Size()), prot, flags)
}
