package copytool

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
)

// TestVerdicts has what every code means to the coordinator: numbers that the
// changelog can hold, and ECANCELED for cancels only, since the coordinator books
// it as a success.
func TestVerdicts(t *testing.T) {
	table := map[Code]Verdict{
		FileChanged:          {Errno: syscall.EBUSY},
		FileVanished:         {Errno: syscall.ENOENT},
		AlreadyArchived:      {Errno: syscall.EALREADY},
		BlobExists:           {Errno: syscall.EEXIST},
		BlobChanged:          {Errno: syscall.EIO},
		BlobMissing:          {Errno: syscall.ENOENT},
		BlobUnknown:          {Errno: syscall.ENOENT},
		BlobArchived:         {Errno: syscall.ENOMEDIUM},
		BlobImmutable:        {Errno: syscall.EROFS},
		BlobLeased:           {Errno: syscall.ETXTBSY},
		Busy:                 {Errno: syscall.EBUSY},
		OnlyCopy:             {Errno: syscall.EPERM},
		NameNotRepresentable: {Errno: syscall.ENAMETOOLONG},
		FileTooLarge:         {Errno: syscall.EFBIG},
		ChecksumMismatch:     {Errno: syscall.EBADMSG},
		SizeMismatch:         {Errno: syscall.EIO},
		Throttled:            {Errno: syscall.EAGAIN, Retry: true},
		AuthFailed:           {Errno: syscall.EACCES},
		PermissionDenied:     {Errno: syscall.EPERM},
		Encrypted:            {Errno: syscall.ENOKEY},
		NoSpace:              {Errno: syscall.ENOSPC},
		QuotaExceeded:        {Errno: syscall.EDQUOT},
		NoArchiveConfigured:  {Errno: syscall.ENXIO},
		ContainerMissing:     {Errno: syscall.ENODEV},
		AccountUnreachable:   {Errno: syscall.EHOSTUNREACH, Retry: true},
		Canceled:             {Errno: syscall.ECANCELED},
		ShuttingDown:         {Errno: syscall.EAGAIN, Retry: true},
		Forgotten:            {Errno: syscall.ENOENT},
		NotReported:          {Errno: syscall.EIO},
		UnknownAction:        {Errno: syscall.EOPNOTSUPP},
		StorageError:         {Errno: syscall.EIO},
		LustreError:          {Errno: syscall.EIO},
		Internal:             {Errno: syscall.EIO},
	}
	for code := range verdicts {
		want := table[code]
		want.Code = code
		got := VerdictFor(failf(code, "x"))
		if got != want || got.Errno == 0 || got.Errno > 126 || (got.Errno == syscall.ECANCELED) != (code == Canceled) {
			t.Errorf("verdict %+v, want %+v", got, want)
		}
	}
	if len(table) != len(verdicts) {
		t.Errorf("%d codes, want %d", len(verdicts), len(table))
	}
}

