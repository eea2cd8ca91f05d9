package azurite

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// Options says how an Azurite is run. The zero value is what tests want.
type Options struct {
	Port     int    // 0: a free one
	Location string // folder for its data, kept; empty: in memory
	CertFile string // with KeyFile: serve HTTPS, and accept OAuth tokens
	KeyFile  string
}

// Run starts an Azurite and returns when it listens. It is ended by
// [Server.Stop], or by the end of this process, and not by ctx, which is for the
// installation.
func Run(ctx context.Context, o Options) (*Server, error) {
	dir, err := install(ctx)
	if err != nil {
		return nil, err
	}
	p := &process{listening: make(chan string, 1), done: make(chan struct{})}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), node(dir), arguments(dir, o)...)
	if err := p.start(cmd); err != nil {
		return nil, fmt.Errorf("start azurite: %w", err)
	}
	select {
	case endpoint := <-p.listening:
		return newServer(endpoint, o, p), nil
	case <-p.done:
		return nil, fmt.Errorf("start azurite: it ended: %s", strings.TrimSpace(p.output.String()))
	}
}

// arguments is Azurite's command line.
func arguments(dir string, o Options) []string {
	args := []string{
		filepath.Join(dir, "node_modules/azurite/dist/src/blob/main.js"),
		"--blobPort", strconv.Itoa(o.Port),
		// Longer than any test keeps a connection idle: the default of 5 s
		// makes it close connections just as they are used again.
		"--blobKeepAliveTimeout", "600",
		"--silent", "--disableTelemetry", "--skipApiVersionCheck",
	}
	if o.Location == "" {
		args = append(args, "--inMemoryPersistence")
	} else {
		args = append(args, "--location", o.Location)
	}
	if o.CertFile != "" {
		args = append(args, "--cert", o.CertFile, "--key", o.KeyFile, "--oauth", "basic")
	}
	return args
}

// node is the Node to run Azurite with: the one installed beside it, if one
// was needed.
func node(dir string) string {
	if own := filepath.Join(dir, "node_modules/node/bin/node"); exists(own) {
		return own
	}
	return "node"
}

// install runs install.sh and returns the folder that Azurite is in.
func install(ctx context.Context) (dir string, err error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(root, "build/azurite")
	out, err := exec.CommandContext(ctx, filepath.Join(root, "testenv/azurite/install.sh"), dir).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("install azurite: %w: %s", err, bytes.TrimSpace(out))
	}
	return dir, nil
}

// moduleRoot finds the top of the source tree from the working directory,
// which for a test is its package's folder.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if exists(filepath.Join(dir, "testenv/azurite/install.sh")) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("start azurite: not inside the source tree of lhsm-azblob")
		}
		dir = filepath.Dir(dir)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// process is a running Azurite.
type process struct {
	proc      *os.Process
	listening chan string   // its endpoint, once
	done      chan struct{} // closed when it has ended
	output    bytes.Buffer  // what it printed; read after done
}

// start starts cmd from a thread of its own that lives as long as the child:
// the kernel sends Pdeathsig when the parent *thread* ends, and Go may end an
// idle thread at any time.
func (p *process) start(cmd *exec.Cmd) error {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = cmd.Stdout
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	// Ends with the child, which Stop or the end of this process brings about.
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		if err == nil {
			p.proc = cmd.Process
		}
		started <- err
		if err != nil {
			return
		}
		p.watch(out)
		_ = cmd.Wait() // killed, as a rule
		close(p.done)
	}()
	return <-started
}

// watch keeps what Azurite prints and announces its endpoint.
func (p *process) watch(out io.Reader) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		line := lines.Text()
		if _, endpoint, ok := strings.Cut(line, "successfully listens on "); ok {
			p.listening <- strings.TrimSpace(endpoint)
		}
		if p.output.Len() < 1<<16 {
			fmt.Fprintln(&p.output, line)
		}
	}
}
