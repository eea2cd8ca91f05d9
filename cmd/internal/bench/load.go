package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"lhsm-azblob/blobstore"
)

// A load is blobs of one size, moved by one number of requests.
type load struct {
	pool      *blobstore.Pool
	container *blobstore.Container
	scratch   string
	size      int64
	requests  int
	atATime   int // blobs, so that their blocks keep all requests busy
	time      time.Duration
	seen      requests

	mu      sync.Mutex // guards written
	written []blobstore.Info
}

// measure repeats work for as long as it has time.
func (l *load) measure(ctx context.Context, op string, work func(context.Context, int) error) (Result, error) {
	l.seen.reset()
	began, cpu := time.Now(), processorTime()
	blobs, err := l.repeat(ctx, began.Add(l.time), work)
	if err != nil {
		return Result{}, err
	}
	r := Result{
		Op: op, Size: l.size, Requests: l.requests, Blobs: blobs,
		Seconds: time.Since(began).Seconds(), CPU: (processorTime() - cpu).Seconds(),
	}
	l.seen.into(&r)
	return r, nil
}

// repeat does work with 0, 1, 2, … until there is no time left, each worker at
// least once. It returns how often.
func (l *load) repeat(ctx context.Context, until time.Time, work func(context.Context, int) error) (int, error) {
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range l.atATime {
		g.Go(func() error {
			for {
				if err := work(ctx, int(next.Add(1)-1)); err != nil {
					return err
				}
				if !time.Now().Before(until) {
					return nil
				}
			}
		})
	}
	err := g.Wait()
	return int(next.Load()), err
}

// write writes the i-th blob.
func (l *load) write(ctx context.Context, i int) error {
	name := blobstore.Name(fmt.Sprintf("%s/%d", l.scratch, i))
	info, err := l.container.Upload(ctx, name, source{}, l.size, blobstore.UploadOptions{})
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written = append(l.written, info)
	return nil
}

// read reads one that was written, as a restore would.
func (l *load) read(ctx context.Context, i int) error {
	info := l.written[i%len(l.written)] // nobody writes any more
	_, err := l.container.Download(ctx, info.Name, nowhere{}, blobstore.DownloadOptions{
		ETag: info.ETag, Size: info.Size, CRC64: info.CRC64, CheckCRC64: true,
	})
	return err
}

// cleanTime is for who waits for the prompt.
const cleanTime = 2 * time.Minute

// clean deletes whatever was written, also when nobody waits for the rest any more.
// It looks until there is nothing left: a request that was cut off may be carried
// out behind the first look.
func (l *load) clean(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
	defer cancel()
	for {
		found, err := l.deleteAll(ctx)
		if err != nil {
			return fmt.Errorf("scratch blobs may be left below %s/; delete them: %w", l.scratch, err)
		}
		if found == 0 {
			return nil
		}
	}
}

// deleteAll deletes the blobs that it finds, and goes on when it fails with one.
func (l *load) deleteAll(ctx context.Context) (found int, err error) {
	var g errgroup.Group
	g.SetLimit(l.requests)
	for info, lerr := range l.container.List(ctx, l.scratch+"/") {
		if lerr != nil {
			err = lerr
			break
		}
		found++
		g.Go(func() error {
			if err := l.container.Delete(ctx, info.Name, ""); !errors.Is(err, blobstore.ErrNotFound) {
				return err
			}
			return nil
		})
	}
	return found, errors.Join(err, g.Wait())
}

// noise is random bytes, a MiB of them again and again.
var noise = func() (b [1 << 20]byte) {
	_, _ = rand.Read(b[:]) // never fails
	return b
}()

// source is a file of noise without an end.
type source struct{}

func (source) ReadAt(p []byte, off int64) (n int, _ error) {
	for n < len(p) {
		n += copy(p[n:], noise[(off+int64(n))%int64(len(noise)):])
	}
	return n, nil
}

// nowhere takes everything.
type nowhere struct{}

func (nowhere) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