// TestManualHasEveryCode: who finds a code in the log finds it in the manual, with
// what the coordinator is told, and nothing there that the log never says.
func TestManualHasEveryCode(t *testing.T) {
	manual, err := os.ReadFile("../docs/operation.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[Code]int{}
	row := regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (E\\w+) \\| (yes|no) \\| [^|]+ \\| [^|]+ \\|$")
	for _, m := range row.FindAllStringSubmatch(string(manual), -1) {
		code, v := Code(m[1]), verdicts[Code(m[1])]
		listed[code]++
		if unix.ErrnoName(v.Errno) != m[2] || v.Retry != (m[3] == "yes") {
			t.Errorf("%s: the manual says %s and %s, the coordinator is told %s and %t", code, m[2], m[3], unix.ErrnoName(v.Errno), v.Retry)
		}
	}
	for code := range verdicts {
		if listed[code] != 1 {
			t.Errorf("%s is explained %d times", code, listed[code])
		}
		delete(listed, code)
	}
	for code := range listed {
		t.Errorf("%s is explained, and no action ends with it", code)
	}
}

func TestVerdictFor(t *testing.T) {
	blob := func(kind error) error {
		return fmt.Errorf("upload: %w", &blobstore.Error{Kind: kind, Err: errors.New("x")})
	}
	for _, tt := range []struct {
		err   error
		code  Code
		errno syscall.Errno
	}{
		{nil, OK, 0},
		{errors.New("what"), Internal, syscall.EIO},
		{&os.PathError{Err: syscall.ENOSPC}, NoSpace, syscall.ENOSPC},
		{&os.PathError{Err: syscall.EDQUOT}, QuotaExceeded, syscall.EDQUOT},
		{&llapi.Error{Errno: syscall.ENOENT}, FileVanished, syscall.ENOENT},
		{&llapi.Error{Errno: syscall.EPERM}, PermissionDenied, syscall.EPERM},
		{&llapi.Error{Errno: syscall.ENOTCONN}, LustreError, syscall.ENOTCONN},
		{&llapi.Error{Errno: 524}, Internal, syscall.EIO}, // does not fit the changelog
		{syscall.ECANCELED, Internal, syscall.EIO},        // nobody cancelled
		{context.Canceled, Internal, syscall.EIO},
		{context.DeadlineExceeded, Internal, syscall.EIO}, // nothing of ours has one
		{&llapi.Error{Errno: syscall.ESTALE}, FileVanished, syscall.ENOENT},
		{fmt.Errorf("read: %w", io.ErrUnexpectedEOF), SizeMismatch, syscall.EIO},
		{fmt.Errorf("name: %w", blobstore.ErrName), NameNotRepresentable, syscall.ENAMETOOLONG},
		{blob(blobstore.ErrNotFound), BlobMissing, syscall.ENOENT},
		{blob(blobstore.ErrNoContainer), ContainerMissing, syscall.ENODEV},
		{blob(blobstore.ErrPermission), AuthFailed, syscall.EACCES},
		{blob(blobstore.ErrBusy), Throttled, syscall.EAGAIN},
		{blob(blobstore.ErrUnreachable), AccountUnreachable, syscall.EHOSTUNREACH},
		{blob(blobstore.ErrExists), BlobExists, syscall.EEXIST},
		{blob(blobstore.ErrChanged), BlobChanged, syscall.EIO},
		{blob(blobstore.ErrArchivedTier), BlobArchived, syscall.ENOMEDIUM},
		{blob(blobstore.ErrImmutable), BlobImmutable, syscall.EROFS},
		{blob(blobstore.ErrLeased), BlobLeased, syscall.ETXTBSY},
		{blob(blobstore.ErrChecksum), ChecksumMismatch, syscall.EBADMSG},
		{blob(blobstore.ErrTooLarge), FileTooLarge, syscall.EFBIG},
		{blob(blobstore.ErrName), NameNotRepresentable, syscall.ENAMETOOLONG},
		{blob(blobstore.ErrRefused), StorageError, syscall.EIO},
		{blob(nil), Internal, syscall.EIO},
		{blob(blobstore.ErrShortSource), FileChanged, syscall.EBUSY},
		{blob(blobstore.ErrOtherKind), BlobExists, syscall.EEXIST},
		{&blobstore.Error{Err: syscall.ENOSPC}, NoSpace, syscall.ENOSPC}, // of the file written to
		{fmt.Errorf("archive: %w", errShuttingDown), ShuttingDown, syscall.EAGAIN},
		{failf(BlobChanged, "changed: %w", blob(blobstore.ErrNotFound)), BlobChanged, syscall.EIO}, // the outermost counts
	} {
		if v := VerdictFor(tt.err); v.Code != tt.code || v.Errno != tt.errno {
			t.Errorf("VerdictFor(%v) = %+v, want %s, %v", tt.err, v, tt.code, tt.errno)
		}
	}
}

func TestKindError(t *testing.T) {
	for _, tt := range []struct {
		attributes uint64
		restores   bool
		want       Code
	}{
		{0, false, OK},
		{unix.STATX_ATTR_COMPRESSED, false, OK},
		{unix.STATX_ATTR_IMMUTABLE, true, PermissionDenied},
		{unix.STATX_ATTR_APPEND, true, PermissionDenied},
		{unix.STATX_ATTR_ENCRYPTED, false, Encrypted},
		{unix.STATX_ATTR_ENCRYPTED, true, OK},
		{0x00800000, false, Encrypted}, // LUSTRE_ENCRYPT_FL, of clients before 2.15.3
		{0x00800000, true, OK},
		{unix.STATX_ATTR_VERITY | unix.STATX_ATTR_DAX | unix.STATX_ATTR_WRITE_ATOMIC, false, OK},
	} {
		if got := VerdictFor(kindError(tt.attributes, tt.restores)).Code; got != tt.want {
			t.Errorf("attributes %#x: %s, want %s", tt.attributes, got, tt.want)
		}
	}
}

func TestIdentityForm(t *testing.T) {
	id := Identity{
		Account: "acct", Container: "ctr", Blob: BlobRef{"dir/%0Aname", `"0x8D"`}, VersionID: "2026", Size: 5 << 40, CRC64: 0xabc, HasCRC64: true,
		ZeroBlocks: 7, DataVersion: 1 << 60, Time: time.Unix(1_700_000_000, 0).UTC(), Layout: []byte{1, 2}, Superseded: []BlobRef{{"old", `"1"`}},
	}
	b, err := id.Encode()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"v":1,"acct":"acct","ctr":"ctr","name":"dir/%0Aname","etag":"\"0x8D\"","ver":"2026","size":5497558138880,"crc":"0000000000000abc","zeros":7,"dv":1152921504606846976,"t":"2023-11-14T22:13:20Z","lov":"AQI=","old":[{"name":"old","etag":"\"1\""}]}`
	if string(b) != want {
		t.Errorf("the stored form is for ever:\n got %s\nwant %s", b, want)
	}
	old, err := ParseIdentity([]byte(strings.Replace(want, `"zeros":7,`, "", 1)))
	if err != nil || old.ZeroBlocks != 0 {
		t.Errorf("an identity of before there were zeros: %+v, %v", old, err)
	}
	for _, bad := range []string{"", "{}", strings.Replace(want, `"zeros":7`, `"zeros":-7`, 1), `{"v":2,"acct":"a","ctr":"c","name":"n","etag":"e"}`, strings.Replace(want, "abc", "xyz", 1), strings.Repeat(" ", maxIdentity+1)} {
		if _, err := ParseIdentity([]byte(bad)); err == nil {
			t.Errorf("ParseIdentity(%.60q) accepted", bad)
		}
	}
}

// TestLongestIdentity: what an archive can write a restore must be able to read.
func TestLongestIdentity(t *testing.T) {
	longest := BlobRef{blobstore.Name(strings.Repeat("<", 1024)), strings.Repeat("0", 40)} // six bytes each in JSON
	id := Identity{
		Account: strings.Repeat("a", 24), Container: strings.Repeat("c", 63), Blob: longest, VersionID: strings.Repeat("0", 40),
		Layout: make([]byte, maxLayout), Superseded: slices.Repeat([]BlobRef{longest}, maxSuperseded),
	}
	b, err := id.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseIdentity(b); err != nil {
		t.Error(err)
	}
}

func FuzzParseIdentity(f *testing.F) {
	f.Add([]byte(`{"v":1,"acct":"a","ctr":"c","name":"n","etag":"e","crc":"ff","zeros":3,"size":1,"dv":2,"t":"2023-11-14T22:13:20Z"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := ParseIdentity(b)
		if err != nil {
			return
		}
		encoded, err := id.Encode()
		if err != nil {
			return // a time that JSON cannot hold
		}
		again, err := ParseIdentity(encoded)
		if err != nil && len(encoded) <= maxIdentity {
			t.Fatalf("ParseIdentity(%q), of %q: %v", encoded, b, err)
		}
		if err == nil && (!sameCopy(&again, &id) || again.CRC64 != id.CRC64 || again.ZeroBlocks != id.ZeroBlocks || again.DataVersion != id.DataVersion) {
			t.Errorf("%q became %+v, then %+v", b, id, again)
		}
	})
}

