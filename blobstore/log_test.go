package blobstore

import (
	"bytes"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lhsm-azblob/testenv/azurite"
)

// lockedBuffer is a log of several goroutines.
type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// At debug each request is a line: which block, which range, and the number that
// Azure's support asks for; never with what signs it. Else none is.
func TestRequestsInTheLog(t *testing.T) {
	u := azurite.Start(t).NewContainer(t)
	sas := newSASFor(t, u, allPerms, time.Now().Add(time.Hour))
	for _, level := range []slog.Level{slog.LevelInfo, slog.LevelDebug} {
		log := &lockedBuffer{}
		p := newPool(t, PoolOptions{Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: level}))})
		c := open(t, p, ContainerOptions{URL: u, Credential: Credential{Mode: ModeSAS, SAS: sas}})
		data := slices.Concat(make([]byte, testBlock), randomBytes(testBlock+1))
		wantContent(t, c, mustUpload(t, c, "a b", data, UploadOptions{Condition: Overwrite()}), data)
		got := log.String()
		if level == slog.LevelInfo {
			if got != "" {
				t.Errorf("the log has %q", got)
			}
			continue
		}
		for _, want := range []string{"op=put-block ", " block=zeros ", " block=2 ", "/a b\"", "op=put-block-list", "op=get-blob", "range=\"bytes=65536-131071\"", "status=201", "request_id="} {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in\n%s", want, got)
			}
		}
		token, err := url.ParseQuery(string(sas))
		if err != nil || token.Get("sig") == "" {
			t.Fatalf("the token has no signature: %v", err)
		}
		for _, secret := range []string{"sig=", "sig%3D", token.Get("sig"), url.QueryEscape(token.Get("sig")), string(sas)} {
			if strings.Contains(got, secret) {
				t.Errorf("%q is in the log:\n%s", secret, got)
			}
		}
	}
}
