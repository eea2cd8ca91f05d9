package state

import (
	"context"
	"sort"
	"strings"
	"syscall"
)

// changeType is the type of a changelog record (CL_*).
type changeType uint32

const (
	changeMark     changeType = 0
	changeCreate   changeType = 1
	changeMkdir    changeType = 2
	changeHardlink changeType = 3
	changeSymlink  changeType = 4
	changeMknod    changeType = 5
	changeUnlink   changeType = 6
	changeRmdir    changeType = 7
	changeRename   changeType = 8
	changeOpen     changeType = 10
	changeClose    changeType = 11
	changeLayout   changeType = 12
	changeTruncate changeType = 13
	changeSetattr  changeType = 14
	changeXattr    changeType = 15
	changeHSM      changeType = 16
	changeMtime    changeType = 17
	changeAtime    changeType = 19
)

// changeNames are the words of masks, by type.
var changeNames = []string{
	"MARK", "CREAT", "MKDIR", "HLINK", "SLINK", "MKNOD", "UNLNK", "RMDIR", "RENME", "RNMTO", "OPEN", "CLOSE", "LYOUT",
	"TRUNC", "SATTR", "XATTR", "HSM", "MTIME", "CTIME", "ATIME", "MIGRT", "FLRW", "RESYNC", "GXATR", "NOPEN",
}

// changeMask is a set of types.
type changeMask uint32

const (
	maskMark changeMask = 1 << changeMark
	maskAll  changeMask = 1<<25 - 1
	// maskUsual is what a user without a mask of his own brings: everything but
	// OPEN, ATIME, GXATR and NOPEN.
	maskUsual = maskAll &^ (1<<changeOpen | 1<<changeAtime | 1<<23 | 1<<24)
)

// String gives the words as lctl shows them, a blank after each.
func (m changeMask) String() string {
	var b strings.Builder
	for n, name := range changeNames {
		if m&(1<<n) != 0 {
			b.WriteString(name + " ")
		}
	}
	return b.String()
}

func parseChange(word string) (changeMask, bool) {
	if word == "ALL" {
		return maskAll, true
	}
	for n, name := range changeNames {
		if name == word {
			return 1 << n, true
		}
	}
	return 0, false
}

// changelog holds the records that some user has not cleared yet. Guarded by
// FS.mu.
type changelog struct {
	fs       *FS
	users    []*changelogUser
	lastUser uint64 // number of the last user registered
	last     uint64 // index of the last record made
	records  []changelogRecord
	size     int           // bytes in records
	grown    chan struct{} // closed at the next record; nil when nobody waits
}

type changelogRecord struct {
	index uint64
	data  []byte
}

// changelogUser is one reader who must clear what he has read.
type changelogUser struct {
	id     string // "cl1", or "cl1-name"
	number uint64
	mask   changeMask // 0: the usual one
	index  uint64     // everything up to here is cleared
	seen   int64      // ns; last registration or clear
}

func (c *changelog) init(fs *FS) { c.fs = fs }

// mask is what is recorded now.
func (c *changelog) mask() changeMask {
	m := c.fs.params.changelogMask
	for _, u := range c.users {
		if u.mask == 0 {
			m |= maskUsual
		}
		m |= u.mask
	}
	return m
}

// wants says whether anybody would see a record of this type. Without users
// there is no changelog at all.
func (c *changelog) wants(t changeType) bool {
	return len(c.users) > 0 && c.mask()&(1<<t) != 0
}

func (c *changelog) add(data []byte) {
	c.last++
	le.PutUint64(data[8:], c.last)
	c.insert(changelogRecord{c.last, data})
	c.fs.tx.op(opRecord)
	c.fs.tx.bytes(data)
	if c.grown != nil {
		close(c.grown)
		c.grown = nil
	}
}

func (c *changelog) insert(r changelogRecord) {
	c.records = append(c.records, r)
	c.size += len(r.data)
}

// from finds the first record of an index or later.
func (c *changelog) from(index uint64) int {
	return sort.Search(len(c.records), func(n int) bool { return c.records[n].index >= index })
}

