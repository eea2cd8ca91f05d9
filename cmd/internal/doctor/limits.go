package doctor

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// readLimit reads a process's limit from /proc/PID/limits. A Go program raises
// what it may: the hard limit counts.
func readLimit(dir, name string) (int64, error) {
	b, err := os.ReadFile(filepath.Join(dir, "limits"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		values, ok := strings.CutPrefix(line, name)
		if !ok {
			continue
		}
		fields := strings.Fields(values) // soft, hard, unit
		switch {
		case len(fields) < 2:
			return 0, fmt.Errorf("%q in %s makes no sense", line, dir)
		case fields[1] == "unlimited":
			return math.MaxInt64, nil
		}
		return strconv.ParseInt(fields[1], 10, 64)
	}
	return 0, fmt.Errorf("no %q in %s", name, dir)
}

// cgroups is where they are mounted.
var cgroups = "/sys/fs/cgroup"

// A groupLimit is a limit of control groups by its two names.
type groupLimit struct {
	controller string // of the first version, which has a tree for each
	first      string
	second     string
}

var (
	memoryLimit = groupLimit{"memory", "memory.limit_in_bytes", "memory.max"}
	pidsLimit   = groupLimit{"pids", "pids.max", "pids.max"}
)

// cgroupLimit is the smallest limit of the control groups that a process is in,
// and the file that has it; "" where there is none.
func cgroupLimit(dir string, l groupLimit) (limit int64, where string) {
	limit = math.MaxInt64
	b, err := os.ReadFile(filepath.Join(dir, "cgroup"))
	if err != nil {
		return limit, ""
	}
	for line := range strings.Lines(string(b)) {
		// hierarchy:controllers:path
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) < 3 {
			continue
		}
		tree, file := cgroups, l.second
		if fields[1] == l.controller {
			tree, file = filepath.Join(cgroups, l.controller), l.first
		} else if fields[1] != "" {
			continue
		}
		// Each group above counts, too. Those above a container's are not to be seen.
		for at := filepath.Clean("/" + fields[2]); ; at = filepath.Dir(at) {
			name := filepath.Join(tree, at, file)
			if n, err := readNumber(name); err == nil && n < limit {
				limit, where = n, name
			}
			if at == "/" {
				break
			}
		}
	}
	return limit, where
}

// readNumber reads a limit; "max" is none. The first version of control groups
// writes that as the largest number of pages there could be.
func readNumber(name string) (int64, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err == nil && n >= math.MaxInt64-1<<20 {
		return 0, fmt.Errorf("%s sets no limit", name)
	}
	return n, err
}

// totalMemory reads the machine's memory, in bytes.
func totalMemory(meminfo string) (int64, error) {
	f, err := os.Open(meminfo)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 1 && fields[0] == "MemTotal:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no MemTotal in %s", meminfo)
}

// What the journal takes, generously: some hundred bytes for each action that
// waits.
const (
	leastDisk = 64 << 20
	fairDisk  = 1 << 30
)

// remoteDisks are file systems that the journal must not be on: they may be away
// when it is needed.
var remoteDisks = map[int64]string{
	unix.NFS_SUPER_MAGIC: "NFS", 0x0bd00bd0: "Lustre", unix.CEPH_SUPER_MAGIC: "CephFS", unix.SMB2_SUPER_MAGIC: "SMB", unix.CIFS_SUPER_MAGIC: "SMB",
}

// disk looks at where the journal is.
func disk(dir string) result {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return failf("", "%s: %v", dir, err)
	}
	free := int64(st.Bavail) * st.Bsize
	switch remote := remoteDisks[st.Type]; {
	case remote != "":
		return warnf("", "%s is on %s", dir, remote)
	case free < leastDisk:
		return failf("make room", "%s has %s free", dir, mib(free))
	case free < fairDisk:
		return warnf("make room", "%s has %s free", dir, mib(free))
	case st.Type == unix.TMPFS_MAGIC:
		return warnf("", "%s is in memory: after a crash of the machine the actions that ran wait for active_request_timeout", dir)
	}
	return okf("%s can be written to, and has %s free", dir, mib(free))
}
