package doctor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"lhsm-azblob/copytool"
	"lhsm-azblob/llapi"
)

// A client is the Lustre client on this machine.
type client struct {
	mount string // as it was given

	// Set by the check "mount", for those that need it.
	root, fsname string
}

const deadMount = "look whether the servers are up and can be reached (lctl ping, lfs check servers; the kernel's log); a client that cannot be saved is unmounted with umount -f"

func (c *client) checks() []Check {
	onMount := []string{"mount", "capabilities"}
	return []Check{
		{
			Subject: lustre, Name: "library", run: c.library,
			advice: "install the Lustre client's user tools",
		},
		{
			Subject: lustre, Name: "version", needs: []string{"library"}, run: c.version,
			advice: "update the Lustre client",
		},
		{
			Subject: lustre, Name: "mount", needs: []string{"library"}, run: c.mounted,
			advice: deadMount,
		},
		{
			Subject: lustre, Name: "capabilities", run: c.capabilities,
			advice: "run this as root",
		},
		{
			Subject: lustre, Name: "fid", needs: onMount, run: c.onScratch(c.byFID),
			advice: "files are reached as .lustre/fid/FID; see that root is not squashed for this client (nodemap, root_squash) and that no fileset is mounted",
		},
		{
			Subject: lustre, Name: "xattrs", needs: onMount, run: c.onScratch(c.xattrs),
			advice: "a file's copy is remembered in a trusted.* attribute; mount with user_xattr, and see that the metadata targets allow attributes",
		},
		{
			Subject: lustre, Name: "coordinator", needs: onMount, run: c.onScratch(c.coordinator),
			advice: "on each MDS: " + c.set("hsm_control", "enabled"),
		},
	}
}

// set is the command that sets a tunable of all MDTs, for good.
func (*client) set(name, value string) string {
	return fmt.Sprintf("lctl set_param -P mdt.*.%s=%s", name, value)
}

func (*client) library(context.Context) result {
	if err := llapi.Load(); err != nil {
		return failed(err)
	}
	return okf("%s", loadedFile("liblustreapi"))
}

// loadedFile is the file that a library was loaded from.
func loadedFile(name string) string {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return name
	}
	defer maps.Close()
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		if i := strings.IndexByte(lines.Text(), '/'); i >= 0 && strings.Contains(lines.Text()[i:], name) {
			return lines.Text()[i:]
		}
	}
	return name
}

// Releases: the oldest that this product runs on, and the first with what a
// blocked reader's restore needs to come first.
const (
	oldestMajor, oldestMinor = 2, 12
)

func (*client) version(context.Context) result {
	version, err := llapi.Version()
	if err != nil {
		return notef("lctl get_param version", "the release of Lustre is not known: %v", err)
	}
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	m, err := strconv.Atoi(major)
	n, err2 := strconv.Atoi(minor)
	if errors.Join(err, err2) == nil && (m < oldestMajor || m == oldestMajor && n < oldestMinor) {
		return failf("", "Lustre %s; the oldest that is served is %d.%d", version, oldestMajor, oldestMinor)
	}
	return okf("Lustre %s", version)
}

func (c *client) mounted(context.Context) result {
	m, err := copytool.OpenMount(c.mount)
	if err != nil {
		return failed(err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(m.Root, &st); err != nil {
		return failf("", "%s: file system %s does not answer: %v", m.Root, m.FSName, err)
	}
	c.root, c.fsname = m.Root, m.FSName
	if st.Flags&unix.ST_RDONLY != 0 {
		return failf("mount it for writing: restores write, and archives set attributes", "%s: file system %s is mounted read-only", m.Root, m.FSName)
	}
	return okf("%s: file system %s", m.Root, m.FSName)
}

func (*client) capabilities(context.Context) result {
	if err := copytool.CheckCapabilities(); err != nil {
		return failed(err)
	}
	ids, err := os.ReadFile("/proc/self/uid_map")
	if err == nil && strings.Join(strings.Fields(string(ids)), " ") != "0 0 4294967295" {
		return failf("run it outside of the user namespace", "in a user namespace, where Lustre hides the HSM state of files")
	}
	return okf("%s", copytool.AgentCapabilities)
}

// onScratch runs a check on a file of its own, which is removed again.
func (c *client) onScratch(run func(path string) result) func(context.Context) result {
	return func(context.Context) result {
		f, err := os.CreateTemp(c.root, ".lhsm-azblob-doctor-*")
		if err != nil {
			return failf("see that there is room, and that root is not squashed for this client (nodemap, root_squash)", "no file can be made in %s: %v", c.root, cause(err))
		}
		defer os.Remove(f.Name()) //nolint:errcheck // a leftover says by its name what it is
		if err := f.Close(); err != nil {
			return failf("", "close a file in %s: %v", c.root, cause(err))
		}
		return run(f.Name())
	}
}

// cause leaves out the scratch file's name, which nobody knows.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func (c *client) byFID(path string) result {
	fid, err := llapi.PathToFID(path)
	if err != nil {
		return failf("", "a file's FID cannot be read: %v", err)
	}
	if _, err := os.Lstat(llapi.FIDPath(c.root, fid)); err != nil {
		return failf("", "a file cannot be reached by its FID: %v", err)
	}
	back, _, err := llapi.FIDToPath(c.root, fid, 0)
	if err != nil || filepath.Base(back) != filepath.Base(path) {
		return failf("", "the path of a FID cannot be found: %q, %v", back, err)
	}
	return okf("files are reached by FID, and their paths found")
}

func (*client) xattrs(path string) result {
	want := "scratch"
	if err := unix.Lsetxattr(path, copytool.IdentityXattr, []byte(want), 0); err != nil {
		return failf("", "%s cannot be set: %v", copytool.IdentityXattr, err)
	}
	got := make([]byte, 2*len(want))
	n, err := unix.Lgetxattr(path, copytool.IdentityXattr, got)
	if err != nil || string(got[:n]) != want {
		return failf("", "%s was set, and cannot be read: %v", copytool.IdentityXattr, err)
	}
	return okf("%s can be set and read", copytool.IdentityXattr)
}

// coordinator asks for what needs nothing to be done, the restore of a file that
// was never archived: a coordinator that runs takes it and records nothing.
func (c *client) coordinator(path string) result {
	if _, err := llapi.GetState(path); err != nil {
		return failf("HSM takes servers of Lustre 2.5 or later, and a nodemap that allows it", "the HSM state of a file cannot be read: %v", err)
	}
	fid, err := llapi.PathToFID(path)
	if err == nil {
		err = llapi.SendRequestOnce(c.root, llapi.Request{Action: llapi.UserRestore, Items: []llapi.FID{fid}})
	}
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return failf("", "the HSM coordinator does not run (%v)", err)
	case errors.Is(err, syscall.ENODATA): // policy NonBlockingRestore answers so
	case err != nil:
		return failf("see the MDS's log, and its nodemap", "the HSM coordinator refuses requests: %v", err)
	}
	return okf("the HSM coordinator takes requests")
}
