package main

import (
	"bufio"
	"bytes"
	"testing"
	"time"
)

// FuzzEvents: a stream of anything comes to an end, and an event has a kind.
func FuzzEvents(f *testing.F) {
	f.Add([]byte("retry: 1000\n\n: alive\n\nevent: job\nid: 1\ndata: {\"id\":7}\n\n"))
	f.Add([]byte("event: job\ndata: {\n\n"))
	f.Add([]byte("event:\n\nid\n\ndata: 1\n\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		e := &eventStream{lines: bufio.NewScanner(bytes.NewReader(stream)), quiet: time.NewTimer(time.Hour)}
		defer e.quiet.Stop()
		for {
			next, err := e.next()
			if err != nil {
				return
			}
			if next.kind == "" {
				t.Errorf("an event without a kind in %q", stream)
			}
		}
	})
}
