package jobs_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"lhsm-azblob/jobs"
	"lhsm-azblob/llapi"
	"lhsm-azblob/testenv"
)

// serviceDB is the variable that makes this binary a service on the database that it names.
const serviceDB = "JOBS_TEST_SERVICE"

func TestMain(m *testing.M) {
	if path := os.Getenv(serviceDB); path != "" {
		serve(path)
		return
	}
	os.Exit(m.Run())
}

// serve is a service that lasts until it is killed.
func serve(path string) {
	o := jobs.Options{Mount: os.Getenv("LUSTRE_MOUNT"), Path: path}
	o.Quick()
	m, err := jobs.Open(o)
	if err == nil {
		err = m.Run(context.Background())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// startService starts one in a process of its own.
func startService(t *testing.T, db string) *testenv.Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), serviceDB+"="+db)
	cmd.Stderr = os.Stderr
	return testenv.Run(t, cmd)
}

// TestKill kills the service again and again while it works, each time when
// some more files have been archived. In the end every file has been archived,
// once, and counted, once.
func TestKill(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	const count, before = 1500, 100
	for i := range count / 100 {
		l.Command("bulk-create", "/", fmt.Sprintf("f%d-", i), "0", "100", "4096")
	}
	step := make(chan struct{}, count) // a token for each archive that ended
	c := startFake(t, l, func(llapi.ActionItem) *failure { step <- struct{}{}; return nil }, 1)
	for i := range before { // these are archived before the job
		if err := llapi.SetState(l.Path(fmt.Sprintf("f0-%d", i)), llapi.HSExists|llapi.HSArchived, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	db := filepath.Join(t.TempDir(), "jobs.db")
	open := func() *jobs.Manager {
		o := jobs.Options{Mount: l.Mount(), Path: db}
		o.Quick()
		m, err := jobs.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := open()
	id := create(t, m, jobs.Spec{ReportAll: true}).ID
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	kills := 0
	for done := 0; done < count-before-300; kills++ {
		p := startService(t, db)
		for range 1 + rand.IntN(250) { // a kill at any moment
			<-step
			done++
		}
		p.Signal(syscall.SIGKILL)
		p.Wait()
	}
	m = open()
	defer m.Close()
	work(t, m)
	job := awaitEnd(t, m, id)
	n := job.Counters
	if job.State != jobs.Completed || n.FilesFound != count || n.FilesExported != count-before || n.FilesSubmitted != count-before ||
		n.FilesSkipped != before || n.FilesRetried != 0 || n.BytesExported != (count-before)*4096 {
		t.Errorf("after %d kills: %+v", kills, job)
	}
	seen := map[string]bool{}
	for _, r := range collect(t, m, id, false) {
		if r.Status != jobs.StatusExported || seen[r.Path] || r.Attempts != 1 {
			t.Errorf("result: %+v, seen %v", r, seen[r.Path])
		}
		seen[r.Path] = true
	}
	if len(seen) != count-before || c.most() != 1 {
		t.Errorf("%d results, and at most %d requests for a file", len(seen), c.most())
	}
	t.Logf("%d kills", kills)
}

// TestKillWhileCancelling: a job that was being cancelled is, by the next process.
func TestKillWhileCancelling(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	files(t, l, "d", 10)
	_, gate := heldCopytool(t, l, 0)
	defer close(gate)
	db := filepath.Join(t.TempDir(), "jobs.db")
	o := jobs.Options{Mount: l.Mount(), Path: db}
	o.Quick()
	m, err := jobs.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	id := create(t, m, jobs.Spec{}).ID
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- m.Run(ctx) }()
	await(t, m, id, "has submitted everything", func(j jobs.Job) bool { return j.Counters.FilesSubmitted == 10 })
	if _, err := m.Cancel(t.Context(), id, true); err != nil { // drains, and nothing ends
		t.Fatal(err)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m = openManager(t, l, func(o *jobs.Options) { o.Path = db })
	job, err := m.Job(t.Context(), id)
	if err != nil || job.State != jobs.Cancelling {
		t.Errorf("after the restart: %+v, %v", job, err)
	}
	work(t, m)
	if _, err := m.Cancel(t.Context(), id, false); err != nil {
		t.Fatal(err)
	}
	if job := awaitEnd(t, m, id); job.State != jobs.Canceled || job.Counters.FilesLeft != 10 || job.Counters.FilesFound != 10 {
		t.Errorf("job: %+v", job)
	}
}
