package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// signals gives two contexts: accept ends with the first signal, which lets
// actions go on to their end, and work with the second, which does not. A
// third one has its usual effect. stopping is called at the first.
func signals(ctx context.Context, stopping func()) (accept, work context.Context, stop func()) {
	accept, endAccept := context.WithCancel(ctx)
	work, endWork := context.WithCancel(context.WithoutCancel(ctx))
	received := make(chan os.Signal, 2)
	signal.Notify(received, syscall.SIGTERM, syscall.SIGINT)
	done := make(chan struct{})
	go func() { // ends with stop
		for _, end := range []func(){func() { stopping(); endAccept() }, endWork} {
			select {
			case <-received:
				end()
			case <-done:
				return
			}
		}
		signal.Stop(received)
	}()
	return accept, work, func() {
		signal.Stop(received)
		close(done)
		endAccept()
		endWork()
	}
}
