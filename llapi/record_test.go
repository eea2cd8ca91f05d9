package llapi

import (
	"encoding/binary"
	"errors"
	"reflect"
	"syscall"
	"testing"
	"time"
)

// record builds a struct changelog_rec with what follows it.
func record(flags uint16, typ RecordType, extensions []byte, names string) []byte {
	b := make([]byte, recordHeaderSize)
	binary.NativeEndian.PutUint16(b[0:], uint16(len(names)))
	binary.NativeEndian.PutUint16(b[2:], flags)
	binary.NativeEndian.PutUint32(b[4:], uint32(typ))
	binary.NativeEndian.PutUint64(b[8:], 81)
	binary.NativeEndian.PutUint64(b[16:], 80)
	binary.NativeEndian.PutUint64(b[24:], 1795421533<<30|399225726)
	putFID(b[32:], FID{0x200000401, 0x5f, 0})
	putFID(b[48:], FID{0x200000401, 0x5e, 0})
	return append(append(b, extensions...), names...)
}

func extraWords(extra uint64, rest ...[]byte) []byte {
	b := binary.NativeEndian.AppendUint64(nil, extra)
	for _, r := range rest {
		b = append(b, r...)
	}
	return b
}

// loNID is 0@lo in the large form.
var loNID = append([]byte{0, 9, 0, 0}, make([]byte, 20)...)

func TestDecodeRecordPlain(t *testing.T) {
	got, err := DecodeRecord(record(0x1000|0x3, RecordUnlink, nil, "g"))
	want := Record{
		Index: 81, Prev: 80, Time: time.Unix(1795421533, 399225726), Type: RecordUnlink, Flags: 3,
		FID: FID{0x200000401, 0x5f, 0}, Parent: FID{0x200000401, 0x5e, 0}, Name: "g",
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("DecodeRecord = %+v, %v\nwant %+v", got, err, want)
	}
}

func TestDecodeRecordFull(t *testing.T) {
	rename := make([]byte, renameSize)
	putFID(rename, FID{1, 2, 3})
	putFID(rename[fidSize:], FID{4, 5, 6})
	jobid := append([]byte("mv.0"), make([]byte, jobIDSize-4)...)
	owner := binary.NativeEndian.AppendUint64(binary.NativeEndian.AppendUint64(nil, 1000), 100)
	mode := binary.NativeEndian.AppendUint32(nil, 2)
	xattr := append([]byte("user.k"), make([]byte, xattrNameSize-6)...)
	ext := append(append(rename, jobid...), extraWords(0x1f, owner, loNID, mode, xattr)...)

	b := record(0xf000, RecordRename, ext, "new\x00old")
	got, err := DecodeRecord(b)
	if err != nil {
		t.Fatal(err)
	}
	want := Record{
		Index: 81, Prev: 80, Time: time.Unix(1795421533, 399225726), Type: RecordRename,
		FID: FID{0x200000401, 0x5f, 0}, Parent: FID{0x200000401, 0x5e, 0}, Name: "new",
		SourceFID: FID{1, 2, 3}, SourceParent: FID{4, 5, 6}, SourceName: "old",
		JobID: "mv.0", HasExtra: true, Extra: 0x1f, UID: 1000, GID: 100, NID: NID{Type: 9}, OpenMode: 2, Xattr: "user.k",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("DecodeRecord = %+v\nwant %+v", got, want)
	}
	if want := 436 + len("new\x00old"); len(b) != want || recordSize(b) != want {
		t.Errorf("a full record is %d bytes, recordSize says %d, want %d", len(b), recordSize(b), want)
	}
}

// A library up to 2.15 adds the rename extension to every record, as zeros.
func TestDecodeRecordEmptyRename(t *testing.T) {
	got, err := DecodeRecord(record(0x3000, RecordCreate, make([]byte, renameSize), "f"))
	if err != nil || got.Name != "f" || got.SourceName != "" || !got.SourceFID.IsZero() {
		t.Errorf("DecodeRecord = %+v, %v", got, err)
	}
}

func TestRecordHSM(t *testing.T) {
	for flags, want := range map[uint16]struct {
		event HSMEvent
		errno syscall.Errno
		dirty bool
	}{
		0x000: {HSMArchive, 0, false},
		0x080: {HSMRestore, 0, false},
		0x0fd: {HSMRestore, syscall.ECANCELED, false},
		0x200: {HSMRemove, 0, false},
		0x27d: {HSMRemove, syscall.ECANCELED, false},
		0x67d: {HSMRemove, syscall.ECANCELED, true},
		0x680: {HSMState, 0, true},
		0x014: {HSMArchive, syscall.ENOTDIR, false},
	} {
		event, errno, dirty := Record{Flags: flags}.HSM()
		if event != want.event || errno != want.errno || dirty != want.dirty {
			t.Errorf("flags %#x: %d, %v, %v, want %+v", flags, event, errno, dirty, want)
		}
	}
}

func TestNIDString(t *testing.T) {
	small := binary.NativeEndian.AppendUint64(nil, 2<<48|1<<32|0x0a00020f)
	for _, tt := range []struct {
		b     []byte
		large bool
		want  string
	}{
		{small, false, "10.0.2.15@tcp1"},
		{loNID, true, "0@lo"},
		{make([]byte, nidSize), true, "0@<0:0>"},
		{append([]byte{0, 5, 0, 0, 10, 0, 0, 1}, make([]byte, 16)...), true, "10.0.0.1@o2ib"},
		{append([]byte{12, 2, 0, 0, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 0, 0, 0, 0), true, "fe80::1@tcp"},
	} {
		if got := decodeNID(tt.b, tt.large).String(); got != tt.want {
			t.Errorf("%x: %q, want %q", tt.b, got, tt.want)
		}
	}
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add(record(0x1000, RecordUnlink, nil, "g"))
	f.Add(record(0x9000, RecordOpen, extraWords(0x17, make([]byte, ownerSize), loNID, make([]byte, 4)), "f"))
	f.Add(record(0xb000, RecordRename, append(make([]byte, renameSize), extraWords(0)...), "a\x00b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeRecord(b)
		if err != nil {
			if !errors.Is(err, ErrTruncated) || r != (Record{}) {
				t.Fatalf("%+v and %v", r, err)
			}
			return
		}
		// What follows the record is not looked at, and no byte of it is needed.
		again, err := DecodeRecord(append(b[:recordSize(b):recordSize(b)], 0xff))
		if err != nil || again != r {
			t.Fatalf("cut to its size: %+v, %v\nwas %+v", again, err, r)
		}
		if len(r.Name)+len(r.SourceName) > len(b) {
			t.Fatalf("names of %d and %d bytes out of %d", len(r.Name), len(r.SourceName), len(b))
		}
	})
}
