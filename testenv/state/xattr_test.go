package state

import (
	"bytes"
	"encoding/hex"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func layoutV1(stripes uint16, size uint32) []byte {
	v := make([]byte, lovSizeV1)
	le.PutUint32(v, lovMagicV1)
	le.PutUint32(v[4:], lovRAID0|lovReleased)
	le.PutUint32(v[24:], size)
	le.PutUint16(v[28:], stripes)
	le.PutUint16(v[30:], 0xffff)
	return v
}

func TestXattrs(t *testing.T) {
	w := openWorld(t, t.TempDir(), nil)
	f := w.file("f", "x", alice)
	set := func(name, value string, flags int) error { return w.SetXattr(f, Root, name, []byte(value), flags) }
	w.is(set("user.k", "v", unix.XATTR_REPLACE), syscall.ENODATA)
	w.ok(set("user.k", "v", unix.XATTR_CREATE))
	w.is(set("user.k", "v", unix.XATTR_CREATE), syscall.EEXIST)
	w.ok(set("user.k", "", unix.XATTR_REPLACE))
	if v, err := w.GetXattr(f, alice, "user.k"); err != nil || len(v) != 0 {
		t.Errorf("empty value: %q, %v", v, err)
	}
	w.ok(set("trusted.t", "secret", 0))
	_, err := w.GetXattr(f, alice, "trusted.t")
	w.is(err, syscall.ENODATA)
	admin := Cred{Admin: true} // CAP_SYS_ADMIN without CAP_FOWNER
	w.is(w.SetXattr(f, admin, "trusted.t", nil, 0), syscall.EPERM)
	w.is(w.RemoveXattr(f, admin, "trusted.t"), syscall.EPERM)
	w.is(w.SetXattr(f, alice, "trusted.t", nil, 0), syscall.EPERM)
	w.is(w.RemoveXattr(f, alice, "trusted.t"), syscall.EPERM)
	w.is(w.SetXattr(f, Root, "user.big", make([]byte, 65537), 0), syscall.E2BIG)
	list, err := w.ListXattr(f, alice)
	w.ok(err)
	if !slices.Equal(list, []string{"lustre.lov", "user.k"}) {
		t.Errorf("alice sees %q", list)
	}
	list, err = w.ListXattr(f, Root)
	w.ok(err)
	if !slices.Equal(list, []string{"trusted.link", "trusted.lov", "lustre.lov", "trusted.lma", "trusted.t", "user.k"}) {
		t.Errorf("root sees %q", list)
	}
	w.ok(w.RemoveXattr(f, Root, "user.k"))
	w.is(w.RemoveXattr(f, Root, "user.k"), syscall.ENODATA)
	w.is(w.RemoveXattr(w.file("g", ""), Root, "user.k"), syscall.ENODATA)
}

func TestLustreXattrs(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := w.file("name", "x")
		_, err := w.GetXattr(f, Root, "trusted.hsm")
		w.is(err, syscall.ENODATA) // HSM never touched it
		for name, want := range map[string]string{
			"trusted.fid":       hex.EncodeToString(f.Bytes()),
			"lustre.fid":        hex.EncodeToString(f.Bytes()),
			"system.lustre.fid": hex.EncodeToString(f.Bytes()),
			"trusted.lma":       "0000000000000000" + hex.EncodeToString(f.Bytes()),
			"trusted.link":      "dff1ea11" + "01000000" + "2e00000000000000" + "0000000000000000" + "0016" + "00000002000000070000000100000000" + hex.EncodeToString([]byte("name")),
		} {
			got, err := w.GetXattr(f, Root, name)
			if err != nil || hex.EncodeToString(got) != want {
				t.Errorf("%s is %x (%v), want %s", name, got, err, want)
			}
			w.ok(w.SetXattr(f, Root, name, []byte("nonsense"), 0)) // ignored
			if again, _ := w.GetXattr(f, Root, name); !bytes.Equal(again, got) {
				t.Errorf("%s could be set", name)
			}
		}
		w.archiveReq(f)
		c.do(c.mustNext(1)[0])
		dv, err := w.DataVersion(f)
		w.ok(err)
		v, err := w.GetXattr(f, Root, "trusted.hsm")
		w.ok(err)
		want := le.AppendUint64(le.AppendUint64(le.AppendUint32(make([]byte, 4), 9), 1), dv)
		if !bytes.Equal(v, want) {
			t.Errorf("trusted.hsm is %x, want %x", v, want)
		}
	})
}

