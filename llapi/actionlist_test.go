package llapi

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// realList is a list as a real coordinator's pipe message carries it: one
// archive for archive 1 of the file system "lustre".
var realList = unhex(`
	01000000 01000000 0000000000000000 0000000000000000 01000000 00000000
	6c75737472650000
	48000000 14000000
	0104000002000000 02000000 00000000
	0104000002000000 02000000 00000000
	0000000000000000 ffffffffffffffff
	78f0036b00000000 0000000000000000`)

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(err)
	}
	return b
}

func TestDecodeActionList(t *testing.T) {
	fid := FID{0x200000401, 2, 0}
	want := ActionList{FSName: "lustre", ArchiveID: 1, Items: []ActionItem{
		{Action: ActionArchive, FID: fid, DFID: fid, Extent: WholeFile, Cookie: 0x6b03f078},
	}}
	got, err := DecodeActionList(realList)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("DecodeActionList = %+v, %v\nwant %+v", got, err, want)
	}
	if b := got.Encode(); !bytes.Equal(b, realList) {
		t.Errorf("Encode = %x\nwant     %x", b, realList)
	}
}

func TestActionListRoundTrip(t *testing.T) {
	fid := FID{0x200000401, 0x17, 0}
	for name, l := range map[string]ActionList{
		"no items":          {FSName: "a", Items: []ActionItem{}},
		"name of 7":         {FSName: "lustre7", Items: []ActionItem{{Action: ActionRemove, FID: fid}}},
		"name of 8":         {FSName: "lustrefs", Items: []ActionItem{{Action: ActionRemove, FID: fid}}},
		"every archive, 64": {FSName: "l", ArchiveID: 0, Flags: FlagBlocking, Items: make([]ActionItem, 64)},
		"odd data": {FSName: "lustre", ArchiveID: 33, Items: []ActionItem{
			{Action: ActionArchive, FID: fid, DFID: fid, Extent: WholeFile, Cookie: 1, Data: []byte("x")},
			{Action: ActionCancel, FID: fid, Cookie: 1, Data: []byte("seventeen bytes..")},
			{Action: ActionRestore, FID: fid, DFID: FID{1, 2, 3}, Extent: Extent{4, 5}, Cookie: 1 << 63, GID: 6},
			{Action: 99},
		}},
	} {
		got, err := DecodeActionList(l.Encode())
		if err != nil || !reflect.DeepEqual(got, l) {
			t.Errorf("%s: %+v, %v\nwant %+v", name, got, err, l)
		}
	}
}

func TestDecodeActionListRefuses(t *testing.T) {
	edit := func(offset int, with ...byte) []byte {
		b := bytes.Clone(realList)
		copy(b[offset:], with)
		return b
	}
	const item = 40
	for name, b := range map[string][]byte{
		"nothing":                   nil,
		"header only":               realList[:32],
		"half a header":             realList[:31],
		"no NUL in the name":        edit(32, []byte("lustrefs9")...),
		"item cut":                  realList[:len(realList)-1],
		"one item too many":         edit(4, 2),
		"4 billion items":           edit(4, 0xff, 0xff, 0xff, 0xff),
		"item shorter than itself":  edit(item, 71),
		"item of length 0":          edit(item, 0),
		"item longer than the list": edit(item, 73),
		"item of 4 GiB":             edit(item, 0xff, 0xff, 0xff, 0xff),
	} {
		if l, err := DecodeActionList(b); !errors.Is(err, ErrTruncated) {
			t.Errorf("%s: %+v, %v, want ErrTruncated", name, l, err)
		}
	}
	if _, err := DecodeActionList(edit(0, 2)); err == nil || errors.Is(err, ErrTruncated) {
		t.Errorf("version 2: %v, want an error about the version", err)
	}
}

func FuzzDecodeActionList(f *testing.F) {
	f.Add(realList)
	f.Add(ActionList{FSName: "lustrefs", Items: []ActionItem{{Data: []byte("abc")}, {}}}.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := DecodeActionList(b)
		if err != nil {
			if !reflect.DeepEqual(l, ActionList{}) {
				t.Fatalf("%+v and %v", l, err)
			}
			return
		}
		if max := len(b) / itemSize; len(l.Items) > max {
			t.Fatalf("%d items out of %d bytes", len(l.Items), len(b))
		}
		again, err := DecodeActionList(l.Encode())
		if err != nil || !reflect.DeepEqual(again, l) {
			t.Fatalf("decoded %+v\nencoded and decoded %+v, %v", l, again, err)
		}
	})
}

func BenchmarkDecodeActionList(b *testing.B) {
	list := ActionList{FSName: "lustre", Items: make([]ActionItem, 70)}.Encode()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeActionList(list); err != nil {
			b.Fatal(err)
		}
	}
}
