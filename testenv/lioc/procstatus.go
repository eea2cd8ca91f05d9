package lioc

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Status is what a server needs to know of a calling thread beyond its uid
// and gid (/proc/TID/status).
type Status struct {
	PID     int      // of the process
	Groups  []uint32 // supplementary
	CapEff  uint64   // effective capabilities, in the thread's own user namespace
	pending uint64
	blocked uint64
	ignored uint64
	caught  uint64
}

// ReadStatus reads the status of a thread.
func ReadStatus(tid int) (Status, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
	if err != nil {
		return Status{}, fmt.Errorf("look at thread %d: %w", tid, err)
	}
	return parseStatus(b), nil
}

func parseStatus(b []byte) Status {
	var s Status
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimSpace(value)
		switch key {
		case "Tgid":
			s.PID, _ = strconv.Atoi(value)
		case "Groups":
			s.Groups = parseGroups(value)
		case "CapEff":
			s.CapEff = hex(value)
		case "SigPnd", "ShdPnd":
			s.pending |= hex(value)
		case "SigBlk":
			s.blocked = hex(value)
		case "SigIgn":
			s.ignored = hex(value)
		case "SigCgt":
			s.caught = hex(value)
		}
	}
	return s
}

func hex(s string) uint64 {
	n, _ := strconv.ParseUint(s, 16, 64)
	return n
}

func parseGroups(s string) []uint32 {
	var gids []uint32
	for _, f := range strings.Fields(s) {
		if n, err := strconv.ParseUint(f, 10, 32); err == nil {
			gids = append(gids, uint32(n))
		}
	}
	return gids
}

// notFatal are the signals whose default is to be ignored or to stop.
const notFatal = 1<<(unix.SIGCHLD-1) | 1<<(unix.SIGCONT-1) | 1<<(unix.SIGSTOP-1) | 1<<(unix.SIGTSTP-1) |
	1<<(unix.SIGTTIN-1) | 1<<(unix.SIGTTOU-1) | 1<<(unix.SIGURG-1) | 1<<(unix.SIGWINCH-1)

// endsWait are the signals for which Lustre's abortable waits end even when the
// thread handles them. (That for a restore is not one of them in 2.17; package
// fusefs says why it ends here.)
const endsWait = 1<<(unix.SIGKILL-1) | 1<<(unix.SIGINT-1) | 1<<(unix.SIGTERM-1) | 1<<(unix.SIGQUIT-1) | 1<<(unix.SIGALRM-1)

// GivesUp tells whether a signal is pending for which the thread's wait must
// end: one of Lustre's, or one that kills. FUSE says only that some signal
// came; one that is handled or ignored must not end the wait, or a reader of a
// released file would see EINTR that Lustre never gives.
func (s Status) GivesUp() bool {
	pending := s.pending &^ s.blocked &^ s.ignored
	return pending&(endsWait|^s.caught&^notFatal) != 0
}

// HasCap tells whether a capability is effective.
func (s Status) HasCap(capability int) bool { return s.CapEff&(1<<capability) != 0 }

// ThreadHasCap tells the same of a thread without its whole status. False also of
// one that is gone.
func ThreadHasCap(tid, capability int) bool {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3, Pid: int32(tid)}
	var caps [2]unix.CapUserData // of 32 capabilities each
	if err := unix.Capget(&head, &caps[0]); err != nil {
		return false
	}
	return caps[capability/32].Effective&(1<<(capability%32)) != 0
}

// InGroup tells whether gid is among the supplementary groups.
func (s Status) InGroup(gid uint32) bool {
	for _, g := range s.Groups {
		if g == gid {
			return true
		}
	}
	return false
}
