package jobs_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"lhsm-azblob/jobs"
	"lhsm-azblob/llapi"
	"lhsm-azblob/testenv"
)

// files makes n files in a directory and returns their FIDs by path.
func files(t *testing.T, l *testenv.Lustre, dir string, n int) map[string]llapi.FID {
	t.Helper()
	fids := map[string]llapi.FID{}
	for i := range n {
		name := fmt.Sprintf("%s/f%04d", dir, i)
		write(t, l.Path(name))
		fids["/"+name] = fidOf(t, l.Path(name))
	}
	return fids
}

// requests counts the archive requests that the coordinator has, in any state.
func requests(l *testenv.Lustre, status string) (n int) {
	for line := range strings.Lines(l.GetParam("mdt.*.hsm.actions")) {
		if strings.Contains(line, "action=ARCHIVE") && strings.Contains(line, "status="+status) {
			n++
		}
	}
	return n
}

// TestNobodyServes: requests for an archive id without a copytool would stop
// those of all others, so there is one, and the job says what it waits for.
func TestNobodyServes(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{Mounts: 2, Params: map[string]string{"mdt.*.hsm.max_requests": "3"}})
	files(t, l, "d", 200)
	write(t, l.Path("other"))
	startFake(t, l, nil, 1)
	m := openManager(t, l, nil)
	work(t, m)
	id := create(t, m, jobs.Spec{ArchiveID: 7, Prefixes: []string{"/d"}}).ID
	waits := func(j jobs.Job) bool {
		return strings.Contains(j.WaitsFor, "no copytool seems to serve archive id 7")
	}
	job := await(t, m, id, "waits for a copytool", waits)
	if n := requests(l, "WAITING"); n != 1 || job.Counters.FilesSubmitted != 1 {
		t.Errorf("%d requests wait, %d were submitted, want a probe", n, job.Counters.FilesSubmitted)
	}
	if r := l.Lfs("hsm_archive", l.Path("other")); r.Code != 0 {
		t.Fatal(r)
	}
	for state := llapi.StateFlags(0); state&llapi.HSArchived == 0; { // the other id is served all the while
		s, err := llapi.GetState(l.Path("other"))
		if err != nil {
			t.Fatal(err)
		}
		state = s.Flags
	}
	startFakeAt(t, l.Mounts()[1], nil, 7) // a mount is one agent
	if job := awaitEnd(t, m, id); job.State != jobs.Completed || job.Counters.FilesExported != 200 {
		t.Errorf("job: %+v", job)
	}
}

// TestBusyFiles: one file changes once, another always, a third fails for good.
func TestBusyFiles(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	fids := files(t, l, "d", 20)
	once, always, leased, quiet := fids["/d/f0003"], fids["/d/f0004"], fids["/d/f0005"], fids["/d/f0006"]
	var c *fakeCopytool
	ready := make(chan struct{})
	c = startFake(t, l, func(item llapi.ActionItem) *failure {
		<-ready
		switch {
		case item.FID == always, item.FID == once && c.count(once) == 1:
			return &failure{"FileChanged", syscall.EBUSY}
		case item.FID == leased:
			return &failure{"BlobLeased", syscall.ETXTBSY}
		case item.FID == quiet && c.count(quiet) == 1:
			return &failure{"", syscall.EIO} // as a copytool that notes nothing
		}
		return nil
	}, 1)
	close(ready)
	m := openManager(t, l, nil)
	work(t, m)
	retries := 2
	job := awaitEnd(t, m, create(t, m, jobs.Spec{Retries: &retries}).ID)
	n := job.Counters
	if job.State != jobs.CompletedPartial || n.FilesExported != 18 || n.FilesFailed != 2 || n.FilesChangedDuringCopy != 1 || n.FilesRetried != 4 || n.FilesSubmitted != 20 {
		t.Errorf("job: %+v", job)
	}
	if c.count(once) != 2 || c.count(always) != 3 || c.count(leased) != 1 || c.count(quiet) != 2 {
		t.Errorf("attempts: %d, %d, %d, %d", c.count(once), c.count(always), c.count(leased), c.count(quiet))
	}
	results := collect(t, m, job.ID, true)
	slices.SortFunc(results, func(a, b jobs.FileResult) int { return strings.Compare(a.Path, b.Path) })
	if len(results) != 2 || results[0].Path != "/d/f0004" || results[0].Status != jobs.StatusChanged || results[0].Attempts != 3 ||
		results[1].Path != "/d/f0005" || results[1].Status != jobs.StatusFailed || results[1].ErrorCode != "BlobLeased" || results[1].Message != "said the test" {
		t.Errorf("failures: %+v", results)
	}
	if len(job.FirstErrors) != 2 {
		t.Errorf("FirstErrors: %+v", job.FirstErrors)
	}
}

