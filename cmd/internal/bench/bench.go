package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"lhsm-azblob/blobstore"
)

// Options say what to measure.
type Options struct {
	Container blobstore.ContainerOptions
	Pool      blobstore.PoolOptions // Transfers and Observe are ours
	Prefix    string                // folder of the container that the scratch folder is made in; empty: none
	Sizes     []int64               // bytes of blobs
	Requests  []int                 // numbers of requests in flight
	Time      time.Duration         // that writing, and then reading, takes for each of both
}

// The two things that are measured.
const (
	Write = "write"
	Read  = "read"
)

// A Result is what one of them gave, for one size and one number of requests.
type Result struct {
	Op       string  `json:"op"` // [Write] or [Read]
	Size     int64   `json:"size"`
	Requests int     `json:"requests"`    // in flight
	Blobs    int     `json:"blobs"`       // moved
	Sent     int     `json:"sent"`        // HTTP requests, repeated ones too
	Busy     int     `json:"busy"`        // of those, refused because there were too many
	Seconds  float64 `json:"seconds"`     // on the clock
	CPU      float64 `json:"cpu_seconds"` // of this process, user and system
	P50      float64 `json:"p50_seconds"` // of one request
	P99      float64 `json:"p99_seconds"`
}

// GiBPerSecond is the throughput.
func (r Result) GiBPerSecond() float64 { return r.gib() / r.Seconds }

// CPUPerGiB is what a GiB costs, in seconds of one core.
func (r Result) CPUPerGiB() float64 { return r.CPU / r.gib() }

func (r Result) gib() float64 { return float64(r.Size) * float64(r.Blobs) / (1 << 30) }

// A Bench is a container and a scratch folder in it.
type Bench struct {
	options Options
	scratch string
}

// New makes a Bench. It does not touch the network.
func New(o Options) *Bench {
	scratch := "lhsmctl-bench-" + strings.ToLower(rand.Text()[:10])
	if o.Prefix != "" {
		scratch = o.Prefix + "/" + scratch
	}
	return &Bench{o, scratch}
}

// Scratch is the folder that all blobs are in.
func (b *Bench) Scratch() string { return b.scratch }

// Run measures everything, and reports each result as it comes. It ends with the
// first error, or with ctx; what was written is deleted then too.
func (b *Bench) Run(ctx context.Context, report func(Result)) error {
	if err := b.check(ctx); err != nil {
		return err
	}
	for _, size := range b.options.Sizes {
		for _, requests := range b.options.Requests {
			l, err := b.load(size, requests)
			if err != nil {
				return err
			}
			if err := l.run(ctx, report); err != nil {
				return fmt.Errorf("blobs of %d bytes, %d requests in flight: %w", size, requests, err)
			}
		}
	}
	return nil
}

// check finds out what is wrong before much is written. Where blobs can be written
// and not deleted, as under an immutability policy, a blob of one byte is left.
func (b *Bench) check(ctx context.Context) error {
	l, err := b.load(1, 1)
	if err != nil {
		return err
	}
	defer l.pool.Close()
	if err := l.container.Check(ctx); err != nil {
		return err
	}
	return errors.Join(l.write(ctx, 0), l.clean(ctx))
}

// load opens the container anew, with its own connections.
func (b *Bench) load(size int64, requests int) (*load, error) {
	l := &load{scratch: fmt.Sprintf("%s/%d-%d", b.scratch, size, requests), size: size, requests: requests, time: b.options.Time}
	pool, container := b.options.Pool, b.options.Container
	pool.Transfers, pool.Observe = requests, l.seen.add
	container.Tier = "" // a blob in an offline tier cannot be read
	if container.BlockSize == 0 {
		container.BlockSize = blockSize
	}
	l.pool = blobstore.NewPool(pool)
	var err error
	if l.container, err = blobstore.Open(container, l.pool); err != nil {
		return nil, err
	}
	blocks := max(1, int(size/container.BlockSize))
	l.atATime = max(1, (requests+blocks-1)/blocks)
	return l, nil
}

// blockSize is the copytool's for all but huge files, where none is configured.
const blockSize = 8 << 20

// run writes, reads and deletes.
func (l *load) run(ctx context.Context, report func(Result)) (err error) {
	defer l.pool.Close()
	defer func() { err = errors.Join(err, l.clean(ctx)) }()
	for _, turn := range []struct {
		op   string
		work func(context.Context, int) error
	}{{Write, l.write}, {Read, l.read}} {
		r, err := l.measure(ctx, turn.op, turn.work)
		if err != nil {
			return err
		}
		report(r)
	}
	return nil
}
