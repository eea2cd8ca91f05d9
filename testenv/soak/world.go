package soak

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/admin"
	"lhsm-azblob/testenv/azurite"
	"lhsm-azblob/testenv/gate"
)

// A world is all that runs, and what is known of it.
type world struct {
	o      Options
	mounts []string // of those who work on files: copytools have mounts of their own
	back   string   // data and mount points of the stand-in
	socket string   // of the stand-in

	standin *testenv.Process
	gate    *gate.Gate
	blobs   *container.Client // past the gate
	url     string            // of the container, through the gate
	movers  []*mover
	server  *azurite.Server

	files *files
	seen  *figures
	watch *watch
	log   *opLog
}

// givenUp is the coordinator's patience with an action of which it hears
// nothing. It is what ends those that a kill or a restart has lost.
const givenUp = 30 * time.Second

// coordinator makes the coordinator quick. It is set for good, so that it
// outlives a restart of the MDT.
var coordinator = []string{
	"mdt.*.hsm_control=enabled", "mdt.*.hsm.max_requests=48", "mdt.*.hsm.loop_period=1", "mdt.*.hsm.grace_delay=5",
	fmt.Sprintf("mdt.*.hsm.active_request_timeout=%d", int(givenUp.Seconds())),
}

func newWorld(o Options) *world {
	g := newFigures()
	return &world{o: o, files: newFiles(), seen: g, watch: newWatch(o.Hang, g)}
}

// start starts all programs. Whatever it returns, close ends them.
func (w *world) start(ctx context.Context) error {
	if err := os.MkdirAll(w.o.Dir, 0o755); err != nil {
		return err
	}
	var err error
	if w.log, err = newOpLog(filepath.Join(w.o.Dir, "soak.log")); err != nil {
		return err
	}
	movers, err := w.startLustre(ctx)
	if err != nil {
		return err
	}
	if err := w.startServer(ctx); err != nil {
		return err
	}
	for i, mount := range movers {
		m, err := newMover(w, i+1, mount)
		if err != nil {
			return err
		}
		w.movers = append(w.movers, m)
		if err := m.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// startLustre mounts a file system for users, and for copytools. On one mount, a
// user who waits for a restore would hold a lock of the kernel's that the
// copytool needs to end it: FUSE differs from Lustre in that.
func (w *world) startLustre(ctx context.Context) (movers []string, err error) {
	back, err := os.MkdirTemp(w.o.Back, "hsmsoak-")
	if err != nil {
		return nil, err
	}
	w.back = back
	if err := os.Chmod(back, 0o755); err != nil { // plain users come by here
		return nil, err
	}
	w.mounts = []string{filepath.Join(back, "client1"), filepath.Join(back, "client2")}
	movers = []string{filepath.Join(back, "mover1"), filepath.Join(back, "mover2")}
	args := []string{"serve", "--back", filepath.Join(back, "back")}
	for _, m := range append(movers, w.mounts...) {
		if err := os.MkdirAll(m, 0o755); err != nil {
			return nil, err
		}
		args = append(args, "--mount", m)
	}
	return movers, w.serveLustre(ctx, args)
}

func (w *world) serveLustre(ctx context.Context, args []string) error {
	log, err := os.Create(filepath.Join(w.o.Dir, "lustre.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(w.o.Bin, "lustre-standin"), args...) // ended by close
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} // so that it unmounts
	if w.standin, err = testenv.StartReady(cmd); err != nil {
		return err
	}
	if w.socket, err = admin.Socket(w.mounts[0]); err != nil {
		return err
	}
	if _, err := w.lustre(ctx, append([]string{"set_param", "-P"}, coordinator...)...); err != nil {
		return err
	}
	return errors.Join(
		os.Setenv("LUSTRE_MOUNT", w.mounts[0]),
		os.Setenv("LHSM_LIBLUSTREAPI", filepath.Join(w.o.Bin, "liblustreapi.so.1")),
	)
}

// lustre runs a command of lustre-standin.
func (w *world) lustre(ctx context.Context, args ...string) (string, error) {
	r, err := admin.Call(ctx, w.socket, args...)
	if err == nil && r.Code != 0 {
		err = fmt.Errorf("%s: exit %d: %s", args[0], r.Code, r.Stderr)
	}
	return r.Stdout, err
}

const containerName = "soak"

// startServer starts the blob server and the gate before it.
func (w *world) startServer(ctx context.Context) error {
	if err := w.runServer(ctx, 0); err != nil {
		return err
	}
	direct, err := w.server.CreateContainer(ctx, containerName)
	if err != nil {
		return err
	}
	u, err := url.Parse(direct)
	if err != nil {
		return err
	}
	if w.gate, err = gate.New(u.Scheme+"://"+u.Host, gate.Options{}); err != nil {
		return err
	}
	w.url = w.gate.URL + u.Path
	cred, err := container.NewSharedKeyCredential(w.server.AccountName, w.server.AccountKey)
	if err != nil {
		return err
	}
	if w.blobs, err = container.NewClientWithSharedKeyCredential(direct, cred, nil); err != nil {
		return err
	}
	return os.WriteFile(w.keyFile(), []byte(w.server.AccountKey), 0o600)
}

func (w *world) keyFile() string { return filepath.Join(w.o.Dir, "account.key") }

func (w *world) runServer(ctx context.Context, port int) error {
	server, err := azurite.Run(ctx, azurite.Options{Port: port, Location: filepath.Join(w.o.Dir, "azurite")})
	if err == nil {
		w.server = server
	}
	return err
}

// close ends everything. Logs stay; data do not.
func (w *world) close() error {
	for _, m := range w.movers {
		m.close()
	}
	if w.gate != nil {
		w.gate.Close()
	}
	if w.server != nil {
		w.server.Stop()
	}
	if w.standin != nil {
		w.standin.Signal(syscall.SIGTERM)
		<-w.standin.Done()
	}
	w.log.close()
	return errors.Join(
		w.removeBack(),
		os.RemoveAll(filepath.Join(w.o.Dir, "azurite")),
	)
}

func (w *world) removeBack() error {
	if w.back == "" {
		return nil
	}
	return os.RemoveAll(w.back)
}
