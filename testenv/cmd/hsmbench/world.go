package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"lhsm-azblob/testenv"
)

// accountKey is not looked at by the sink.
const accountKey = "bm8gc2lnbmF0dXJlIGlzIGNoZWNrZWQ="

// A world is what stands around the copytool while a case runs: a stand-in Lustre
// and a blob server.
type world struct {
	ctx        context.Context // its end kills every program
	bin, dir   string
	remove     func() // dir
	mount      string
	url, stats string // of the container, and of the server's counts
	lustre     *testenv.Process
	server     *testenv.Process
}

// newWorld starts it in a folder of its own below back.
func newWorld(ctx context.Context, back string, c benchCase) (w *world, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, remove, err := testenv.NewScratch(back)
	if err != nil {
		return nil, err
	}
	w = &world{ctx: ctx, bin: filepath.Dir(self), dir: dir, remove: remove, mount: filepath.Join(dir, "mnt")}
	if err := errors.Join(w.startServer(c), w.startLustre()); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *world) startLustre() (err error) {
	// For our own calls of the library, and those of the copytool.
	err = errors.Join(
		os.Mkdir(w.mount, 0o755),
		os.Setenv("LUSTRE_MOUNT", w.mount),
		os.Setenv("LHSM_LIBLUSTREAPI", filepath.Join(w.bin, "liblustreapi.so.1")),
	)
	if err != nil {
		return err
	}
	w.lustre, err = testenv.StartReady(w.command("lustre-standin", "serve", "--back", filepath.Join(w.dir, "back"), "--mount", w.mount,
		"--param", "mdt.*.hsm_control=enabled", "--param", "mdt.*.hsm.max_requests=256",
		"--param", "mdt.*.hsm.loop_period=1", "--param", "mdt.*.hsm.grace_delay=1"))
	return err
}

func (w *world) startServer(c benchCase) error {
	ca := filepath.Join(w.dir, "ca.pem")
	args := []string{"-fill", c.fill.String(), "-latency", c.latency.String(), "-ca", ca}
	if c.secure {
		args = append(args, "-tls")
		if err := os.Setenv("SSL_CERT_FILE", ca); err != nil {
			return err
		}
	}
	cmd := w.command("blobsink", args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if w.server, err = testenv.Start(cmd); err != nil {
		return err
	}
	said := map[string]string{}
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "ready"; {
		name, value, _ := strings.Cut(lines.Text(), "=")
		said[name] = value
	}
	w.url, w.stats = said["BLOBSINK_ENDPOINT"]+"/bench", said["BLOBSINK_STATS"]
	if w.stats == "" {
		return errors.New("the blob server did not start")
	}
	return nil
}

// command is a program of the folder that this one lies in. It is told to end with
// the world, or when this program is gone: a mount wants to be unmounted.
func (w *world) command(program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(w.ctx, filepath.Join(w.bin, program), args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM} // Ctrl-C is for us
	return cmd
}

// startCopytool returns when it serves.
func (w *world) startCopytool(options []string) (*testenv.Process, error) {
	key := filepath.Join(w.dir, "account.key")
	if err := os.WriteFile(key, []byte(accountKey), 0o600); err != nil {
		return nil, err
	}
	args := append([]string{
		"--container-url", w.url, "--auth", "shared-key", "--account-key-file", key,
		"--run-dir", filepath.Join(w.dir, "run"), "--state-dir", filepath.Join(w.dir, "state"), "--log-level", "warn",
	}, append(options, w.mount)...)
	ready, err := listenNotify(filepath.Join(w.dir, "notify"))
	if err != nil {
		return nil, err
	}
	defer ready.Close()
	cmd := w.command("lhsmtool_azblob", args...)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+ready.LocalAddr().String())
	p, err := testenv.Start(cmd)
	if err != nil {
		return nil, err
	}
	go func() { // ends with the copytool, or when it is ready
		<-p.Done()
		ready.Close()
	}()
	if err := awaitReady(ready); err != nil {
		return nil, errors.New("the copytool ended before it was ready")
	}
	return p, nil
}

func listenNotify(path string) (net.Conn, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
}

// awaitReady reads what systemd would be told.
func awaitReady(c io.Reader) error {
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(buf[:n])) {
			if strings.TrimSpace(line) == "READY=1" {
				return nil
			}
		}
	}
}

// stop ends a program in good order.
func stop(p *testenv.Process) {
	if p != nil {
		p.Signal(syscall.SIGTERM)
		p.Wait()
	}
}

func (w *world) close() {
	stop(w.server)
	stop(w.lustre)
	w.remove()
}

// standin has the stand-in do something, and gives what it prints.
func (w *world) standin(args ...string) (string, error) {
	r, err := testenv.Output(w.command("lustre-standin", args...))
	if err == nil && r.Code != 0 {
		err = fmt.Errorf("lustre-standin %s: %s", args[0], strings.TrimSpace(r.Stderr))
	}
	return r.Stdout, err
}

// waitIdle waits until the coordinator has nothing to do.
func (w *world) waitIdle() error {
	_, err := w.standin("wait-idle")
	return err
}

// makeFiles makes a folder of the case's files, which hold what a blob of the
// server is made of, so that what comes back has the right checksum.
func (w *world) makeFiles(folder string, c benchCase) (*fileSet, error) {
	set := &fileSet{world: w, dir: filepath.Join(w.mount, folder)}
	if err := os.Mkdir(set.dir, 0o755); err != nil {
		return nil, err
	}
	for i := range c.files {
		if err := set.add(filepath.Join(set.dir, strconv.Itoa(i)), c); err != nil {
			return nil, errors.Join(err, set.remove())
		}
	}
	return set, nil
}
