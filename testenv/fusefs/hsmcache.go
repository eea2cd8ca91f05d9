package fusefs

import (
	"sync"

	"lhsm-azblob/testenv/state"
)

// An hsmCache is what a client has read of trusted.hsm. Lustre's clients keep all
// attributes of a file as soon as one is read (llite/xattr_cache.c), and the metadata
// server takes them back when somebody sets one, sets the HSM state, or releases the
// file. It does not for what a write does to trusted.hsm (LU-9385), nor up to 2.17 for
// what the end of an action does (later LU-19829 takes a lock there): then a client goes
// on with what it has, for ten minutes to an hour. Here it is as with 2.17, and for as
// long as there is room.
type hsmCache struct {
	mu     sync.Mutex // guards values; held while one is read, so that none is kept that was taken back
	values map[state.FID]hsmValue
}

type hsmValue struct {
	value []byte
	err   error // ENODATA is kept as well
}

// hsmCacheSize is how many values are kept.
const hsmCacheSize = 50_000

const hsmAttr = "trusted.hsm"

// cachedHSM is trusted.hsm as the client has it.
func (m *Mount) cachedHSM(fid state.FID) ([]byte, error) {
	c := &m.hsm
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.values[fid]
	if !ok {
		v.value, v.err = m.state.GetXattr(fid, state.Root, hsmAttr)
		if len(c.values) >= hsmCacheSize {
			clear(c.values)
		}
		c.values[fid] = v
	}
	return v.value, v.err
}

// takeBack makes all clients forget a file's attributes.
func (fs *FS) takeBack(fid state.FID) {
	for _, m := range fs.Mounts() {
		m.hsm.mu.Lock()
		delete(m.hsm.values, fid)
		m.hsm.mu.Unlock()
	}
}
