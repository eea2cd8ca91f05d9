package fusefs

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// changelogName is the file in .lustre that stands for /dev/changelog-MDT.
//
//	lseek(fd, n, SEEK_SET)   start with record n
//	read                     whole records as they lie in Lustre, as many as fit
//	write "clear:cl1:123"    cl1 needs nothing up to 123 any more; 0: everything
//	write "follow:1"         reads wait for records where they would be empty
//
// Root only, as the device is.
const changelogName = "changelog"

type changelogFile struct {
	mount *Mount

	mu     sync.Mutex // guards the rest; one reader at a time
	follow bool
	start  uint64 // index of the next record
	offset uint64 // where the kernel thinks the next read begins
}

func fillChangelogAttr(a *fuse.Attr) {
	*a = fuse.Attr{Ino: changelogNode, Mode: syscall.S_IFREG | 0o600, Nlink: 1, Blksize: 4096}
}

func (m *Mount) fillChangelog(out *fuse.EntryOut) {
	out.NodeId, out.Generation = changelogNode, 1
	fillChangelogAttr(&out.Attr)
}

func (m *Mount) openChangelog(in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	if in.Uid != 0 {
		return fuse.EACCES
	}
	out.OpenFlags = fuse.FOPEN_DIRECT_IO
	out.Fh = m.newHandle(&changelogFile{mount: m})
	return fuse.OK
}

// read takes an offset it does not expect as an lseek to a record.
func (c *changelogFile) read(cancel <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if in.Offset != c.offset {
		c.start, c.offset = in.Offset, in.Offset
	}
	if c.follow {
		ctx, stop := c.mount.callerContext(cancel, in.Pid)
		defer stop()
		if err := c.mount.state.ChangelogWait(ctx, c.start); err != nil {
			return nil, followStatus(ctx, err)
		}
	}
	records, next := c.mount.state.ChangelogRead(c.start, len(buf))
	if len(records) > len(buf) {
		return nil, fuse.EINVAL // not even one fits
	}
	c.start = next
	c.offset += uint64(len(records))
	return fuse.ReadResultData(records), fuse.OK
}

func followStatus(ctx context.Context, err error) fuse.Status {
	if ctx.Err() != nil {
		return fuse.EINTR
	}
	return status(err)
}

func (c *changelogFile) write(in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	if err := c.command(strings.TrimRight(string(data), "\x00\n")); err != nil {
		return 0, status(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if in.Offset == c.offset {
		c.offset += uint64(len(data)) // the kernel counts it, and it is no lseek
	}
	return uint32(len(data)), fuse.OK
}

func (c *changelogFile) command(s string) error {
	verb, args, _ := strings.Cut(s, ":")
	switch verb {
	case "clear":
		user, index, _ := strings.Cut(args, ":")
		end, err := strconv.ParseUint(index, 10, 64)
		if err != nil {
			return fmt.Errorf("clear up to %q: %w", index, syscall.EINVAL)
		}
		return c.mount.state.ChangelogClear(user, end)
	case "follow":
		c.mu.Lock()
		defer c.mu.Unlock()
		c.follow = args != "0"
		return nil
	}
	return fmt.Errorf("changelog command %q: %w", s, syscall.EINVAL)
}
