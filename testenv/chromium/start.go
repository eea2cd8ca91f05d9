package chromium

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"lhsm-azblob/testenv"
)

// patience is how long an event may take that must come.
const patience = 2 * time.Minute

// A Browser is a running Chromium with a profile of its own.
type Browser struct {
	t    testing.TB
	pipe *pipe
}

// Start starts a Chromium that lasts as long as the test. Where none can be
// had the test is skipped, or fails if TESTENV_REQUIRE names chromium.
func Start(t testing.TB) *Browser {
	t.Helper()
	if _, err := testenv.Install("chromium"); err != nil {
		testenv.Missing(t, "chromium", err)
	}
	theirs, ours := bothEnds(t)
	profile := t.TempDir()
	// Nothing but what the test opens may be loaded, and no service of the vendor's asked.
	cmd := exec.CommandContext(context.Background(), "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--disable-dev-shm-usage", "--ignore-certificate-errors", "--user-data-dir="+profile, "--remote-debugging-pipe")
	cmd.Env = append(os.Environ(), "HOME="+profile, "LC_ALL=C.UTF-8", "TZ=UTC")
	cmd.ExtraFiles = theirs
	var log bytes.Buffer
	cmd.Stderr = &log
	process := testenv.Run(t, cmd)
	for _, f := range theirs {
		f.Close()
	}
	b := &Browser{t: t, pipe: newPipe(ours[0], ours[1])}
	t.Cleanup(func() {
		b.pipe.close()
		<-process.Done() // it ends with the pipe
		if t.Failed() {
			t.Logf("log of chromium:\n%s", log.String())
		}
	})
	return b
}

// bothEnds makes the two pipes: descriptors 3 (commands) and 4 (answers) of the
// browser, and our ends of them.
func bothEnds(t testing.TB) (theirs, ours []*os.File) {
	t.Helper()
	commandRead, commandWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	answerRead, answerWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return []*os.File{commandRead, answerWrite}, []*os.File{answerRead, commandWrite}
}
