package blobstore

import (
	"bytes"
	"testing"
)

// The check value of CRC-64/NVME, as its catalogue entry has it.
func TestChecksumIsNVME(t *testing.T) {
	if got := checksum([]byte("123456789")); got != 0xae8b14860a799888 {
		t.Errorf("CRC of the check string is %x", got)
	}
}

func TestCombineCRC64(t *testing.T) {
	data := bytes.Repeat([]byte("The quick brown fox jumps over the lazy dog. "), 4000)
	want := checksum(data)
	for _, cut := range []int{0, 1, 7, 8, 255, 4096, 65537, len(data) - 1, len(data)} {
		a, b := data[:cut], data[cut:]
		if got := combineCRC64(checksum(a), checksum(b), int64(len(b))); got != want {
			t.Errorf("cut at %d: %016x, want %016x", cut, got, want)
		}
	}
}

// Lengths that nobody can compute directly still have to follow the law
// crc(a+b+c) = crc((a+b)+c) = crc(a+(b+c)).
func TestCombineCRC64OfHugeLengths(t *testing.T) {
	const a, b, c = 0x0123456789abcdef, 0xfedcba9876543210, 0x5555aaaa5555aaaa
	for _, n := range []int64{1, 1 << 32, 1<<47 - 3, 1 << 61} {
		left := combineCRC64(combineCRC64(a, b, n), c, n)
		right := combineCRC64(a, combineCRC64(b, c, n), 2*n)
		if left != right {
			t.Errorf("length %d: %016x and %016x", n, left, right)
		}
	}
}

func TestCRCOf(t *testing.T) {
	for value, want := range map[string]bool{"00000000000000ff": true, "ff": false, "": false, "zzzzzzzzzzzzzzzz": false, "+00000000000000f": false} {
		if _, ok := crcOf(map[string]string{keyCRC64: value}); ok != want {
			t.Errorf("%q is a CRC: %t, want %t", value, ok, want)
		}
	}
}

func FuzzCombineCRC64(f *testing.F) {
	f.Add([]byte("a"), []byte("b"))
	f.Add([]byte{}, []byte{0})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		want := checksum(append(bytes.Clone(a), b...))
		if got := combineCRC64(checksum(a), checksum(b), int64(len(b))); got != want {
			t.Errorf("%x + %x: %016x, want %016x", a, b, got, want)
		}
	})
}

func BenchmarkCombineCRC64(b *testing.B) {
	crc := uint64(1)
	for b.Loop() {
		crc = combineCRC64(crc, 2, 8<<20)
	}
}

func BenchmarkChecksum(b *testing.B) {
	data := make([]byte, 8<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		checksum(data)
	}
}
