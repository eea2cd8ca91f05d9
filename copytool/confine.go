package copytool

import (
	"fmt"
	"math/bits"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
)

// Capabilities is a set of Linux capabilities: bit n stands for the one with
// number n.
type Capabilities uint64

// What a process of ours cannot work without. Everything else is given up.
const (
	// AgentCapabilities are those of a copytool.
	AgentCapabilities Capabilities = 1<<unix.CAP_SYS_ADMIN | // registration, reports, trusted.* attributes
		1<<unix.CAP_DAC_READ_SEARCH | // paths of FIDs, which Lustre tells to nobody else; files that only their owner may read
		1<<unix.CAP_DAC_OVERRIDE | // the file to restore into is made in its owner's directory
		1<<unix.CAP_CHOWN | // and then given to its owner
		1<<unix.CAP_FOWNER // after which its times are set; the attributes of files, which are others'; and an archive leaves no access time
	// KeeperCapabilities are those of a keeper, which has its descriptors.
	KeeperCapabilities Capabilities = 0
)

// capabilityNames are those of [AgentCapabilities].
var capabilityNames = map[int]string{
	unix.CAP_SYS_ADMIN: "CAP_SYS_ADMIN", unix.CAP_DAC_READ_SEARCH: "CAP_DAC_READ_SEARCH",
	unix.CAP_DAC_OVERRIDE: "CAP_DAC_OVERRIDE", unix.CAP_CHOWN: "CAP_CHOWN", unix.CAP_FOWNER: "CAP_FOWNER",
}

// Confine gives up, on all threads of this process, all capabilities but some,
// and every way to get others back. From then on there is no core dump either,
// and only root can look into the process's memory: secrets are in it.
//
// What the process does not have is no error here: see [CheckCapabilities].
func Confine(keep Capabilities) error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	if err := prctlAll(unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return fmt.Errorf("forbid new privileges: %w", err)
	}
	has, err := effective()
	if err == nil && has&(1<<unix.CAP_SETPCAP) != 0 {
		err = bound(keep)
	}
	if err == nil {
		err = prctlAll(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL)
	}
	if err == nil {
		err = setCapabilities(has & keep)
	}
	if err != nil {
		return fmt.Errorf("give up capabilities: %w", err)
	}
	return nil
}

// bound takes from the process the right to ever have others, be it by the
// start of another program. That takes CAP_SETPCAP: a service manager that did
// not leave it will have set bounds itself.
func bound(keep Capabilities) error {
	for c := range 64 {
		known, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0)
		if err != nil {
			return nil // the kernel knows no more
		}
		if known == 0 || keep&(1<<c) != 0 {
			continue
		}
		if err := prctlAll(unix.PR_CAPBSET_DROP, uintptr(c)); err != nil {
			return err
		}
	}
	return nil
}

// CheckCapabilities makes sure that Lustre and its coordinator will let this
// process do what it is for.
func CheckCapabilities() error {
	has, err := effective()
	if err != nil {
		return err
	}
	if missing := AgentCapabilities &^ has; missing != 0 {
		return fmt.Errorf("a copytool needs %s; run it as root, or give the service what is missing", missing)
	}
	return nil
}

// String lists the capabilities.
func (c Capabilities) String() string {
	var names []string
	for ; c != 0; c &= c - 1 {
		n := bits.TrailingZeros64(uint64(c))
		name := capabilityNames[n]
		if name == "" {
			name = fmt.Sprint("capability ", n)
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// effective are the calling thread's.
func effective() (Capabilities, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, fmt.Errorf("read this process's capabilities: %w", err)
	}
	return Capabilities(data[1].Effective)<<32 | Capabilities(data[0].Effective), nil
}

// setCapabilities is capset on all threads; nothing is inheritable.
func setCapabilities(c Capabilities) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{
		{Effective: uint32(c), Permitted: uint32(c)},
		{Effective: uint32(c >> 32), Permitted: uint32(c >> 32)},
	}
	return all(psx.Syscall3(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0))
}

// prctlAll is prctl on all threads. Each has its own privileges, and neither
// Go's runtime nor the C library has a way to change them all: psx has.
func prctlAll(option int, arg uintptr) error {
	return all(psx.Syscall6(unix.SYS_PRCTL, uintptr(option), arg, 0, 0, 0, 0))
}

func all(_, _ uintptr, errno unix.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}
