package copytool

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
)

// A rig is an agent between a file system and a container in memory.
type rig struct {
	*fakeLustre
	store *fakeStore
	agent *Agent
	log   *logBuffer

	drain context.CancelFunc // the first signal
	kill  context.CancelFunc // the second
	done  chan error         // what Serve returned
}

// newRig starts an agent; adjust may change its options. When the test is
// over the agent must stop, and every action sent must have ended once.
func newRig(t *testing.T, adjust ...func(*Options)) *rig {
	t.Helper()
	r := prepareRig(t, adjust...)
	r.serve()
	t.Cleanup(func() {
		r.drain()
		if err := <-r.done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if t.Failed() {
			t.Logf("log of the agent:\n%s", r.log)
		}
	})
	return r
}

func prepareRig(t *testing.T, adjust ...func(*Options)) *rig {
	t.Helper()
	r := &rig{fakeLustre: newFakeLustre(t), store: newFakeStore(t), log: &logBuffer{}, done: make(chan error, 1)}
	o := Options{
		FSName:   "lustre",
		Archives: []*Archive{{ID: 1, Account: "acct", Container: "ctr", Store: r.store}},
		Log:      slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range adjust {
		f(&o)
	}
	agent, err := New(o, r.fakeLustre, r.newSession)
	if err != nil {
		t.Fatal(err)
	}
	r.agent = agent
	return r
}

func (r *rig) serve() {
	var accept, work context.Context
	accept, r.drain = context.WithCancel(context.Background())
	work, r.kill = context.WithCancel(context.Background())
	ready := make(chan struct{})
	r.agent.o.Ready = sync.OnceFunc(func() { close(ready) })
	go func() { r.done <- r.agent.Serve(accept, work) }()
	<-ready
}

func (r *rig) archive(fid llapi.FID) {
	r.t.Helper()
	r.want(llapi.ActionArchive, fid, 0)
}

func (r *rig) restore(fid llapi.FID) {
	r.t.Helper()
	r.want(llapi.ActionRestore, fid, 0)
}

// want does an action and compares what it ended with.
func (r *rig) want(action llapi.Action, fid llapi.FID, errno syscall.Errno) {
	r.t.Helper()
	if got := r.do(action, fid); got != errno {
		r.t.Errorf("%s of %s ended with errno %d (%v), want %d; the log:\n%s", action, fid, int(got), got, int(errno), r.log)
	}
}

func (r *rig) wantBlob(n blobstore.Name, content string) {
	r.t.Helper()
	if got, ok := r.store.content(n); !ok || got != content {
		r.t.Errorf("blob %q: %q, %t; want %q. There are %q", n, got, ok, content, r.store.names())
	}
}

func (r *rig) wantNoBlob(n blobstore.Name) {
	r.t.Helper()
	if got, ok := r.store.content(n); ok {
		r.t.Errorf("blob %q: %q; want none", n, got)
	}
}

func (r *rig) wantContent(fid llapi.FID, content string) {
	r.t.Helper()
	if got := r.content(fid); got != content {
		r.t.Errorf("content of %s: %.80q, want %.80q", fid, got, content)
	}
}

// wantCode looks for the code in the file's last error.
func (r *rig) wantCode(fid llapi.FID, code Code) {
	r.t.Helper()
	v, ok := r.xattr(fid, ErrorXattr)
	if !ok || !strings.Contains(string(v), `"code":"`+string(code)+`"`) {
		r.t.Errorf("last error of %s: %q, want code %s", fid, v, code)
	}
}

// stop drains the agent and waits for its end.
func (r *rig) stop() {
	r.t.Helper()
	r.drain()
	err := <-r.done
	r.done <- nil
	if err != nil {
		r.t.Errorf("Serve: %v", err)
	}
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu    sync.Mutex // guards all below
	b     bytes.Buffer
	grown chan struct{} // closed at the next line; nil if nobody waits
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.grown != nil {
		close(l.grown)
		l.grown = nil
	}
	return l.b.Write(p)
}

// wait waits until the log has the text.
func (l *logBuffer) wait(t *testing.T, text string) {
	t.Helper()
	for {
		l.mu.Lock()
		found := strings.Contains(l.b.String(), text)
		if l.grown == nil {
			l.grown = make(chan struct{})
		}
		grown := l.grown
		l.mu.Unlock()
		if found {
			return
		}
		select {
		case <-grown:
		case <-time.After(time.Minute):
			t.Fatalf("no %q in the log:\n%s", text, l)
		}
	}
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
