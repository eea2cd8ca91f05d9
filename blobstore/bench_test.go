package blobstore

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lhsm-azblob/testenv/blobsink"
)

// The benchmarks run against a sink in the same process, whose CPU they cannot
// tell from their own; it is small, but compare like with like. For figures of
// the client alone run "lhsm-azblob/testenv/cmd/blobsink -fill pattern" and set
// BLOBSINK to the endpoint it prints (and SSL_CERT_FILE to its certificate).

func benchContainer(b *testing.B, secure bool, o PoolOptions) *Container {
	b.Helper()
	endpoint := sinkEndpoint(b, secure, &o)
	return open(b, newPool(b, o), ContainerOptions{
		URL: endpoint + "/bench", Credential: Credential{Mode: ModeSharedKey, AccountKey: "a2V5"}, BlockSize: defaultBlock,
	})
}

// sinkEndpoint is the URL of an account at a sink.
func sinkEndpoint(b *testing.B, secure bool, o *PoolOptions) string {
	if s := os.Getenv("BLOBSINK"); s != "" {
		if strings.HasPrefix(s, "https:") != secure {
			b.Skip("BLOBSINK is the other kind")
		}
		return s
	}
	server := blobsink.Start(b, blobsink.Pattern, secure)
	if secure {
		o.TLS = trust(server.CA)
	}
	return server.URL
}

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// reportCPU adds the processor time per GiB and per operation.
func reportCPU(b *testing.B, before time.Duration, bytesPerOp int64) {
	used := cpu() - before
	b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-µs/op")
	if bytesPerOp >= 1<<20 {
		b.ReportMetric(used.Seconds()/(float64(bytesPerOp)*float64(b.N)/(1<<30)), "cpu-s/GiB")
	}
}

func eachScheme(b *testing.B, f func(b *testing.B, secure bool)) {
	for name, secure := range map[string]bool{"http": false, "https": true} {
		b.Run(name, func(b *testing.B) { f(b, secure) })
	}
}

func BenchmarkUploadLarge(b *testing.B) {
	eachScheme(b, func(b *testing.B, secure bool) {
		c := benchContainer(b, secure, PoolOptions{Transfers: 8})
		src, size := blobsink.Pattern.Content(), int64(1<<30)
		b.SetBytes(size)
		start := cpu()
		for b.Loop() {
			if _, err := c.Upload(b.Context(), "large", src, size, UploadOptions{Condition: Overwrite()}); err != nil {
				b.Fatal(err)
			}
		}
		reportCPU(b, start, size)
	})
}

func BenchmarkDownloadLarge(b *testing.B) {
	eachScheme(b, func(b *testing.B, secure bool) {
		c := benchContainer(b, secure, PoolOptions{Transfers: 8})
		size := int64(1 << 30)
		info, err := c.Upload(b.Context(), "large", blobsink.Pattern.Content(), size, UploadOptions{Condition: Overwrite()})
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(size)
		start := cpu()
		for b.Loop() {
			if _, err := c.Download(b.Context(), "large", nowhere{}, DownloadOptions{ETag: info.ETag, Size: size, CRC64: info.CRC64, CheckCRC64: true}); err != nil {
				b.Fatal(err)
			}
		}
		reportCPU(b, start, size)
	})
}

func BenchmarkUploadSmall(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			c := benchContainer(b, false, PoolOptions{Transfers: 16})
			data := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			start := cpu()
			inParallel(b, 16, func(ctx context.Context, i int) error {
				_, err := c.Upload(ctx, Name(fmt.Sprint("small/", i)), bytes.NewReader(data), int64(size), UploadOptions{Condition: Overwrite()})
				return err
			})
			reportCPU(b, start, int64(size))
		})
	}
}

func BenchmarkDownloadSmall(b *testing.B) {
	c := benchContainer(b, false, PoolOptions{Transfers: 16})
	const size = 64 << 10
	info := mustUploadBench(b, c, size)
	b.SetBytes(size)
	b.ReportAllocs()
	start := cpu()
	inParallel(b, 16, func(ctx context.Context, _ int) error {
		_, err := c.Download(ctx, info.Name, nowhere{}, DownloadOptions{ETag: info.ETag, Size: size, CRC64: info.CRC64, CheckCRC64: true})
		return err
	})
	reportCPU(b, start, size)
}

// BenchmarkBarePut is the limit: net/http alone, on the transport of the pool.
func BenchmarkBarePut(b *testing.B) {
	for _, size := range []int{64 << 10, defaultBlock} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			c := benchContainer(b, false, PoolOptions{Transfers: 16})
			data := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			start := cpu()
			inParallel(b, 16, func(ctx context.Context, i int) error {
				req, err := http.NewRequestWithContext(ctx, http.MethodPut, fmt.Sprint(c.url, "/bare/", i), bytes.NewReader(data))
				if err != nil {
					return err
				}
				resp, err := c.pool.transport.RoundTrip(req)
				if err != nil {
					return err
				}
				return resp.Body.Close()
			})
			reportCPU(b, start, int64(size))
		})
	}
}

// inParallel runs f for each of the benchmark's operations on so many
// goroutines.
func inParallel(b *testing.B, goroutines int, f func(ctx context.Context, i int) error) {
	work := make(chan int)
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for i := range work {
				if err := f(b.Context(), i); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := 0; b.Loop(); i++ {
		work <- i
	}
	close(work)
	all.Wait()
}

func mustUploadBench(b *testing.B, c *Container, size int64) Info {
	info, err := c.Upload(b.Context(), "small", blobsink.Pattern.Content(), size, UploadOptions{Condition: Overwrite()})
	if err != nil {
		b.Fatal(err)
	}
	return info
}

// nowhere is a destination that takes everything.
type nowhere struct{}

func (nowhere) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