// composite is a layout in as many components.
func composite(components ...[]byte) []byte {
	b := make([]byte, compEntries+len(components)*compEntrySize)
	binary.LittleEndian.PutUint32(b, lovMagicComposite)
	binary.LittleEndian.PutUint16(b[compCount:], uint16(len(components)))
	for i, c := range components {
		entry := b[compEntries+i*compEntrySize:]
		binary.LittleEndian.PutUint32(entry[compOffset:], uint32(len(b)))
		b = append(b, c...)
	}
	return b
}

func TestLayoutTemplate(t *testing.T) {
	lov := func(magic, pattern uint32, size int) []byte {
		b := make([]byte, size)
		binary.LittleEndian.PutUint32(b, magic)
		binary.LittleEndian.PutUint32(b[lovPattern:], pattern)
		return b
	}
	free := func(lov []byte) []byte {
		binary.LittleEndian.PutUint16(lov[lovFirstTarget:], lovAnyTarget)
		return lov
	}
	of := func(pattern uint32, change func([]byte) []byte) []byte {
		return composite(change(lov(lovMagicV1, pattern, 56)), change(lov(lovMagicV3, pattern, 48)))
	}
	same := func(lov []byte) []byte { return lov }
	outside := composite(nil)
	binary.LittleEndian.PutUint32(outside[compEntries+compOffset:], 1<<31)
	many := of(1, same)[:compEntries+compEntrySize+compOffset+1]
	for _, tt := range []struct {
		name      string
		lov, want []byte
	}{
		{"nothing", nil, nil},
		{"short", []byte{1, 2, 3}, nil},
		{"V1 with objects", lov(lovMagicV1, 1, 80), free(lov(lovMagicV1, 1, lovSizeV1))},
		{"V3 with objects", lov(lovMagicV3, 1, 96), free(lov(lovMagicV3, 1, lovSizeV3))},
		{"V3 cut off", lov(lovMagicV3, 1, 40), nil},
		{"released", lov(lovMagicV1, 1|lovReleased, 32), free(lov(lovMagicV1, 1, 32))},
		{"on the metadata target", lov(lovMagicV1, lovOverMDT, 32), nil},
		{"composite", of(1, same), of(1, free)},
		{"composite and released", of(1|lovReleased, same), of(1, free)},
		{"composite, partly on the metadata target", of(lovOverMDT, same), of(lovOverMDT, free)},
		{"composite without entries", lov(lovMagicComposite, 1, 30), lov(lovMagicComposite, 1, 30)},
		{"composite with a component outside", outside, outside},
		{"composite with entries that are cut off", many, many},
		{"another", lov(0x0BD70BD0, 7, 60), lov(0x0BD70BD0, 7, 60)},
	} {
		if got := layoutTemplate(tt.lov); !bytes.Equal(got, tt.want) {
			t.Errorf("%s: %x, want %x", tt.name, got, tt.want)
		}
	}
}

