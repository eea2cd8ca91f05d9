package jobs_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lhsm-azblob/jobs"
	"lhsm-azblob/llapi"
	"lhsm-azblob/testenv"
)

// patience is how long an event may take that must come.
const patience = 2 * time.Minute

// work runs the manager until the test ends.
func work(t *testing.T, m *jobs.Manager) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// await follows a job until ok says so, and checks on the way what must always hold.
func await(t *testing.T, m *jobs.Manager, id int64, what string, ok func(jobs.Job) bool) jobs.Job {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var last jobs.Job
	for job := range m.Watch(ctx, id) {
		last = job
		if job.PercentComplete == 100 && job.State != jobs.Completed && job.State != jobs.CompletedPartial {
			t.Fatalf("100 %% before the end: %+v", job)
		}
		if ok(job) {
			return job
		}
	}
	t.Fatalf("waiting until job %d %s: it is %+v", id, what, last)
	return last
}

func awaitEnd(t *testing.T, m *jobs.Manager, id int64) jobs.Job {
	t.Helper()
	return await(t, m, id, "is over", func(j jobs.Job) bool { return j.State.Finished() })
}

func write(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("content"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func fidOf(t *testing.T, path string) llapi.FID {
	t.Helper()
	f, err := llapi.PathToFID(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func collect(t *testing.T, m *jobs.Manager, id int64, onlyFailures bool) (list []jobs.FileResult) {
	t.Helper()
	for r, err := range m.Results(t.Context(), id, onlyFailures) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	return list
}

func paths(results []jobs.FileResult) (list []string) {
	for _, r := range results {
		list = append(list, r.Path)
	}
	slices.Sort(list)
	return list
}

func TestJob(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	startFake(t, l, nil, 1)
	m := openManager(t, l, nil)
	work(t, m)
	for i := range 300 {
		write(t, l.Path("data", fmt.Sprint(i%7), fmt.Sprint("f", i)))
	}
	write(t, l.Path("data2", "x"), l.Path("data.txt"), l.Path("other"))
	job := awaitEnd(t, m, create(t, m, jobs.Spec{Prefixes: []string{"/data"}, ReportAll: true}).ID)
	c := job.Counters
	if job.State != jobs.Completed || job.PercentComplete != 100 || c.FilesFound != 302 || c.FilesSubmitted != 302 || c.FilesExported != 302 ||
		c.BytesExported != 302*7 || c.FilesSkipped != 0 || c.FilesFailed != 0 {
		t.Errorf("job: %+v", job)
	}
	if list := collect(t, m, job.ID, false); len(list) != 302 || list[0].Status != jobs.StatusExported || list[0].FID == "" || list[0].Attempts != 1 {
		t.Errorf("%d results, %+v", len(list), list[:1])
	}
	if s, err := llapi.GetState(l.Path("other")); err != nil || s.Flags != 0 {
		t.Errorf("a file that was not asked for: %v, %v", s, err)
	}
	again := awaitEnd(t, m, create(t, m, jobs.Spec{}).ID)
	if c := again.Counters; c.FilesSkipped != 302 || c.SkippedBy[jobs.SkipArchived] != 302 || c.FilesExported != 1 || c.FilesFound != 303 {
		t.Errorf("the next job: %+v", c)
	}
}

// TestSelection has a file in each state, and things that are no files.
func TestSelection(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	startFake(t, l, nil, 1)
	m := openManager(t, l, nil)
	work(t, m)
	names := []string{"new", "exists", "archived", "dirty", "released", "lost", "never", "neverclean"}
	for _, n := range names {
		write(t, l.Path("s", n))
	}
	const archived = llapi.HSExists | llapi.HSArchived
	for name, flags := range map[string]llapi.StateFlags{
		"exists": llapi.HSExists, "archived": archived, "dirty": archived | llapi.HSDirty, "lost": archived | llapi.HSLost,
		"never": llapi.HSNoArchive, "neverclean": archived | llapi.HSNoArchive,
	} {
		if err := llapi.SetState(l.Path("s", name), flags, 0, 0); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if r := l.Lfs("hsm_archive", l.Path("s", "released")); r.Code != 0 {
		t.Fatal(r)
	}
	l.WaitIdle()
	if r := l.Lfs("hsm_release", l.Path("s", "released")); r.Code != 0 {
		t.Fatal(r)
	}
	if err := os.Symlink("new", l.Path("s", "symlink")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(l.Path("s", "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(l.Path("s", "new"), l.Path("s", "new2")); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(l.Path("s", "archived"), l.Path("archived2")); err != nil {
		t.Fatal(err)
	}

	dry := awaitEnd(t, m, create(t, m, jobs.Spec{DryRun: true}).ID)
	want := map[jobs.Reason]int64{jobs.SkipArchived: 1, jobs.SkipReleased: 1, jobs.SkipNeverArchive: 2, jobs.SkipNotRegular: 2}
	for why, n := range want {
		if dry.Counters.SkippedBy[why] != n {
			t.Errorf("skipped as %s: %d, want %d", why, dry.Counters.SkippedBy[why], n)
		}
	}
	if c := dry.Counters; dry.State != jobs.Completed || c.FilesFound != 10 || c.FilesSkipped != 6 || c.FilesSubmitted != 0 || c.FilesExported != 0 {
		t.Errorf("dry run: %+v", dry)
	}
	would := paths(collect(t, m, dry.ID, false))
	would = slices.DeleteFunc(would, func(p string) bool { return p == "/s/new2" || p == "/s/new" }) // one of them
	if !slices.Equal(would, []string{"/s/dirty", "/s/exists", "/s/lost"}) {
		t.Errorf("would export %q", would)
	}

	job := awaitEnd(t, m, create(t, m, jobs.Spec{Prefixes: []string{"/s/", "/s", l.Path("s", "n")}}).ID)
	if c := job.Counters; job.State != jobs.Completed || c.FilesExported != 4 || c.FilesFound != 10 {
		t.Errorf("job: %+v", job)
	}
}

// TestLostUnderReadOnlyMount: the packaged service sees the file system read-only. The
// files whose copy is lost are marked dirty all the same, and archived.
func TestLostUnderReadOnlyMount(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	startFake(t, l, nil, 1)
	write(t, l.Path("lost"), l.Path("new"))
	if err := llapi.SetState(l.Path("lost"), llapi.HSExists|llapi.HSArchived|llapi.HSLost, 0, 0); err != nil {
		t.Fatal(err)
	}
	m := openManager(t, l, func(o *jobs.Options) { o.Mount = readOnly(t, l.Mount()) })
	work(t, m)
	job := awaitEnd(t, m, create(t, m, jobs.Spec{}).ID)
	if c := job.Counters; job.State != jobs.Completed || c.FilesExported != 2 {
		t.Errorf("job: %+v", job)
	}
	const want = llapi.HSExists | llapi.HSArchived
	if s, err := llapi.GetState(l.Path("lost")); err != nil || s.Flags != want {
		t.Errorf("the file is %v, %v; want %v", s.Flags, err, want)
	}
}

// readOnly mounts the directory once more, where nothing can be written.
func readOnly(t *testing.T, dir string) string {
	t.Helper()
	at := t.TempDir()
	if err := unix.Mount(dir, at, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(at, 0); err != nil {
			t.Errorf("unmount %s: %v", at, err)
		}
	})
	if err := unix.Mount("", at, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	return at
}