// TestRetry takes only the failures, wherever the files are by then.
func TestRetry(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	fids := files(t, l, "d", 10)
	bad := fids["/d/f0002"]
	var mu sync.Mutex
	broken := true
	c := startFake(t, l, func(item llapi.ActionItem) *failure {
		mu.Lock()
		defer mu.Unlock()
		if broken && item.FID == bad {
			return &failure{"BlobImmutable", syscall.EROFS}
		}
		return nil
	}, 1)
	m := openManager(t, l, nil)
	work(t, m)
	first := awaitEnd(t, m, create(t, m, jobs.Spec{Prefixes: []string{"/d", "/nothing"}}).ID)
	if first.State != jobs.CompletedPartial || first.Counters.FilesFailed != 2 {
		t.Fatalf("first: %+v", first)
	}
	if got := paths(collect(t, m, first.ID, true)); !slices.Equal(got, []string{"/d/f0002", "/nothing"}) {
		t.Errorf("failures: %q", got)
	}
	mu.Lock()
	broken = false
	mu.Unlock()
	write(t, l.Path("d", "new")) // not of the failures
	if err := os.Rename(l.Path("d", "f0002"), l.Path("moved")); err != nil {
		t.Fatal(err)
	}
	again, err := m.Retry(t.Context(), first.ID)
	if err != nil || again.Spec.RetryOf != first.ID {
		t.Fatalf("Retry: %+v, %v", again, err)
	}
	again = awaitEnd(t, m, again.ID)
	if n := again.Counters; again.State != jobs.CompletedPartial || n.FilesFound != 2 || n.FilesExported != 1 || n.FilesFailed != 1 {
		t.Errorf("again: %+v", again)
	}
	if got := collect(t, m, again.ID, true); len(got) != 1 || got[0].Path != "/nothing" || got[0].ErrorCode != jobs.CodePathNotFound {
		t.Errorf("failures: %+v", got)
	}
	if c.count(bad) != 2 {
		t.Errorf("%d attempts", c.count(bad))
	}
	var invalid *jobs.InvalidError
	done := awaitEnd(t, m, create(t, m, jobs.Spec{}).ID)
	if _, err := m.Retry(t.Context(), done.ID); !errors.As(err, &invalid) {
		t.Errorf("Retry of a job without failures: %v", err)
	}
}

