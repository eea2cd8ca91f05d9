package blobstore

import (
	"errors"
	"strings"
	"testing"
)

func TestBlockSizeFor(t *testing.T) {
	const (
		mib      = 1 << 20
		tib      = 1 << 40
		room     = 8 << 30
		eightMiB = 8 * mib
	)
	for _, tt := range []struct {
		size, configured, want int64
	}{
		{0, eightMiB, eightMiB},
		{1, eightMiB, eightMiB},
		{maxBlocks * eightMiB, eightMiB, eightMiB},
		{maxBlocks*eightMiB + 1, eightMiB, 9 * mib},
		{maxBlocks * 9 * mib, eightMiB, 9 * mib},
		{maxBlocks*9*mib + 1, eightMiB, 10 * mib},
		{1 * tib, eightMiB, 21 * mib},
		{1 * tib, 64 * mib, 64 * mib},
		{100 * tib, eightMiB, 2098 * mib},
		{maxBlob - 1, eightMiB, maxBlock},
		{maxBlob, eightMiB, maxBlock},
		{maxBlob, 1, maxBlock},
		{50_000, 1, 1},
		{50_001, 1, mib},
		{100, 7, 7},
	} {
		got, err := blockSizeFor(tt.size, tt.configured, room)
		if err != nil || got != tt.want {
			t.Errorf("blockSizeFor(%d, %d) = %d, %v, want %d", tt.size, tt.configured, got, err, tt.want)
			continue
		}
		if blocks := (tt.size + got - 1) / got; blocks > maxBlocks {
			t.Errorf("a file of %d bytes makes %d blocks of %d", tt.size, blocks, got)
		}
	}
	if _, err := blockSizeFor(maxBlob+1, maxBlock, room); !errors.Is(err, ErrTooLarge) {
		t.Errorf("one byte too many: %v", err)
	}
	_, err := blockSizeFor(100*tib, eightMiB, 1<<30)
	if !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "raise the memory limit") {
		t.Errorf("blocks larger than the memory: %v", err)
	}
}

// What is read at a time is three quarters of the memory at most, with what it is rounded
// up to.
func TestBlocksAndMemory(t *testing.T) {
	o := ContainerOptions{URL: "https://account.blob.core.windows.net/container", Credential: Credential{Mode: ModeSharedKey, AccountKey: "a2V5"}}
	for block, fits := range map[int64]bool{0: true, 48 << 20: true, 48<<20 + 1: false, 64 << 20: false} {
		o.BlockSize = block
		_, err := Open(o, newPool(t, PoolOptions{Memory: 64 << 20}))
		if fits != (err == nil) || err != nil && !strings.Contains(err.Error(), "more than the 50331648 that 67108864 bytes of memory have room for") {
			t.Errorf("blocks of %d: %v", block, err)
		}
	}
	for n, want := range map[int64]int64{1: 4 << 10, 12<<10 - 1: 8 << 10, 12 << 10: 12 << 10, 75 << 20: 64 << 20, 768 << 20: 768 << 20} {
		if got := classWithin(n); got != want {
			t.Errorf("classWithin(%d) = %d, want %d", n, got, want)
		}
	}
}

func TestBlockIDs(t *testing.T) {
	a, b := newNonce(), newNonce()
	seen := map[string]bool{}
	for _, id := range []string{a.blockID(0), a.blockID(1), a.blockID(maxBlocks - 1), b.blockID(0), b.blockID(1)} {
		if seen[id] || len(id) != len(a.blockID(0)) {
			t.Errorf("block ID %q is there twice, or of another length", id)
		}
		seen[id] = true
	}
	if s := a.String(); len(s) != 2*nonceSize || s == b.String() {
		t.Errorf("nonces are %s and %s", a, b)
	}
}