func TestLayout(t *testing.T) {
	inBubble(t, enabled, func(w *world) {
		c := w.tool(1)
		f := c.archived("f", "x")
		lov, err := w.GetXattr(f, alice, "lustre.lov")
		w.ok(err)
		if len(lov) != 56 || le.Uint32(lov) != 0x0BD10BD0 || le.Uint32(lov[4:]) != 1 {
			t.Errorf("layout %x", lov)
		}
		w.is(w.SetXattr(f, Root, "lustre.lov", lov, 0), syscall.EEXIST)
		w.ok(w.Release(f, Root))
		lov, err = w.GetXattr(f, alice, "lustre.lov")
		w.ok(err)
		if le.Uint32(lov[4:]) != 0x80000001 {
			t.Errorf("released layout has pattern %#x", le.Uint32(lov[4:]))
		}
		_, err = w.GetXattr(RootFID, Root, "lustre.lov")
		w.is(err, syscall.ENODATA)
	})
}

func TestDataTakeTheDefaultLayout(t *testing.T) {
	w := openWorld(t, t.TempDir(), nil)
	h, _, err := w.Create(RootFID, volatileHeader, 0o600, Root, OpenDelayCreate|2)
	w.ok(err)
	defer h.Release()
	w.writeHandle(h, "data")
	w.is(w.SetXattr(h.FID(), Root, xattrLustreLOV, layoutV1(1, 0), 0), syscall.EEXIST)
	if lov, err := w.GetXattr(h.FID(), Root, xattrLustreLOV); err != nil || len(lov) != 56 {
		t.Errorf("layout %x, %v", lov, err)
	}
}

func TestParseLayout(t *testing.T) {
	v3 := make([]byte, lovSizeV3)
	le.PutUint32(v3, lovMagicSpecific)
	comp := make([]byte, lovCompHeader+lovCompEntry+lovSizeV1)
	le.PutUint32(comp, lovMagicComposite)
	le.PutUint32(comp[4:], uint32(len(comp)))
	le.PutUint16(comp[14:], 1)
	le.PutUint32(comp[lovCompHeader+24:], lovCompHeader+lovCompEntry)
	far := slices.Clone(comp)
	le.PutUint32(far[lovCompHeader+24:], uint32(len(comp))-8)
	for name, c := range map[string]struct {
		v   []byte
		err error
	}{
		"v1":            {layoutV1(1, 0), nil},
		"specific":      {v3, nil},
		"composite":     {comp, nil},
		"short":         {layoutV1(1, 0)[:31], syscall.EINVAL},
		"short v3":      {v3[:47], syscall.EINVAL},
		"magic":         {make([]byte, 32), syscall.EINVAL},
		"entry outside": {far, syscall.EINVAL},
		"no entries":    {comp[:lovCompHeader], syscall.EINVAL},
	} {
		t.Run(name, func(t *testing.T) {
			w := openWorld(t, t.TempDir(), nil)
			h, _, err := w.Create(RootFID, volatileHeader, 0o600, Root, OpenDelayCreate|2)
			w.ok(err)
			defer h.Release()
			w.is(w.SetXattr(h.FID(), Root, "lustre.lov", c.v, 0), c.err)
			if c.err != nil {
				return
			}
			if _, err := w.GetXattr(h.FID(), Root, "lustre.lov"); err != nil {
				t.Error(err)
			}
		})
	}
	if got := compositeLayout(comp, true); le.Uint32(got[lovCompHeader+lovCompEntry+4:])&lovReleased == 0 {
		t.Error("a released composite layout does not say so")
	}
}

func FuzzLayout(f *testing.F) {
	f.Add(layoutV1(1, 0))
	f.Fuzz(func(t *testing.T, v []byte) {
		lov, err := parseLayout(v)
		if err != nil {
			return
		}
		i := &inode{ino: FID{firstSeq, 1, 0}.Ino(), mode: syscall.S_IFREG, extra: &inodeExtra{lov: lov}}
		for _, hollow := range []bool{false, true} {
			i.is.hollow = hollow
			if got, err := i.layoutXattr(); err != nil || len(got) < lovSizeV1 {
				t.Fatalf("layout %x reads as %x, %v", v, got, err)
			}
		}
	})
}