// TestRetryLooksAgain: what a job could not look at is no file, and is looked at again
// as it was asked for.
func TestRetryLooksAgain(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	files(t, l, "d", 1)
	if err := os.Symlink("d", l.Path("link")); err != nil {
		t.Fatal(err)
	}
	m := openManager(t, l, nil)
	work(t, m)
	first := awaitEnd(t, m, create(t, m, jobs.Spec{Prefixes: []string{"/link/x", "/link/y", "/nothing", "/d"}, DryRun: true}).ID)
	if got := paths(collect(t, m, first.ID, true)); !slices.Equal(got, []string{"/link/x", "/link/y", "/nothing"}) || first.Counters.FilesFailed != 3 {
		t.Fatalf("failures: %q, %+v", got, first)
	}
	if err := os.Remove(l.Path("link")); err != nil {
		t.Fatal(err)
	}
	write(t, l.Path("link", "x1"), l.Path("link", "x2", "f"), l.Path("link", "z"), l.Path("nothing1", "f"), l.Path("nothing.txt"))
	again, err := m.Retry(t.Context(), first.ID)
	if err != nil {
		t.Fatal(err)
	}
	again = awaitEnd(t, m, again.ID)
	if got := paths(collect(t, m, again.ID, false)); !slices.Equal(got, []string{"/link/x1", "/link/x2/f", "/link/y", "/nothing.txt", "/nothing1/f"}) {
		t.Errorf("looked at %q", got)
	}
	if n := again.Counters; again.State != jobs.CompletedPartial || n.FilesFound != 5 || n.FilesFailed != 1 {
		t.Errorf("again: %+v", again)
	}
	write(t, l.Path("link", "y")) // the failure of a retry is no other
	last, err := m.Retry(t.Context(), again.ID)
	if err != nil {
		t.Fatal(err)
	}
	if last = awaitEnd(t, m, last.ID); last.State != jobs.Completed || !slices.Equal(paths(collect(t, m, last.ID, false)), []string{"/link/y"}) {
		t.Errorf("last: %+v", last)
	}
}

// TestH06EmptyQueueIsNoEnd: whoever purges the queue takes the job's requests away,
// and nobody says so. The job is done when its files are, not when nothing is queued:
// it finds out and asks again.
func TestH06EmptyQueueIsNoEnd(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	files(t, l, "d", 100)
	gate := make(chan struct{})
	c := startFake(t, l, func(llapi.ActionItem) *failure { <-gate; return nil }, 1)
	m := openManager(t, l, nil)
	work(t, m)
	id := create(t, m, jobs.Spec{}).ID
	await(t, m, id, "has submitted everything", func(j jobs.Job) bool { return j.Counters.FilesSubmitted == 100 })
	l.SetParam("mdt.*.hsm_control", "disabled")
	l.SetParam("mdt.*.hsm_control", "purge")
	close(gate)
	l.SetParam("mdt.*.hsm_control", "enabled")
	job := awaitEnd(t, m, id)
	if n := job.Counters; job.State != jobs.Completed || n.FilesExported != 100 || n.FilesSubmitted != 100 || n.FilesRetried == 0 {
		t.Errorf("job: %+v", job)
	}
	if c.most() > 3 {
		t.Errorf("a file was asked for %d times", c.most())
	}
}

// TestH13QueueStaysShort: a job of many files does not hand them all to the metadata
// server, which pays for each request with the length of its queue.
func TestH13QueueStaysShort(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{Params: map[string]string{"mdt.*.hsm.max_requests": "4"}})
	const count, through = 3000, 50
	files(t, l, "d", count)
	_, gate := heldCopytool(t, l, through)
	defer close(gate)
	m := openManager(t, l, nil)
	work(t, m)
	id := create(t, m, jobs.Spec{}).ID
	await(t, m, id, "has found all and sees no progress", func(j jobs.Job) bool {
		return j.Counters.FilesFound == count && j.Counters.FilesExported == through && j.WaitsFor != ""
	})
	if n := requests(l, "WAITING") + requests(l, "STARTED"); n == 0 || n > count/5 {
		t.Errorf("the coordinator has %d requests of %d files", n, count)
	}
}

// TestCoordinatorStopped: the job waits, says why, and goes on.
func TestCoordinatorStopped(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	files(t, l, "d", 60)
	l.SetParam("mdt.*.hsm_control", "shutdown")
	m := openManager(t, l, nil)
	work(t, m)
	id := create(t, m, jobs.Spec{}).ID
	job := await(t, m, id, "waits", func(j jobs.Job) bool { return strings.Contains(j.WaitsFor, "hsm_control=enabled") })
	if job.Counters.FilesSubmitted != 0 || job.PercentComplete != 0 {
		t.Errorf("job: %+v", job)
	}
	l.SetParam("mdt.*.hsm_control", "enabled")
	startFake(t, l, nil, 1)
	if job := awaitEnd(t, m, id); job.State != jobs.Completed || job.Counters.FilesExported != 60 || job.WaitsFor != "" {
		t.Errorf("job: %+v", job)
	}
}

