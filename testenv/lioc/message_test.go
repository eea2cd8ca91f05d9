package lioc

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

// The header that a real copytool read for one item without data on a file
// system named lustre.
func TestMessageHeaderAsSeen(t *testing.T) {
	b, err := ActionList{FSName: "lustre", ArchiveID: 1, Items: []ActionItem{{Action: ActionArchive}}}.Message()
	if err != nil {
		t.Fatal(err)
	}
	if want := []byte{0x1c, 0x19, 0x02, 0x00, 0x64, 0x00, 0x78, 0x00}; !bytes.Equal(b[:8], want) {
		t.Errorf("header % x, want % x", b[:8], want)
	}
	if len(b) != 120 {
		t.Errorf("message takes %d bytes, want 120", len(b))
	}
}

func TestShutdownMessage(t *testing.T) {
	if want := []byte{0x1c, 0x19, 0x01, 0x00, 0x01, 0x00, 0x08, 0x00}; !bytes.Equal(ShutdownMessage(), want) {
		t.Errorf("shutdown % x, want % x", ShutdownMessage(), want)
	}
}

func TestMessageRoundTrip(t *testing.T) {
	for _, fsname := range []string{"", "l", "lustre1", "lustre12"} {
		l := ActionList{FSName: fsname, ArchiveID: 7, Flags: 4, Items: []ActionItem{
			{Action: ActionArchive, FID: sampleFID, DFID: sampleFID, Extent: Extent{0, ^uint64(0)}, Cookie: 9, Data: []byte{}},
			{Action: ActionRemove, FID: sampleFID, Data: []byte("odd")},
		}}
		b, err := l.Message()
		if err != nil {
			t.Fatal(err)
		}
		if len(b) != Size[Header]()+l.Size() {
			t.Errorf("Size = %d, encoded %d", l.Size(), len(b)-Size[Header]())
		}
		got, err := DecodeMessage(b)
		if err != nil || !reflect.DeepEqual(got, l) {
			t.Errorf("fsname %q: %+v, %v, want %+v", fsname, got, err, l)
		}
	}
}

func TestMessageTooLong(t *testing.T) {
	l := ActionList{FSName: "lustre", Items: make([]ActionItem, 1000)}
	if _, err := l.Message(); !errors.Is(err, ErrTooLong) {
		t.Errorf("1000 items: %v, want ErrTooLong", err)
	}
}

func TestSeventyItemsFitAList(t *testing.T) {
	l := ActionList{FSName: "lustre", Items: make([]ActionItem, 70)}
	if l.Size() > MaxListSize {
		t.Errorf("70 items take %d bytes", l.Size())
	}
	l.Items = append(l.Items, ActionItem{})
	if l.Size() <= MaxListSize {
		t.Errorf("71 items take %d bytes", l.Size())
	}
}

func FuzzDecodeMessage(f *testing.F) {
	b, _ := ActionList{FSName: "lustre", Items: []ActionItem{{Data: []byte("abc")}}}.Message()
	f.Add(b)
	f.Add(b[:50])
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := DecodeMessage(b)
		if err != nil {
			return
		}
		again, err := l.Message()
		if err != nil {
			t.Fatalf("decoded %+v, encode: %v", l, err)
		}
		l2, err := DecodeMessage(again)
		if err != nil || !reflect.DeepEqual(l, l2) {
			t.Errorf("%+v became %+v, %v", l, l2, err)
		}
	})
}

func FuzzDecodeRequest(f *testing.F) {
	f.Add(Request{Action: UserArchive, Items: []UserItem{{}, {}}, Data: []byte("d")}.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeRequest(b)
		if err != nil {
			return
		}
		if e := r.Encode(); !bytes.HasPrefix(b, e) {
			t.Errorf("% x decoded and encoded is % x", b, e)
		}
	})
}

func TestDecodeShort(t *testing.T) {
	b := Encode(Copy{})
	for n := range b {
		if _, err := Decode[Copy](b[:n]); err == nil {
			t.Fatalf("decoded a Copy from %d bytes", n)
		}
	}
	if _, err := DecodeArchiveIDs(make([]byte, 7), 2); err == nil {
		t.Error("decoded two archive ids from 7 bytes")
	}
	if _, err := DecodeArchiveIDs(make([]byte, 8192), MaxArchives+1); err == nil {
		t.Error("decoded more archive ids than an agent can have")
	}
	if ids, err := DecodeArchiveIDs([]byte{3, 0, 0, 0, 4, 0, 0, 0}, 2); err != nil || !reflect.DeepEqual(ids, []uint32{3, 4}) {
		t.Errorf("archive ids %v, %v", ids, err)
	}
}
