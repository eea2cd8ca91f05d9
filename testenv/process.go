package testenv

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A Process is a program that a test started. It is killed when the test ends,
// or when the test process itself is killed.
type Process struct {
	Cmd  *exec.Cmd
	done chan struct{}
	err  error // of Wait; read after done
}

// Run starts cmd. The caller need not wait for it.
func Run(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p, err := Start(cmd)
	if err != nil {
		t.Fatalf("start %s: %v", cmd.Path, err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // fails when it has ended by itself, which is as good
		<-p.done
	})
	return p
}

// Start is Run for programs that are no tests. The process is killed when this
// one ends.
func Start(cmd *exec.Cmd) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	if cmd.SysProcAttr.Pdeathsig == 0 {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	if raceEnabled && os.Getenv("GORACE") == "" {
		// By default a program with the race detector sleeps for a second before
		// it ends, and goes on after a race, which then only a log would show.
		cmd.Env = append(cmd.Environ(), "GORACE=atexit_sleep_ms=0 halt_on_error=1")
	}
	if err := startOnLastingThread(cmd); err != nil {
		return nil, err
	}
	p := &Process{Cmd: cmd, done: make(chan struct{})}
	go func() { // ends with the process
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// StartReady is Start for a daemon that prints "ready" as its first line when it
// serves, and returns then.
func StartReady(cmd *exec.Cmd) (*Process, error) {
	out, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout = w
	p, err := Start(cmd)
	w.Close()
	if err != nil {
		out.Close()
		return nil, err
	}
	line, _ := bufio.NewReader(out).ReadString('\n') // a short line tells as much as the error
	go func() {                                      // ends with the daemon
		_, _ = io.Copy(io.Discard, out)
		out.Close()
	}()
	if line != "ready\n" {
		p.Signal(syscall.SIGKILL)
		return nil, fmt.Errorf("%s did not become ready, it said %q", cmd.Path, line)
	}
	return p, nil
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the end and returns the exit status, 128 and more for a
// signal, as a shell does.
func (p *Process) Wait() int {
	<-p.done
	return exitCode(p.err)
}

// Signal sends a signal; one that finds nobody is no error.
func (p *Process) Signal(sig syscall.Signal) { _ = p.Cmd.Process.Signal(sig) }

// PeakMemory is the largest resident size of a process so far, in bytes.
func PeakMemory(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(status), "VmHWM:")
	if !ok {
		return 0, fmt.Errorf("peak memory of process %d: it has ended", pid)
	}
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	return kib << 10, err
}

// CPUTime is the processor time that a process has used so far, user and system,
// of all its threads, also those that have ended.
func CPUTime(pid int) (time.Duration, error) {
	// The kernel's MAKE_PROCESS_CPUCLOCK with CPUCLOCK_SCHED, which is exact where
	// /proc/PID/stat counts in ticks of 10 ms.
	clock := int32(^pid<<3 | 2)
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			return 128 + int(ws.Signal())
		}
		return exit.ExitCode()
	}
	return -1
}

// spawner starts processes from one thread that lasts as long as this process:
// the death signal comes when the *thread* ends that started the child, and Go
// ends threads as it likes.
var spawner = sync.OnceValue(func() chan func() {
	calls := make(chan func())
	go func() { // ends with the process
		runtime.LockOSThread()
		for f := range calls {
			f()
		}
	}()
	return calls
})

func startOnLastingThread(cmd *exec.Cmd) error {
	result := make(chan error)
	spawner() <- func() { result <- cmd.Start() }
	return <-result
}

// A Result is what a program that has ended left behind.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// Output runs cmd to its end.
func Output(cmd *exec.Cmd) (Result, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	p, err := Start(cmd)
	if err != nil {
		return Result{}, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	code := p.Wait()
	return Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: code}, nil
}
