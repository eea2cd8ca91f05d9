package soak

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"lhsm-azblob/testenv"
)

// drainTimeout is what a copytool is given to end in good order.
const drainTimeout = 20 * time.Second

// A mover is a mount with a copytool on it, which is killed and started again.
type mover struct {
	w     *world
	name  string
	mount string
	log   *os.File

	mu      sync.Mutex // guards all below, and start and stop against each other
	process *testenv.Process
	serving bool   // and has to go on until it is told otherwise
	address string // of its metrics
}

func newMover(w *world, number int, mount string) (*mover, error) {
	name := "copytool" + strconv.Itoa(number)
	log, err := os.Create(filepath.Join(w.o.Dir, name+".log"))
	return &mover{w: w, name: name, mount: mount, log: log}, err
}

// start starts the copytool, as often as it takes: a service manager does so,
// and with the troubles that there are, a start may fail.
func (m *mover) start(ctx context.Context) error {
	end := m.w.watch.begin("start", m.name)
	defer end()
	for {
		err := m.startOnce(ctx)
		if err == nil || ctx.Err() != nil || m.w.watch.hanging() != nil {
			return err
		}
		m.w.log.add(m.name, "start", err)
		m.w.seen.count(refused, "start of a copytool")
		if !pause(ctx, time.Second) {
			return ctx.Err()
		}
	}
}

func (m *mover) startOnce(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir := m.w.o.Dir
	cmd := exec.CommandContext(context.WithoutCancel(ctx), m.w.o.Copytool, //nolint:gosec // the program under test
		"--container-url", m.w.url, "--auth", "shared-key", "--account-key-file", m.w.keyFile(),
		"--run-dir", filepath.Join(dir, "run"), "--state-dir", filepath.Join(dir, "state"), "--http", "127.0.0.1:0",
		"--block-size", "256KiB", "--transfers", "8", "--memory", "64MiB", "--archives", "12", "--restores", "12", "--removes", "4",
		"--progress-interval", "1s", "--drain-timeout", drainTimeout.String(), "--holes-after", "0", m.mount)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0 halt_on_error=1")
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stderr = w
	p, err := testenv.Start(cmd)
	w.Close()
	if err != nil {
		r.Close()
		return err
	}
	m.process = p
	ready := make(chan string, 1)
	go m.follow(r, ready)
	select {
	case m.address = <-ready:
		m.serving = true
		return nil
	case <-p.Done():
		return fmt.Errorf("%s ended before it served: exit %d", m.name, p.Wait())
	}
}

// follow keeps the log, and says at which address the metrics are when the
// copytool serves. It ends with the process.
func (m *mover) follow(r io.ReadCloser, ready chan<- string) {
	defer r.Close()
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	address := ""
	for lines.Scan() {
		line := lines.Text()
		fmt.Fprintln(m.log, line)
		if _, a, ok := strings.Cut(line, `msg="serving HTTP" address=`); ok {
			address = a
		}
		if ready != nil && strings.Contains(line, "msg=serving ") {
			ready <- address
			ready = nil
		}
	}
}

// kill ends the copytool as a crash would.
func (m *mover) kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.serving = false
	m.process.Signal(syscall.SIGKILL)
	<-m.process.Done()
}

// drain ends it as a service manager would.
func (m *mover) drain() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.w.watch.begin("drain", m.name)()
	m.serving = false
	m.process.Signal(syscall.SIGTERM)
	select {
	case <-m.process.Done():
		if code := m.process.Wait(); code != 0 {
			return fmt.Errorf("%s ended with %d after SIGTERM", m.name, code)
		}
		return nil
	case <-time.After(drainTimeout + m.w.o.Hang):
		return fmt.Errorf("hang: %s has not ended %v after SIGTERM", m.name, drainTimeout+m.w.o.Hang)
	}
}

// ended is an error if the copytool has ended by itself. Whoever ends it holds mu.
func (m *mover) ended() error {
	if !m.mu.TryLock() {
		return nil
	}
	defer m.mu.Unlock()
	if !m.serving {
		return nil
	}
	select {
	case <-m.process.Done():
		return fmt.Errorf("%s ended by itself: exit %d; see its log", m.name, m.process.Wait())
	default:
		return nil
	}
}

// look notes how much the copytool uses, as Prometheus and the kernel see it.
// It returns nothing about one that is being ended or started.
func (m *mover) look(ctx context.Context) map[string]float64 {
	if !m.mu.TryLock() {
		return nil
	}
	defer m.mu.Unlock()
	if !m.serving {
		return nil
	}
	if peak, err := testenv.PeakMemory(m.process.Cmd.Process.Pid); err == nil {
		m.w.seen.peak("RSS of "+m.name+", MiB", peak>>20)
	}
	values, err := scrape(ctx, "http://"+m.address+"/metrics")
	if err != nil {
		m.w.log.add(m.name, "scrape", err)
		return nil
	}
	m.w.seen.peak("goroutines of "+m.name, int64(values["go_goroutines"]))
	m.w.seen.peak("descriptors of "+m.name, int64(values["process_open_fds"]))
	return values
}

// followMovers looks at the copytools from time to time.
func (w *world) followMovers(ctx context.Context) error {
	return every(ctx, 2*time.Second, func() error {
		for _, m := range w.movers {
			if err := m.ended(); err != nil {
				return err
			}
			m.look(ctx)
		}
		return nil
	})
}

// dump has the copytool write the stacks of its goroutines to its log.
func (m *mover) dump() {
	m.process.Signal(syscall.SIGQUIT)
	select {
	case <-m.process.Done():
	case <-time.After(10 * time.Second): // for what hangs in the kernel
	}
}

func (m *mover) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.process != nil {
		m.process.Signal(syscall.SIGKILL)
		<-m.process.Done()
	}
	m.log.Close()
}
