package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"lhsm-azblob/testenv/azurite"
)

// The demo reads NAME=value lines up to "ready", and then uses what they say.
func TestRunTellsHowToReachIt(t *testing.T) {
	azurite.Start(t) // skips where there is none
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"--container", "demo"}, w)
		w.CloseWithError(err)
		ended <- err
	}()
	said := map[string]string{}
	lines := bufio.NewScanner(r)
	for lines.Scan() && lines.Text() != "ready" {
		name, value, _ := strings.Cut(lines.Text(), "=")
		said[name] = value
	}
	for _, name := range []string{"AZURITE_ENDPOINT", "AZURITE_ACCOUNT", "AZURITE_KEY", "AZURITE_CONNECTION_STRING"} {
		if said[name] == "" {
			t.Errorf("%s is not told", name)
		}
	}
	if want := said["AZURITE_ENDPOINT"] + "/demo"; said["AZURITE_CONTAINER"] != want {
		t.Fatalf("container is %q, want %q", said["AZURITE_CONTAINER"], want)
	}
	resp, err := http.Get(said["AZURITE_CONTAINER"] + "?restype=container&comp=list")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.Header.Get("Server") == "" {
		t.Errorf("something else than Azurite answers: %v", resp.Header)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("stopped with %v", err)
	}
}