// TestMountHolder looks and leaves everything as it is.
func TestMountHolder(t *testing.T) {
	dir, mount := t.TempDir(), t.TempDir()
	holder := func(want int) {
		t.Helper()
		if pid, err := MountHolder(dir, mount); pid != want || err != nil {
			t.Errorf("held by %d, %v; want %d", pid, err, want)
		}
	}
	holder(0)
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("the look made %q", left)
	}
	lock, err := LockMount(dir, mount)
	if err != nil {
		t.Fatal(err)
	}
	holder(os.Getpid())
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	holder(0)
	again, err := LockMount(dir, mount)
	if err != nil {
		t.Fatalf("after the looks: %v", err)
	}
	defer again.Unlock()
}

func TestLockMount(t *testing.T) {
	dir, mount := t.TempDir()+"/run", t.TempDir()
	lock, err := LockMount(dir, mount)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LockMount(dir, mount); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("another copytool (pid %d)", os.Getpid())) {
		t.Errorf("a second lock: %v, want the holder's name", err)
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := LockMount(dir, mount)
	if err != nil {
		t.Fatal(err)
	}
	again.Unlock()
	if _, err := LockMount(dir, "/no/such/mount"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("lock of nothing: %v", err)
	}
}

func TestRecentForgetsTheOldest(t *testing.T) {
	r := newRecent(2)
	fid := func(oid uint32) llapi.FID { return llapi.FID{Seq: 1, OID: oid} }
	put := func(oid uint32, size int64) {
		r.put(fid(oid), &Identity{Account: "account", Container: "container", Blob: BlobRef{"name", "etag"}, Size: size})
	}
	for oid := range uint32(3) {
		put(oid, int64(oid))
	}
	put(1, 10)
	put(3, 3)
	for oid, want := range []int64{-1, 10, -1, 3} {
		got := int64(-1)
		if id := r.get(fid(uint32(oid))); id != nil {
			got = id.Size
		}
		if got != want {
			t.Errorf("of file %d the size %d is remembered, want %d; -1 is none", oid, got, want)
		}
	}
	r.drop(fid(3))
	if r.get(fid(3)) != nil || len(r.byFID) != 1 || len(r.copies) != 2 {
		t.Errorf("a dropped file is still there: %v", r.copies)
	}
}

func TestShorten(t *testing.T) {
	for in, want := range map[string]string{"short": "short", "0123456789a": "0123456789…", "012345678éa": "012345678…"} {
		if got := shorten(in, 10); got != want {
			t.Errorf("shorten(%q) = %q, want %q", in, got, want)
		}
	}
}