// ChangelogRead gives whole records in Lustre's binary form, from index start
// on, at most limit bytes (but one record at least), and the index to go on
// with. Nothing: there are no more.
func (fs *FS) ChangelogRead(start uint64, limit int) (records []byte, next uint64) {
	fs.begin()
	defer fs.end()
	next = start
	for _, r := range fs.changes.records[fs.changes.from(start):] {
		if len(records) > 0 && len(records)+len(r.data) > limit {
			break
		}
		records = append(records, r.data...)
		next = r.index + 1
	}
	return records, next
}

// ChangelogWait waits until there is a record of index start or later.
func (fs *FS) ChangelogWait(ctx context.Context, start uint64) error {
	for {
		fs.begin()
		c := &fs.changes
		if c.from(start) < len(c.records) {
			fs.end()
			return nil
		}
		if c.grown == nil {
			c.grown = make(chan struct{})
		}
		grown := c.grown
		fs.end()
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ChangelogRegister adds a user and gives his id, "cl1" or, with a name,
// "cl1-name". mask is a list of types, such as "CREAT,HSM", to which MARK is
// added; none means the usual ones. EINVAL for unknown types, EEXIST for a name
// that is taken.
func (fs *FS) ChangelogRegister(mask, name string) (id string, err error) {
	fs.begin()
	defer fs.end()
	c := &fs.changes
	u := &changelogUser{index: c.last, seen: fs.now()}
	if mask != "" {
		if err := editMask(mask, &u.mask, parseChange); err != nil {
			return "", err
		}
		u.mask |= maskMark
	}
	c.lastUser++
	u.number = c.lastUser
	u.id = userID(u.number)
	if name != "" {
		for _, have := range c.users {
			if strings.HasSuffix(have.id, "-"+name) {
				return "", syscall.EEXIST
			}
		}
		u.id += "-" + name
	}
	c.users = append(c.users, u)
	encodeUser(&fs.tx, u)
	fs.logCounter(counterUser, c.lastUser)
	return u.id, nil
}

// user finds a user by id ("cl1-name", "cl1") or number ("1"); ENOENT.
func (c *changelog) user(id string) (*changelogUser, error) {
	for _, u := range c.users {
		short, name, _ := strings.Cut(u.id, "-")
		if id == u.id || id == short || "cl"+id == short || name != "" && id == name {
			return u, nil
		}
	}
	return nil, syscall.ENOENT
}

// ChangelogDeregister removes a user, and the records that he alone had kept.
// ENOENT.
func (fs *FS) ChangelogDeregister(id string) error {
	fs.begin()
	defer fs.end()
	c := &fs.changes
	u, err := c.user(id)
	if err != nil {
		return err
	}
	c.drop(u.number)
	fs.tx.op(opNoUser)
	fs.tx.u64(u.number)
	c.purge()
	return nil
}

// ChangelogClear tells that a user needs no record up to index end any more; 0
// means all there are. ENOENT for unknown users, EINVAL for an index that is yet
// to come.
func (fs *FS) ChangelogClear(id string, end uint64) error {
	if err := fs.enter("changelog_clear"); err != nil {
		return err
	}
	defer fs.end()
	c := &fs.changes
	u, err := c.user(id)
	switch {
	case err != nil:
		return err
	case end > c.last:
		return syscall.EINVAL
	case end == 0:
		end = c.last
	}
	u.index = max(u.index, end)
	u.seen = fs.now()
	encodeUser(&fs.tx, u)
	c.purge()
	return nil
}

func (c *changelog) drop(number uint64) {
	for n, u := range c.users {
		if u.number == number {
			c.users = append(c.users[:n], c.users[n+1:]...)
			return
		}
	}
}

// purge forgets the records that every user has cleared.
func (c *changelog) purge() {
	cleared := c.last
	for _, u := range c.users {
		cleared = min(cleared, u.index)
	}
	if c.discard(cleared) {
		c.fs.tx.op(opPurged)
		c.fs.tx.u64(cleared)
	}
}

func (c *changelog) discard(upTo uint64) (any bool) {
	n := c.from(upTo + 1)
	for _, r := range c.records[:n] {
		c.size -= len(r.data)
	}
	c.records = append([]changelogRecord(nil), c.records[n:]...)
	return n > 0
}
