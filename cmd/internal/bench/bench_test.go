package bench

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/testenv/blobsink"
)

func TestSuggest(t *testing.T) {
	r := func(op string, size int64, requests, blobs int, busy int) Result {
		return Result{Op: op, Size: size, Requests: requests, Blobs: blobs, Busy: busy, Seconds: 1, CPU: 0.5}
	}
	for _, tt := range []struct {
		name    string
		results []Result
		want    Suggestion
	}{
		{"nothing", nil, Suggestion{Memory: 1 << 30}},
		{
			"small blobs need more than large ones, and reads more than writes",
			[]Result{
				r(Write, 4096, 8, 800, 0), r(Write, 4096, 32, 1000, 0), r(Write, 4096, 96, 1020, 0),
				r(Read, 4096, 8, 800, 0), r(Read, 4096, 32, 900, 0), r(Read, 4096, 96, 1800, 0),
				r(Write, 1<<30, 8, 1, 0), r(Write, 1<<30, 96, 1, 0), r(Read, 1<<30, 96, 2, 0),
			},
			Suggestion{Transfers: 96, Actions: 96, Memory: 1 << 30, GiBPerSecond: 8},
		},
		{
			"as good is good enough",
			[]Result{r(Write, 1<<30, 8, 95, 0), r(Write, 1<<30, 96, 100, 7), r(Write, 1<<30, 200, 10, 9)},
			Suggestion{Transfers: 8, Actions: 8, Memory: 1 << 30, GiBPerSecond: 760},
		},
		{
			"the service refuses",
			[]Result{r(Write, 1<<30, 200, 1, 7)},
			Suggestion{Transfers: 200, Actions: 200, Memory: 2 << 30, GiBPerSecond: 8, Busy: true},
		},
	} {
		if got := Suggest(tt.results, 4, 0); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
	if got := Suggest([]Result{r(Write, 1<<30, 100, 1, 0)}, 4, 64<<20).Memory; got != 8<<30 {
		t.Errorf("104 blocks of 64 MiB want %d bytes", got)
	}
}

func TestQuantile(t *testing.T) {
	var times []time.Duration
	if got := quantile(times, 50); got != 0 {
		t.Errorf("of none: %v", got)
	}
	for i := range 200 {
		times = append(times, time.Duration(i+1))
	}
	if p50, p99, one := quantile(times, 50), quantile(times, 99), quantile(times[:1], 99); p50 != 100 || p99 != 198 || one != 1 {
		t.Errorf("of 1 to 200: %d and %d; of 1: %d", p50, p99, one)
	}
}

// behind is a Bench whose requests pass a function on their way to a sink.
func behind(t *testing.T, pass func(http.ResponseWriter, *http.Request, http.Handler)) (*Bench, *blobsink.Server) {
	t.Helper()
	sink := blobsink.Start(t, blobsink.Zeros, false)
	to, err := url.Parse(strings.TrimSuffix(sink.StatsURL(), "/-/stats"))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ErrorLog = log.New(io.Discard, "", 0) // clients that go away
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { pass(w, r, proxy) })}
	go func() { _ = server.Serve(l) }() // ends with Close
	t.Cleanup(func() { _ = server.Close() })
	return New(Options{
		Container: blobstore.ContainerOptions{
			URL:        "http://" + l.Addr().String() + "/sink/data",
			Credential: blobstore.Credential{Mode: blobstore.ModeSharedKey, AccountKey: "a2V5"},
		},
		Pool:  blobstore.PoolOptions{Retries: -1},
		Sizes: []int64{4096}, Requests: []int{4}, Time: time.Minute,
	}), sink
}

// TestAnErrorLeavesNothing: neither what was written before it, nor a blob whose
// answer never came.
func TestAnErrorLeavesNothing(t *testing.T) {
	puts := make(chan struct{}, 100)
	b, sink := behind(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPut && r.Header.Get("If-Match") == "" {
			select {
			case puts <- struct{}{}:
			default:
				next.ServeHTTP(discarded{http.Header{}}, r)
				refuse(w)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
	err := b.Run(t.Context(), func(Result) {})
	if err == nil {
		t.Error("no error")
	}
	st := sink.Stats()
	// The error cancels what is in flight, and a few of the hundred may not have reached
	// the sink by then.
	if st.Blobs != 0 || st.Requests["put-blob"] < 90 {
		t.Errorf("%d of %d blobs are left: %v", st.Blobs, st.Requests["put-blob"], err)
	}
}

// TestWhatCannotBeDeletedIsNotWritten, but for one byte.
func TestWhatCannotBeDeletedIsNotWritten(t *testing.T) {
	b, sink := behind(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodDelete && r.Header.Get("If-Match") == "" {
			refuse(w)
			return
		}
		next.ServeHTTP(w, r)
	})
	err := b.Run(t.Context(), func(Result) {})
	if st := sink.Stats(); !errors.Is(err, blobstore.ErrPermission) || st.BytesIn != 1 {
		t.Errorf("%v, after %d bytes", err, st.BytesIn)
	}
}

// TestALateBlobIsFound: one that was written behind the back of its delete.
func TestALateBlobIsFound(t *testing.T) {
	var once sync.Once
	b, sink := behind(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(w, r)
		if r.Method == http.MethodDelete && r.Header.Get("If-Match") == "" {
			once.Do(func() {
				next.ServeHTTP(discarded{http.Header{}}, httptest.NewRequest(http.MethodPut, r.URL.String(), nil))
			})
		}
	})
	b.options.Time = time.Millisecond
	if err := b.Run(t.Context(), func(Result) {}); !errors.Is(err, blobstore.ErrChecksum) { // the sink does not keep bytes
		t.Error(err)
	}
	st := sink.Stats()
	if st.Blobs != 0 {
		t.Errorf("%d blobs are left after %v", st.Blobs, st.Requests)
	}
}

// refuse answers as the service does who may not.
func refuse(w http.ResponseWriter) {
	w.Header().Set("x-ms-error-code", "AuthorizationPermissionMismatch")
	w.Header().Set("x-ms-request-id", "1")
	w.WriteHeader(http.StatusForbidden)
}

// discarded takes an answer that nobody gets.
type discarded struct{ header http.Header }

func (d discarded) Header() http.Header       { return d.header }
func (discarded) Write(p []byte) (int, error) { return len(p), nil }
func (discarded) WriteHeader(int)             {}

// TestWhatIsLeftIsTold: somebody must know where to look.
func TestWhatIsLeftIsTold(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b, _ := behind(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/4096-4/") {
			refuse(w)
			return
		}
		next.ServeHTTP(w, r)
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/4096-4/") {
			cancel()
		}
	})
	err := b.Run(ctx, func(Result) {})
	if !errors.Is(err, blobstore.ErrPermission) || !strings.Contains(err.Error(), "left below "+b.Scratch()+"/4096-4/") {
		t.Errorf("error is %v", err)
	}
}