// TestFilesMove: files are renamed and removed while they are archived, and one
// is archived by somebody else.
func TestFilesMove(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	files(t, l, "d", 20)
	gate := make(chan struct{})
	startFake(t, l, func(llapi.ActionItem) *failure { <-gate; return nil }, 1)
	m := openManager(t, l, nil)
	work(t, m)
	id := create(t, m, jobs.Spec{ReportAll: true}).ID
	await(t, m, id, "has submitted everything", func(j jobs.Job) bool { return j.Counters.FilesSubmitted == 20 })
	if err := errors.Join(os.Rename(l.Path("d"), l.Path("e")), os.Remove(l.Path("e", "f0007"))); err != nil {
		t.Fatal(err)
	}
	close(gate)
	job := awaitEnd(t, m, id)
	if n := job.Counters; job.State != jobs.Completed || n.FilesExported != 19 || n.SkippedBy[jobs.SkipVanished] != 1 || n.FilesFound != 20 || n.FilesFailed != 0 {
		t.Errorf("job: %+v", job)
	}
}

func TestFileList(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	files(t, l, "d", 10)
	write(t, l.Path("e", "x\xff\n"), l.Path("top"))
	startFake(t, l, nil, 1)
	m := openManager(t, l, nil)
	work(t, m)
	job := awaitEnd(t, m, create(t, m, jobs.Spec{Files: []string{
		"/d/f0001", l.Path("d", "f0002"), "d/f0001", "/e/x\xff\n", "top", "/d/missing", "/nodir/x", "/d", "/top/x", "/",
	}}).ID)
	if n := job.Counters; job.State != jobs.CompletedPartial || n.FilesExported != 4 || n.FilesFailed != 4 || n.SkippedBy[jobs.SkipNotRegular] != 1 {
		t.Errorf("job: %+v", job)
	}
	if got := paths(collect(t, m, job.ID, true)); !slices.Equal(got, []string{"/", "/d/missing", "/nodir/x", "/top/x"}) {
		t.Errorf("failures: %q", got)
	}
}

// TestListedTwice: also a file that needs no archive counts once.
func TestListedTwice(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	write(t, l.Path("archived"))
	if err := llapi.SetState(l.Path("archived"), llapi.HSExists|llapi.HSArchived, 0, 0); err != nil {
		t.Fatal(err)
	}
	m := openManager(t, l, nil)
	work(t, m)
	job := awaitEnd(t, m, create(t, m, jobs.Spec{Files: []string{"/archived", "archived"}}).ID)
	if n := job.Counters; n.FilesFound != 1 || n.SkippedBy[jobs.SkipArchived] != 1 {
		t.Errorf("job: %+v", job)
	}
}

func TestArchiveConflict(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	files(t, l, "d", 2)
	startFake(t, l, nil)
	m := openManager(t, l, nil)
	work(t, m)
	awaitEnd(t, m, create(t, m, jobs.Spec{ArchiveID: 2}).ID)
	for _, name := range []string{"f0000", "f0001"} {
		if err := os.WriteFile(l.Path("d", name), []byte("more"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(t, l.Path("d", "new"))
	job := awaitEnd(t, m, create(t, m, jobs.Spec{ArchiveID: 3}).ID)
	if n := job.Counters; n.FilesExported != 1 || n.FilesFailed != 2 || n.FilesSubmitted != 1 || job.FirstErrors[0].ErrorCode != jobs.CodeArchiveConflict {
		t.Errorf("job: %+v", job)
	}
	// Without an id each goes where it was.
	if job := awaitEnd(t, m, create(t, m, jobs.Spec{}).ID); job.State != jobs.Completed || job.Counters.FilesExported != 2 {
		t.Errorf("job: %+v", job)
	}
}
