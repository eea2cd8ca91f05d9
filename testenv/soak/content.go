package soak

import "slices"

// A content says what bytes a file must hold, without holding them: each byte
// follows from a seed and its offset.
type content struct {
	size  int64
	parts []part // without gaps, in order, up to size
}

// A part is a run of bytes of one seed. Seed 0 stands for zeros.
type part struct {
	off, end int64
	seed     uint64
}

// write puts bytes of a seed at an offset, as pwrite does.
func (c *content) write(off, n int64, seed uint64) {
	if n == 0 {
		return
	}
	c.truncate(max(c.size, off+n))
	c.replace(part{off, off + n, seed})
}

// truncate makes the file shorter, or longer by zeros.
func (c *content) truncate(size int64) {
	if size > c.size {
		c.parts = append(c.parts, part{c.size, size, 0})
	}
	c.size = size
	for len(c.parts) > 0 && c.parts[len(c.parts)-1].off >= size {
		c.parts = c.parts[:len(c.parts)-1]
	}
	if n := len(c.parts); n > 0 {
		c.parts[n-1].end = min(c.parts[n-1].end, size)
	}
}

// replace cuts a new part into the old ones.
func (c *content) replace(p part) {
	var parts []part
	for _, old := range c.parts {
		if old.off < p.off {
			parts = append(parts, part{old.off, min(old.end, p.off), old.seed})
		}
		if old.end > p.end {
			parts = append(parts, part{max(old.off, p.end), old.end, old.seed})
		}
	}
	i, _ := slices.BinarySearchFunc(parts, p.off, func(q part, off int64) int { return int(min(1, max(-1, q.off-off))) })
	c.parts = slices.Insert(parts, i, p)
}

// fill puts the bytes from an offset on into buf, and returns how many there are.
func (c *content) fill(buf []byte, off int64) int {
	n := int(min(int64(len(buf)), max(0, c.size-off)))
	for _, p := range c.parts {
		from, to := max(p.off, off), min(p.end, off+int64(n))
		if from < to {
			fillSeed(buf[from-off:to-off], p.seed, from)
		}
	}
	return n
}

// fillSeed writes the bytes of a seed that are at an offset.
func fillSeed(buf []byte, seed uint64, off int64) {
	if seed == 0 {
		clear(buf)
		return
	}
	word := mix(seed + uint64(off>>3))
	for i := range buf {
		at := off + int64(i)
		if at&7 == 0 {
			word = mix(seed + uint64(at>>3))
		}
		buf[i] = byte(word >> (8 * (at & 7)))
	}
}

// mix is the finalizer of SplitMix64: consecutive numbers become unlike ones.
func mix(x uint64) uint64 {
	x *= 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
