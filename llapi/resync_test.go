package llapi

import (
	"encoding/binary"
	"errors"
	"reflect"
	"syscall"
	"testing"
)

// message puts a list into the pipe's frame.
func message(l ActionList) []byte {
	payload := l.Encode()
	b := make([]byte, kucHeaderSize, kucHeaderSize+len(payload))
	binary.NativeEndian.PutUint16(b[0:], kucMagic)
	b[2] = kucTransportHSM
	binary.NativeEndian.PutUint16(b[4:], kucActionList)
	binary.NativeEndian.PutUint16(b[6:], uint16(kucHeaderSize+len(payload)))
	return append(b, payload...)
}

func listOf(cookies ...uint64) ActionList {
	l := ActionList{FSName: "lustre", ArchiveID: 1}
	for _, c := range cookies {
		l.Items = append(l.Items, ActionItem{Action: ActionArchive, Cookie: c, Extent: WholeFile})
	}
	return l
}

func (f *framer) all(t *testing.T) (lists []ActionList) {
	t.Helper()
	for {
		list, ok, err := f.next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return lists
		}
		lists = append(lists, list)
	}
}

// Wherever the stream begins, every message that is whole in it is found.
func TestFramerFromAnywhere(t *testing.T) {
	first, second := message(listOf(1, 2, 3)), message(listOf(4))
	want := []ActionList{listOf(4)}
	for start := 1; start <= len(first); start++ {
		f := framer{buf: append(first[start:len(first):len(first)], second...)}
		if got := f.all(t); !reflect.DeepEqual(got, want) || !f.inStep() {
			t.Errorf("from byte %d: %+v, in step %v", start, got, f.inStep())
		}
	}
}

// However it comes, too.
func TestFramerInPieces(t *testing.T) {
	first, second := message(listOf(1)), message(listOf(2))
	stream := append(first[52:len(first):len(first)], second...)
	for piece := 1; piece < 20; piece++ {
		var f framer
		var got []ActionList
		for rest := stream; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
			f.buf = append(f.buf, rest[:min(piece, len(rest))]...)
			got = append(got, f.all(t)...)
		}
		if !reflect.DeepEqual(got, []ActionList{listOf(2)}) || !f.inStep() {
			t.Errorf("in pieces of %d: %+v, in step %v", piece, got, f.inStep())
		}
	}
}

func TestFramerShutdown(t *testing.T) {
	f := framer{buf: []byte{1, 2, 3}}
	f.buf = binary.NativeEndian.AppendUint16(f.buf, kucMagic)
	f.buf = append(f.buf, kucTransportGeneric, 0)
	f.buf = binary.NativeEndian.AppendUint16(f.buf, kucShutdown)
	f.buf = binary.NativeEndian.AppendUint16(f.buf, kucHeaderSize)
	if _, ok, err := f.next(); ok || !errors.Is(err, syscall.ESHUTDOWN) {
		t.Errorf("next = %v, %v, want ESHUTDOWN", ok, err)
	}
}

func FuzzFramer(f *testing.F) {
	f.Add(message(listOf(1))[3:], message(listOf(2, 3)))
	f.Add([]byte{0x1c}, []byte{0x19, 2, 0, 100, 0, 40, 0})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var fr framer
		for _, piece := range [][]byte{a, b} {
			fr.buf = append(fr.buf, piece...)
			for steps := 0; ; steps++ {
				if steps > len(a)+len(b) {
					t.Fatal("no end")
				}
				if _, ok, err := fr.next(); !ok && err == nil {
					break
				}
			}
			if len(fr.buf) > len(a)+len(b) {
				t.Fatal("it grew")
			}
		}
		// A whole message after anything is found, unless what came before
		// claims to reach into it.
		if len(fr.buf) >= kucHeaderSize {
			return
		}
		fr.buf = append(append(fr.buf, make([]byte, 64)...), message(listOf(9))...)
		var last ActionList
		for {
			list, ok, err := fr.next()
			if !ok && err == nil {
				break
			}
			last = list
		}
		if !reflect.DeepEqual(last, listOf(9)) && len(fr.buf) < kucHeaderSize {
			t.Fatalf("after %x %x: %+v", a, b, last)
		}
	})
}
