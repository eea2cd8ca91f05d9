package blobstore

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// interrupted uploads all but the commit, and returns the blocks that were staged.
func interrupted(t *testing.T, c *Container, n Name, data []byte) []StagedBlock {
	t.Helper()
	var (
		mu     sync.Mutex // guards staged
		staged []StagedBlock
	)
	stop := errors.New("killed")
	_, err := c.Upload(t.Context(), n, bytes.NewReader(data), int64(len(data)), UploadOptions{
		BeforeCommit: func() error { return stop },
		Staged: func(b StagedBlock) {
			mu.Lock()
			defer mu.Unlock()
			staged = append(staged, b)
		},
	})
	if !errors.Is(err, stop) {
		t.Fatalf("the interrupted upload ended with %v", err)
	}
	return staged
}

// counting counts the blocks that are sent.
func counting(c *Container) *atomic.Int64 {
	sent := &atomic.Int64{}
	inject(c.pool, func(_ int, req *http.Request, real http.RoundTripper) (*http.Response, error) {
		if opOf(req) == "put-block" {
			sent.Add(1)
		}
		return real.RoundTrip(req)
	})
	return sent
}

func TestResume(t *testing.T) {
	data := randomBytes(4*testBlock + 100)
	changed := bytes.Clone(data)
	changed[2*testBlock]++
	for _, tt := range []struct {
		name  string
		now   []byte
		edit  func([]StagedBlock) []StagedBlock
		sends int64
	}{
		{"all blocks", data, nil, 0},
		{"some blocks", data, func(bs []StagedBlock) []StagedBlock { return bs[:3] }, 2},
		{"a block that changed", changed, nil, 1},
		{"a wrong CRC on record", data, func(bs []StagedBlock) []StagedBlock { bs[0].CRC64++; return bs }, 1},
		{"another block size", data, func(bs []StagedBlock) []StagedBlock {
			for i := range bs {
				bs[i].BlockSize++
			}
			return bs
		}, 5},
		{"blocks that the service does not have", data, func(bs []StagedBlock) []StagedBlock {
			for i := range bs {
				bs[i].Upload = newNonce().String()
			}
			return bs
		}, 5},
		{"no upload at all", data, func(bs []StagedBlock) []StagedBlock { bs[len(bs)-1].Upload = "?"; return bs }, 5},
		{"a block beyond the file", data, func(bs []StagedBlock) []StagedBlock {
			return append(bs, StagedBlock{Upload: bs[0].Upload, BlockSize: testBlock, Number: 7}, StagedBlock{Upload: bs[0].Upload, BlockSize: testBlock, Number: -1})
		}, 0},
		{"blocks of two uploads", data, func(bs []StagedBlock) []StagedBlock {
			other := bs[0]
			other.Upload = newNonce().String()
			return append([]StagedBlock{other}, bs...)
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := openContainer(t, PoolOptions{}, ContainerOptions{})
			blocks := interrupted(t, c, "f", data)
			if tt.edit != nil {
				blocks = tt.edit(blocks)
			}
			sent := counting(c)
			var moved int64
			info := mustUpload(t, c, "f", tt.now, UploadOptions{Resume: blocks, Progress: func(n int64) { moved = n }})
			if n := sent.Load(); n != tt.sends {
				t.Errorf("%d blocks were sent, want %d", n, tt.sends)
			}
			if moved != int64(len(data)) {
				t.Errorf("progress ended at %d of %d", moved, len(data))
			}
			if want := checksum(tt.now); info.CRC64 != want {
				t.Errorf("CRC-64 %x, want %x", info.CRC64, want)
			}
			wantContent(t, c, info, tt.now)
		})
	}
}

// TestResumeAfterTheCommit: the answer to the commit was lost, and with it the
// process. The blocks are gone, and the condition tells.
func TestResumeAfterTheCommit(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	data := randomBytes(3 * testBlock)
	var blocks []StagedBlock
	var mu sync.Mutex // guards blocks
	mustUpload(t, c, "f", data, UploadOptions{Staged: func(b StagedBlock) {
		mu.Lock()
		defer mu.Unlock()
		blocks = append(blocks, b)
	}})
	_, err := c.Upload(t.Context(), "f", bytes.NewReader(data), int64(len(data)), UploadOptions{Resume: blocks})
	wantKind(t, err, ErrExists)
}

// TestSmallFilesHaveNoBlocks: nothing is kept about what goes in one request.
func TestSmallFilesHaveNoBlocks(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{})
	mustUpload(t, c, "f", randomBytes(100), UploadOptions{Staged: func(b StagedBlock) { t.Errorf("a block: %+v", b) }})
}

// TestLeftoverBlocks: what was staged and never committed is in nobody's way,
// also not in that of a file that goes in one request.
func TestLeftoverBlocks(t *testing.T) {
	c := openContainer(t, PoolOptions{}, ContainerOptions{BlockSize: testBlock, PutThreshold: testBlock})
	for _, size := range []int{0, 100} {
		n := Name(fmt.Sprintf("f%d", size))
		interrupted(t, c, n, randomBytes(2*testBlock))
		data := randomBytes(size)
		wantContent(t, c, mustUpload(t, c, n, data, UploadOptions{Condition: CreateOnly()}), data)
		_, err := c.Upload(t.Context(), n, bytes.NewReader(nil), 0, UploadOptions{Condition: CreateOnly()})
		wantKind(t, err, ErrExists)
	}
}
