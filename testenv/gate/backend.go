package gate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
)

// A backend is the way to the blob server. As at a real service, what has arrived whole
// is done, whether or not the client waits for the answer, and of what has not, the
// server never hears: Azurite, which writes a body to where the next one goes while it
// comes, is not to be trusted with half of one.
type backend struct {
	transport *http.Transport
	ctx       context.Context // of the gate

	mu    sync.Mutex // guards all below
	isCut bool
	asked sync.WaitGroup // requests without an answer; grows only while it is not cut
}

var errCut = errors.New("the server is cut off")

// RoundTrip ends with the gate, and not with the request's context, which is the client's.
func (b *backend) RoundTrip(r *http.Request) (*http.Response, error) {
	out, err := whole(r)
	if err != nil {
		return nil, err
	}
	if !b.enter() {
		return nil, errCut
	}
	defer b.asked.Done()
	answer, err := b.transport.RoundTrip(out.WithContext(b.ctx))
	if err != nil {
		return nil, err
	}
	answer.Request = r
	return answer, nil
}

// whole is the request with a body that has arrived.
func whole(r *http.Request) (*http.Request, error) {
	if r.Body == nil {
		return r, nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	out := *r
	out.Body = io.NopCloser(bytes.NewReader(body))
	return &out, nil
}

func (b *backend) enter() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.isCut {
		b.asked.Add(1)
	}
	return !b.isCut
}

func (b *backend) cutOff() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.isCut
}

func (b *backend) setCut(cut bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.isCut = cut
}

// settle waits until the server has answered everything. Nothing new may come.
func (b *backend) settle() {
	b.asked.Wait()
	b.transport.CloseIdleConnections()
}
