package blobstore

import "context"

type observerKey struct{}

// Observed gives a context whose requests are told to observe, beside the pool's
// Observe and as that is. It takes a pool with [PoolOptions.Traced]: those without
// do not look for it.
func Observed(ctx context.Context, observe func(RequestEvent)) context.Context {
	return context.WithValue(ctx, observerKey{}, observe)
}

// traced tells the context's observer of a request, if there is one.
func (x *exchange) traced(e RequestEvent) {
	if !x.pool.options.Traced {
		return
	}
	if observe, ok := x.request.Context().Value(observerKey{}).(func(RequestEvent)); ok {
		e.ClientRequestID = x.request.Header.Get("x-ms-client-request-id")
		observe(e)
	}
}
