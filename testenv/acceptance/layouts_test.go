package acceptance

import (
	"encoding/base64"
	"encoding/binary"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv"
)

// TestLayoutThatLustreRefuses: a file comes back all the same. What the file system was
// when it was archived, it need not be at its restore.
func TestLayoutThatLustreRefuses(t *testing.T) {
	e := newEnv(t, testenv.Options{NoPassthrough: true}) // takes no data for a file without a layout
	c := e.startCopytool(e.lustre.Mount())
	content := randomBytes(100_000, 1)
	p := e.archived("f", content)
	e.identity("f", func(id map[string]any) {
		id["lov"] = base64.StdEncoding.EncodeToString([]byte("a layout of Lustre 9, which this is not"))
	})
	e.lfs("hsm_release", p)
	e.wantContent("f", content)
	c.waitLog("the file system's default serves", syscall.EINVAL.Error())
	e.wantState("f", stateArchived)
}

// layoutOnMDT is a layout with so many bytes on the metadata target, and the rest not.
func layoutOnMDT(size uint64) []byte {
	lov := make([]byte, 32+2*48+2*32)
	put, put64 := binary.LittleEndian.PutUint32, binary.LittleEndian.PutUint64
	put(lov, 0x0BD60BD0)
	put(lov[4:], uint32(len(lov)))
	binary.LittleEndian.PutUint16(lov[14:], 2)
	for i, pattern := range []uint32{0x100, 1} {
		entry, at := lov[32+i*48:], 32+2*48+i*32
		put64(entry[8:], uint64(i)*size)
		put64(entry[16:], []uint64{size, ^uint64(0)}[i])
		put(entry[24:], uint32(at))
		put(entry[28:], 32)
		put(lov[at:], 0x0BD10BD0)
		put(lov[at+4:], pattern)
	}
	return lov
}

// TestLayoutOnTheMetadataTarget comes back where it was, and not to a file that has
// another: that Lustre would refuse when all is done.
func TestLayoutOnTheMetadataTarget(t *testing.T) {
	e, _ := start(t)
	content := randomBytes(100_000, 1)
	lov := layoutOnMDT(64 << 10)
	const delayCreate = 0o20400
	p := e.path("f")
	fd, err := unix.Open(p, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|delayCreate, 0o600)
	if err == nil {
		err = unix.Fsetxattr(fd, "lustre.lov", lov, unix.XATTR_CREATE)
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(fd)
	e.append("f", content)
	e.hsm("archive", "f")
	e.lfs("hsm_release", p)
	e.wantContent("f", content)
	got := make([]byte, 1000)
	n, err := unix.Getxattr(p, "lustre.lov", got)
	if err != nil || !slices.Equal(got[:32+48], lov[:32+48]) || n != len(lov) {
		t.Errorf("after the restore the layout is %x, %v", got[:max(n, 0)], err)
	}

	other := e.archived("other", content)
	e.identity("other", func(id map[string]any) { id["lov"] = base64.StdEncoding.EncodeToString(lov) })
	e.lfs("hsm_release", other)
	e.wantContent("other", content)
}
