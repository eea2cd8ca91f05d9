package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"

	"lhsm-azblob/copytool"
)

// A process is the copytool of the mount, if it runs, and what this machine lets
// it have. If it does not, its limits will be those of the service, which nobody
// can see before the start; then this process's are looked at.
type process struct {
	o      Options
	client *client

	mu  sync.Mutex // guards pid
	pid int        // of the copytool; 0: does not run, as far as is known
}

func (p *process) checks() []Check {
	afterwards := []string{"copytool"}
	return []Check{
		{
			Subject: mover, Name: "copytool", needs: []string{lustre + "/mount"}, run: p.copytool,
			advice: "see its log: journalctl -u " + p.o.Unit,
		},
		{
			Subject: mover, Name: "journal", run: p.journal,
			advice: "name a directory on a local disk with state_dir",
		},
		{
			Subject: mover, Name: "memory", after: afterwards, run: p.memory,
			advice: "lower memory in the configuration, or raise the limit (MemoryMax= of the unit)",
		},
		{
			Subject: mover, Name: "descriptors", after: afterwards, run: p.descriptors,
			advice: "raise LimitNOFILE= of the unit, or lower archives, restores and transfers",
		},
		{
			Subject: mover, Name: "threads", after: afterwards, run: p.threads,
			advice: "raise TasksMax= of the unit, or lower archives, restores and transfers",
		},
	}
}

// copytool looks whether one serves the mount, by the lock that it holds.
func (p *process) copytool(ctx context.Context) result {
	pid, err := copytool.MountHolder(p.o.RunDir, p.client.root)
	switch {
	case err != nil:
		return failed(err)
	case pid == 0:
		return warnf("systemctl enable --now "+p.o.Unit, "no copytool serves %s from here", p.client.root)
	}
	p.mu.Lock()
	p.pid = pid
	p.mu.Unlock()
	if p.o.HTTP == "" {
		return okf("a copytool serves %s: pid %d", p.client.root, pid)
	}
	return p.health(ctx, pid)
}

// health asks the copytool itself.
func (p *process) health(ctx context.Context, pid int) result {
	host, port, err := net.SplitHostPort(p.o.HTTP)
	if err != nil {
		return failed(err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/healthz", nil)
	if err != nil {
		return failed(err)
	}
	answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request) // no proxy between
	if err != nil {
		return failf("", "the copytool, pid %d, does not answer: %v", pid, err)
	}
	defer answer.Body.Close()
	var st copytool.Status
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&st); err != nil {
		return failf("say with http where the copytool listens", "somebody else answers at %s: %v", p.o.HTTP, err)
	}
	if !st.Serving {
		return failf("", "the copytool, pid %d, is not registered with the coordinator", pid)
	}
	return okf("a copytool serves %s and is registered: pid %d", p.client.root, pid)
}

// target is the process whose limits count, and how it is called.
func (p *process) target() (dir, who string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pid == 0 {
		return "/proc/self", "a process started from here"
	}
	return fmt.Sprintf("/proc/%d", p.pid), fmt.Sprintf("the copytool, pid %d", p.pid)
}

// What a copytool takes of a process, at most.
const (
	filesPerAction     = 4 // the file, its volatile, its layout, a directory
	threadsPerTransfer = 2 // one that talks to the network, and one to Lustre
	filesBesides       = 64
	threadsBesides     = 64
)

func (p *process) actions() int {
	return p.o.Limits.Archives + p.o.Limits.Restores + p.o.Limits.Removes
}

func (p *process) descriptors(context.Context) result {
	dir, who := p.target()
	limit, err := readLimit(dir, "Max open files")
	if err != nil {
		return notef("", "the limit of open files cannot be read: %v", err)
	}
	need := int64(filesPerAction*p.actions() + p.o.Pool.Transfers + filesBesides)
	if limit < need {
		return failf("", "%s may open %d files, and needs up to %d", who, limit, need)
	}
	return okf("%s may open %d files, and needs up to %d", who, limit, need)
}

func (p *process) threads(context.Context) result {
	dir, who := p.target()
	limit, where := cgroupLimit(dir, pidsLimit)
	need := int64(p.actions() + threadsPerTransfer*p.o.Pool.Transfers + threadsBesides)
	switch {
	case where == "":
		return okf("%s may have any number of threads, and needs up to %d", who, need)
	case limit < need:
		return failf("", "%s may have %d threads (%s), and needs up to %d", who, limit, where, need)
	}
	return okf("%s may have %d threads, and needs up to %d", who, limit, need)
}

// besidesBuffers is what the process takes besides --memory.
const besidesBuffers = 64 << 20

// memory compares what the copytool will take with what there is. Lustre's own
// cache needs some too.
func (p *process) memory(context.Context) result {
	dir, who := p.target()
	need := p.o.Pool.Memory + besidesBuffers
	if limit, where := cgroupLimit(dir, memoryLimit); where != "" && limit < need {
		return failf("", "%s may have %s of memory (%s), and needs up to %s", who, mib(limit), where, mib(need))
	}
	total, err := totalMemory("/proc/meminfo")
	switch {
	case err != nil:
		return notef("", "the machine's memory cannot be read: %v", err)
	case total < need:
		return failf("", "the machine has %s of memory, and the copytool needs up to %s", mib(total), mib(need))
	case total/2 < need:
		return warnf("", "the copytool needs up to %s of the machine's %s of memory, which leaves little to Lustre's cache", mib(need), mib(total))
	}
	return okf("the copytool needs up to %s, and the machine has %s", mib(need), mib(total))
}

func mib(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }

// journal tries what the copytool does in its directory.
func (p *process) journal(context.Context) result {
	if err := copytool.CheckStateDir(p.o.StateDir); err != nil {
		return failed(err)
	}
	f, err := os.CreateTemp(p.o.StateDir, ".doctor-*")
	if err != nil {
		return failf("", "no file can be made in %s: %v", p.o.StateDir, cause(err))
	}
	defer os.Remove(f.Name()) //nolint:errcheck // a leftover says by its name what it is
	defer f.Close()
	if _, err := f.Write(make([]byte, 4096)); err != nil {
		return failf("", "no file can be written in %s: %v", p.o.StateDir, cause(err))
	}
	return disk(p.o.StateDir)
}
