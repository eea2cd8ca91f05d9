package blobstore

import (
	"sync/atomic"
	"testing"
	"time"
)

// TestObserved: the requests of a context are told with their ids, if the pool is to.
func TestObserved(t *testing.T) {
	for _, traced := range []bool{true, false} {
		c := openContainer(t, PoolOptions{Traced: traced}, ContainerOptions{})
		var told atomic.Int32
		ctx := Observed(t.Context(), func(e RequestEvent) {
			told.Add(1)
			if e.Op != "head-blob" || e.RequestID == "" || len(e.ClientRequestID) != 36 || e.Status != 404 || time.Since(e.Started) < e.Duration {
				t.Errorf("%+v", e)
			}
		})
		_, err := c.Stat(ctx, "none")
		wantKind(t, err, ErrNotFound)
		_, err = c.Stat(t.Context(), "none")
		wantKind(t, err, ErrNotFound)
		if n := told.Load(); n != 1 && traced || n != 0 && !traced {
			t.Errorf("traced %t: told of %d requests", traced, n)
		}
	}
}
