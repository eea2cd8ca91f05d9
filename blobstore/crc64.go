package blobstore

import (
	"fmt"
	"math/bits"
	"strconv"
	"sync"

	"github.com/minio/crc64nvme"
)

// Azure's CRC-64 is CRC-64/NVME: reflected, all ones in and out.

// checksum is the CRC-64 of b.
func checksum(b []byte) uint64 { return crc64nvme.Checksum(b) }

// combineCRC64 gives the CRC-64 of two pieces one after the other, from their
// own CRCs and the length of the second. So blocks can be summed up in any
// order, in parallel.
//
// A CRC is the remainder of a polynomial. Putting n bytes behind a piece
// multiplies it by x^(8n), and adding the second piece is an XOR; the ones that
// go in and out cancel.
func combineCRC64(first, second uint64, secondLen int64) uint64 {
	return multiply(first, powerOfX(secondLen)) ^ second
}

// crcSum adds up the CRCs of the pieces of a whole, in any order: each is multiplied
// by the power that the bytes behind it stand for.
type crcSum struct {
	mu    sync.Mutex // guards total
	total uint64
}

// add takes a piece with so many bytes behind it.
func (s *crcSum) add(crc uint64, behind int64) {
	part := combineCRC64(crc, 0, behind)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total ^= part
}

// sum is the CRC-64 of the whole, once all pieces are in.
func (s *crcSum) sum() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// one is the polynomial 1. Bits are reflected: the highest is the lowest power.
const one = uint64(1) << 63

// multiply multiplies two polynomials modulo that of the CRC.
func multiply(a, b uint64) uint64 {
	var product uint64
	for b != 0 {
		// b's terms from the lowest power up; a is multiplied by x in between.
		n := bits.LeadingZeros64(b)
		for range n {
			a = timesX(a)
		}
		product ^= a
		a = timesX(a)
		b <<= n
		b <<= 1
	}
	return product
}

func timesX(a uint64) uint64 {
	if a&1 != 0 {
		return a>>1 ^ crc64nvme.NVME
	}
	return a >> 1
}

// powersOfX holds x^(8·2^i).
var powersOfX = func() (powers [63]uint64) {
	p := one >> 8 // x^8
	for i := range powers {
		powers[i] = p
		p = multiply(p, p)
	}
	return powers
}()

// powerOfX is x^(8n).
func powerOfX(n int64) uint64 {
	product := one
	for i := 0; n != 0; i, n = i+1, n>>1 {
		if n&1 != 0 {
			product = multiply(product, powersOfX[i])
		}
	}
	return product
}

// formatCRC64 writes a CRC as metadata has it.
func formatCRC64(crc uint64) string { return fmt.Sprintf("%016x", crc) }

// crcOf reads the CRC from metadata in lower case. A blob without one, or with
// one that somebody broke, has none.
func crcOf(md map[string]string) (crc uint64, ok bool) {
	v := md[keyCRC64]
	if len(v) != 16 {
		return 0, false
	}
	crc, err := strconv.ParseUint(v, 16, 64)
	return crc, err == nil
}
