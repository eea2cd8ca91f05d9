package copytool

import (
	"maps"
	"sync"
	"sync/atomic"
)

// children are the members of a metric by their labels. A member is made when it is
// first asked for, and from then on found without a lock and without garbage: there
// are a few dozen, and they are counted with every file and every request.
type children[K comparable, V any] struct {
	add func(K) V // makes a member

	mu    sync.Mutex              // held by who replaces known
	known atomic.Pointer[map[K]V] // never changed, only replaced
}

func (c *children[K, V]) of(k K) V {
	if known := c.known.Load(); known != nil {
		if v, ok := (*known)[k]; ok {
			return v
		}
	}
	return c.grow(k)
}

// all are those that were asked for so far.
func (c *children[K, V]) all() map[K]V {
	if known := c.known.Load(); known != nil {
		return *known
	}
	return nil
}

func (c *children[K, V]) grow(k K) V {
	c.mu.Lock()
	defer c.mu.Unlock()
	larger := map[K]V{}
	if known := c.known.Load(); known != nil {
		if v, ok := (*known)[k]; ok {
			return v
		}
		maps.Copy(larger, *known)
	}
	v := c.add(k)
	larger[k] = v
	c.known.Store(&larger)
	return v
}
