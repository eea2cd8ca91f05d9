package jobs_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lhsm-azblob/jobs"
	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/azurite"
)

// A realCopytool starts ours, on a container of its own.
type realCopytool struct {
	t    *testing.T
	args []string
}

func newRealCopytool(t *testing.T, l *testenv.Lustre) *realCopytool {
	t.Helper()
	server := azurite.Start(t)
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(server.AccountKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return &realCopytool{t, []string{
		"--container-url", server.NewContainer(t), "--auth", "shared-key", "--account-key-file", key,
		"--run-dir", t.TempDir(), "--state-dir", t.TempDir(), l.Mount(),
	}}
}

func (c *realCopytool) start() *testenv.Process {
	c.t.Helper()
	return testenv.Run(c.t, exec.CommandContext(c.t.Context(), testenv.Binary(c.t, "./cmd/lhsmtool_azblob"), c.args...))
}

// TestOurCopytool archives with the real one, which is killed in the middle. The
// job waits for the next, and lists which blob each file became.
func TestOurCopytool(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	const count = 300
	for i := range count {
		write(t, l.Path("d", fmt.Sprint("f", i)))
	}
	ours := newRealCopytool(t, l)
	first := ours.start()
	m := openManager(t, l, nil)
	work(t, m)
	id := create(t, m, jobs.Spec{ReportAll: true}).ID
	await(t, m, id, "has exported some", func(j jobs.Job) bool { return j.Counters.FilesExported > 20 })
	first.Signal(syscall.SIGKILL)
	first.Wait()
	// A list that it had not even begun to read has died in its pipe: nobody but the coordinator knows of it.
	l.SetParam("mdt.*.hsm.active_request_timeout", "15")
	job, err := m.Job(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if !job.State.Finished() {
		await(t, m, id, "waits", func(j jobs.Job) bool { return j.WaitsFor != "" || j.State.Finished() })
	}
	ours.start()
	job = awaitEnd(t, m, id)
	if job.State != jobs.Completed || job.Counters.FilesExported != count {
		t.Errorf("job: %+v", job)
	}
	results := collect(t, m, id, false)
	for _, r := range results {
		if r.Status != jobs.StatusExported || r.ETag == "" {
			t.Errorf("result: %+v", r)
		}
	}
	if len(results) != count {
		t.Errorf("%d results", len(results))
	}
	e, err := m.Explain(t.Context(), "/d/f7")
	if err != nil || e.WouldArchive || e.Copy == nil || e.Copy.Blob != "d/f7" || e.Copy.ETag == "" || e.Copy.Size != 7 {
		t.Errorf("explain: %+v, %+v, %v", e, e.Copy, err)
	}
}

// TestReasonOnTheFile: why our copytool failed is read from the file.
func TestReasonOnTheFile(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{NoPassthrough: true}) // for the fault
	write(t, l.Path("good"), l.Path("bad"))
	l.Fault("read", "errno=EIO", "path=/bad")
	newRealCopytool(t, l).start()
	m := openManager(t, l, nil)
	work(t, m)
	job := awaitEnd(t, m, create(t, m, jobs.Spec{}).ID)
	if job.State != jobs.CompletedPartial || job.Counters.FilesExported != 1 || job.Counters.FilesFailed != 1 {
		t.Fatalf("job: %+v", job)
	}
	if s := totals(t, m).Since; s.FilesExported != 1 || s.FilesFailed != 1 || s.Ended[jobs.CompletedPartial] != 1 {
		t.Errorf("totals: %+v", s)
	}
	if r := job.FirstErrors[0]; r.Path != "/bad" || r.ErrorCode != "LustreError" || !strings.Contains(r.Message, "input/output error") {
		t.Errorf("failure: %+v", r)
	}
}

// TestRemount: the client goes away in the middle of a job, and comes back.
func TestRemount(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	for i := range 200 {
		write(t, l.Path("d", fmt.Sprint("f", i)))
	}
	_, gate := heldCopytool(t, l, 50)
	defer close(gate)
	m := openManager(t, l, nil)
	work(t, m)
	id := create(t, m, jobs.Spec{}).ID
	await(t, m, id, "has exported some", func(j jobs.Job) bool { return j.Counters.FilesExported == 50 })
	l.Kill()
	await(t, m, id, "waits", func(j jobs.Job) bool { return strings.Contains(j.WaitsFor, "not connected") })
	l.Restart()
	l.SetParam("mdt.*.hsm.active_request_timeout", "10") // what ran is lost, and what runs now is not
	startFake(t, l, nil, 1)
	job := awaitEnd(t, m, id)
	if n := job.Counters; job.State != jobs.Completed || n.FilesExported != 200 || n.FilesFound != 200 || n.FilesSkipped != 0 {
		t.Errorf("job: %+v", job)
	}
}
