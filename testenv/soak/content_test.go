package soak

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestContent does the same to a content and to a slice of bytes.
func TestContent(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0))
		var c content
		var want []byte
		for range 60 {
			off, n := r.Int64N(300), r.Int64N(200)
			switch r.IntN(3) {
			case 0:
				c.truncate(off)
				want = append(want, make([]byte, 300)...)[:off:off]
			default:
				s := r.Uint64() | 1
				if n > 0 && off+n > int64(len(want)) {
					want = append(want, make([]byte, off+n-int64(len(want)))...)
				}
				c.write(off, n, s)
				fillSeed(want[min(off, int64(len(want))):min(off+n, int64(len(want)))], s, off)
			}
			got := make([]byte, len(want)+10)
			if k := c.fill(got, 0); k != len(want) || !bytes.Equal(got[:k], want) {
				t.Fatalf("seed %d: %d bytes of %+v, want %d", seed, k, c, len(want))
			}
			from := r.Int64N(300)
			if k := c.fill(got, from); k > 0 && !bytes.Equal(got[:k], want[from:from+int64(k)]) {
				t.Fatalf("seed %d: other bytes from offset %d on", seed, from)
			}
		}
	}
}
