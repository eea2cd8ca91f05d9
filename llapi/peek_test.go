package llapi_test

import (
	"context"
	"reflect"
	"syscall"
	"testing"

	"lhsm-azblob/llapi"
)

// Peek returns what Recv will, and takes nothing.
func TestPeek(t *testing.T) {
	w := newWorld(t)
	_, fid := w.file("f", "content")
	w.request(llapi.UserArchive, fid)
	first, ok := w.ct.Peek(t.Context())
	if !ok || len(first.Items) != 1 || first.Items[0].FID != fid {
		t.Fatalf("Peek: %+v, %v", first, ok)
	}
	_, other := w.file("g", "content")
	w.request(llapi.UserArchive, other)
	if again, ok := w.ct.Peek(t.Context()); !ok || !reflect.DeepEqual(again, first) {
		t.Errorf("Peek again: %+v, %v; want %+v", again, ok, first)
	}
	for _, want := range []llapi.FID{fid, other} {
		seen, ok := w.ct.Peek(t.Context())
		list, err := w.ct.Recv(t.Context())
		if err != nil || !ok || !reflect.DeepEqual(seen, list) || list.Items[0].FID != want {
			t.Errorf("Recv: %+v, %v; was announced as %+v", list, err, seen)
		}
		w.ok(w.ct.Fail(list.Items[0], 0, syscall.EIO))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if list, ok := w.ct.Peek(ctx); ok {
		t.Errorf("Peek of nothing: %+v", list)
	}
}
