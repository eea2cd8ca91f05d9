package admin

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func listen(t *testing.T, h Handler) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	s, err := Listen(path, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return path
}

func TestCall(t *testing.T) {
	socket := listen(t, func(_ context.Context, args []string) Response {
		return Response{Stdout: strings.Join(args, "+"), Stderr: "note", Code: 3}
	})
	got, err := Call(context.Background(), socket, "one", "two words")
	if want := (Response{Stdout: "one+two words", Stderr: "note", Code: 3}); err != nil || got != want {
		t.Errorf("Call = %+v, %v, want %+v", got, err, want)
	}
}

func TestNobodyListens(t *testing.T) {
	if _, err := Call(context.Background(), filepath.Join(t.TempDir(), "none"), "x"); err == nil {
		t.Error("Call reached nobody and succeeded")
	}
}

func TestClosingTheConnectionCancels(t *testing.T) {
	running, cancelled := make(chan struct{}), make(chan struct{})
	socket := listen(t, func(ctx context.Context, _ []string) Response {
		close(running)
		<-ctx.Done()
		close(cancelled)
		return Response{}
	})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-running
		cancel()
	}()
	if _, err := Call(ctx, socket, "wait-idle"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled Call: %v", err)
	}
	<-cancelled
}

func TestServerCloseEndsCommands(t *testing.T) {
	running := make(chan struct{})
	s, err := Listen(filepath.Join(t.TempDir(), "s"), func(ctx context.Context, _ []string) Response {
		close(running)
		<-ctx.Done()
		return Response{}
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_, _ = Call(context.Background(), s.listener.Addr().String(), "wait-idle")
		close(ended)
	}()
	<-running
	s.Close()
	<-ended
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		`/mnt/a\040b`: "/mnt/a b", `/mnt/\134x`: `/mnt/\x`, `/plain`: "/plain", `/end\04`: `/end\04`, `/bad\049`: `/bad\049`,
	} {
		if got := unescape(in); got != want {
			t.Errorf("unescape(%s) = %s, want %s", in, got, want)
		}
	}
}

func TestSocketOfNoStandIn(t *testing.T) {
	if _, err := Socket(t.TempDir()); err == nil {
		t.Error("found a stand-in behind a plain directory")
	}
}
