package acceptance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/gate"
)

// TestArchiveJob exports what is new or changed, and skips what is not, with no
// request to the container for it.
func TestArchiveJob(t *testing.T) {
	e, _ := start(t)
	s := e.startService()
	e.archived("done", []byte("archived already"))
	e.archived("changed", []byte("first"))
	e.append("changed", []byte(" and second"))
	e.released("cold", []byte("only in the container"))
	e.write("never", []byte("not to be archived"))
	e.lfs("hsm_set", "--noarchive", e.path("never"))
	big := randomBytes(3<<20, 1)
	e.write("dir/big", big)
	e.write("dir/\xff odd\n", []byte("odd"))
	if err := os.Symlink("big", e.path("dir/link")); err != nil {
		t.Fatal(err)
	}
	j := s.job(0, "archive", "create", "--wait")
	if c := j.Counters; j.State != "Completed" || j.PercentComplete != 100 || c.FilesFound != 7 || c.FilesExported != 3 || c.FilesSkipped != 4 || c.FilesFailed != 0 {
		t.Errorf("%+v", j)
	}
	for why, want := range map[string]int64{"archived": 1, "released": 1, "neverArchive": 1, "notRegular": 1} {
		if got := j.Counters.SkippedBy[why]; got != want {
			t.Errorf("%d skipped as %s, want %d", got, why, want)
		}
	}
	e.wantBlob("dir/big", big)
	e.wantBlob("changed", []byte("first and second"))
	e.wantState("dir/big", stateArchived)
	any := func(gate.Request) bool { return true }
	before := e.gate.Count(any)
	if j := s.job(0, "archive", "create", "--wait"); j.Counters.FilesExported != 0 || j.Counters.FilesSkipped != 7 {
		t.Errorf("the second time: %+v", j)
	}
	if after := e.gate.Count(any); after != before {
		t.Errorf("%d requests to the container for files that are skipped", after-before)
	}
}

// TestArchiveJobPrefix: a path is chosen by how it begins, as a string.
func TestArchiveJobPrefix(t *testing.T) {
	e, _ := start(t)
	s := e.startService()
	for _, f := range []string{"data/x", "data2/y", "data.txt", "other/data", "more/z"} {
		e.write(f, []byte(f))
	}
	s.want(0, "archive", "create", "/data", "--wait")
	names := e.blobNames()
	slices.Sort(names)
	if want := []string{"data.txt", "data/x", "data2/y"}; !slices.Equal(names, want) {
		t.Errorf("the container holds %q, want %q", names, want)
	}
	s.want(0, "export", "create", "--filesystem-path", e.path("other"), "more/", "--wait")
	e.wantBlob("other/data", []byte("other/data"))
	e.wantBlob("more/z", []byte("more/z"))
}

func TestArchiveJobFilesFrom(t *testing.T) {
	e, _ := start(t)
	s := e.startService()
	odd := "dir/\xfe name\nwith a line"
	e.write(odd, []byte("odd"))
	e.write("dir/listed", []byte("listed"))
	e.write("dir/not listed", []byte("not listed"))
	cmd := s.command("archive", "create", "--files-from", "-", "-0", "--wait", "--output", "json")
	cmd.Stdin = strings.NewReader("/" + odd + "\x00" + e.path("dir/listed") + "\x00")
	code, stdout, stderr := outputs(t, cmd)
	if j := lastJob(t, stdout); code != 0 || j.Counters.FilesExported != 2 {
		t.Fatalf("exit %d, %+v, %s", code, j, stderr)
	}
	e.wantState(odd, stateArchived)
	e.wantState("dir/not listed", stateNew)
	list := e.file("list", "dir/not listed\n")
	s.want(0, "archive", "create", "--files-from", list, "--wait")
	e.wantState("dir/not listed", stateArchived)
}

func TestArchiveJobDryRun(t *testing.T) {
	e, _ := start(t)
	s := e.startService()
	e.write("a", []byte("12345"))
	e.write("b", []byte("123"))
	j := s.job(0, "archive", "create", "--dry-run")
	if c := j.Counters; j.State != "Completed" || c.FilesFound != 2 || c.BytesFound != 8 || c.FilesSubmitted != 0 || c.FilesExported != 0 {
		t.Errorf("%+v", j)
	}
	e.wantState("a", stateNew)
	if names := e.blobNames(); len(names) != 0 {
		t.Errorf("the container holds %q", names)
	}
	report, _ := s.want(0, "archive", "report", "--all", "--format", "jsonl", strconv.FormatInt(j.ID, 10))
	if lines := strings.Count(report, `"fileStatus":"WouldExport"`); lines != 2 {
		t.Errorf("the report lists %d files:\n%s", lines, report)
	}
}

// TestArchiveJobFailures: a file that cannot go is told with its reason, the
// others go, and a retry is about the failures alone.
func TestArchiveJobFailures(t *testing.T) {
	e, _ := start(t)
	s := e.startService()
	e.putBlob("taken", []byte("somebody else's"))
	e.write("taken", []byte("ours"))
	e.write("free", []byte("free"))
	j := s.job(3, "archive", "create", "--wait")
	if c := j.Counters; j.State != "CompletedPartial" || c.FilesExported != 1 || c.FilesFailed != 1 || len(j.FirstErrors) != 1 || j.FirstErrors[0].ErrorCode != "BlobExists" {
		t.Errorf("%+v", j)
	}
	e.wantBlob("taken", []byte("somebody else's"))
	id := strconv.FormatInt(j.ID, 10)
	file := filepath.Join(t.TempDir(), "failures.csv")
	s.want(0, "archive", "report", id, "-o", file)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil || len(rows) != 2 || rows[0][0] != "FilePath" || rows[1][0] != "/taken" || rows[1][1] != "Failed" || rows[1][2] != "BlobExists" {
		t.Errorf("%v %q", err, rows)
	}
	text, _ := s.want(0, "explain", e.path("taken"))
	for _, want := range []string{"/taken", "BlobExists", "archives it"} {
		if !strings.Contains(text, want) {
			t.Errorf("explain has no %q:\n%s", want, text)
		}
	}
	e.deleteBlob("taken")
	again := s.job(0, "archive", "retry", id, "--wait")
	if again.RetryOf != j.ID || again.Counters.FilesFound != 1 || again.Counters.FilesExported != 1 {
		t.Errorf("%+v", again)
	}
	e.wantBlob("taken", []byte("ours"))
	if _, stderr := s.want(64, "archive", "retry", strconv.FormatInt(again.ID, 10)); !strings.Contains(stderr, "no failures") {
		t.Errorf("retry of a job without failures: %q", stderr)
	}
}

// TestArchiveJobCancel: within seconds, with most of the work still queued.
func TestArchiveJobCancel(t *testing.T) {
	e, _ := start(t)
	e.lustre.SetParam("mdt.*.hsm.max_requests", "4")
	s := e.startService()
	const files = 300
	for i := range files {
		e.write(fmt.Sprintf("many/%03d", i), []byte("content"))
	}
	hold := e.gate.Hold(isCommit)
	s.want(0, "archive", "create", "/many")
	<-hold.Caught
	stdout, _ := s.want(0, "archive", "cancel")
	if !strings.Contains(stdout, "job 1 is Cancel") {
		t.Errorf("cancel says %q", stdout)
	}
	j := s.job(5, "archive", "watch", "1")
	if c := j.Counters; j.State != "Canceled" || c.FilesExported+c.FilesLeft+c.FilesFailed+c.FilesSkipped != c.FilesFound || c.FilesLeft == 0 {
		t.Errorf("%+v", j)
	}
	e.lustre.SetParam("mdt.*.hsm.max_requests", "1000") // a cancel takes a slot too, and the archives may have them all
	e.lustre.WaitIdle()                                 // the gate is still closed: only the cancel can have ended them
	hold.Release()
	if _, stderr := s.want(1, "archive", "cancel", "1"); !strings.Contains(stderr, "job 1 is over: it is Canceled") {
		t.Errorf("a second cancel says %q", stderr)
	}
	if _, stderr := s.want(1, "archive", "cancel"); !strings.Contains(stderr, "no job is running") {
		t.Errorf("a cancel of nothing says %q", stderr)
	}
	// What was left is found again.
	if j := s.job(0, "archive", "create", "/many", "--wait"); j.Counters.FilesFound != files {
		t.Errorf("the next job: %+v", j)
	}
}

// TestArchiveJobDrain: what runs ends well, the rest is left.
func TestArchiveJobDrain(t *testing.T) {
	e, _ := start(t)
	e.lustre.SetParam("mdt.*.hsm.max_requests", "2")
	s := e.startService()
	for i := range 100 {
		e.write(fmt.Sprintf("many/%03d", i), []byte("content"))
	}
	hold := e.gate.Hold(isCommit)
	s.want(0, "archive", "create", "/many")
	<-hold.Caught
	<-hold.Caught
	s.want(0, "archive", "cancel", "--drain", "1")
	hold.Release()
	if j := s.job(5, "archive", "watch", "1"); j.Counters.FilesExported < 2 || j.Counters.FilesFailed != 0 {
		t.Errorf("%+v", j)
	}
}

// TestArchiveJobBusy: the next job waits its turn, or is refused; the same
// request is one job.
func TestArchiveJobBusy(t *testing.T) {
	e, _ := start(t)
	s := e.startService()
	e.write("a", []byte("a"))
	hold := e.gate.Hold(isCommit)
	first := s.job(0, "archive", "create", "/", "--request-id", "nightly")
	if again := s.job(0, "archive", "create", "/", "--request-id", "nightly"); again.ID != first.ID {
		t.Errorf("the same request made job %d, and before it job %d", again.ID, first.ID)
	}
	if _, stderr := s.want(6, "archive", "create", "--if-busy", "fail"); !strings.Contains(stderr, "job 1 has the file system") {
		t.Errorf("while another runs: %q", stderr)
	}
	second := s.job(0, "archive", "create")
	if second.State != "Queued" {
		t.Errorf("the second job: %+v", second)
	}
	hold.Release()
	if j := s.job(0, "archive", "watch", strconv.FormatInt(second.ID, 10)); j.Counters.FilesSkipped != 1 {
		t.Errorf("the second job: %+v", j)
	}
	list, _ := s.want(0, "archive", "list")
	if lines := strings.Split(strings.TrimSpace(list), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[1], "2 ") || !strings.HasPrefix(lines[2], "1 ") {
		t.Errorf("list:\n%s", list)
	}
}

// TestArchiveJobServiceKilled kills the service in the middle. Who watches goes
// on watching, nothing is counted twice, and nothing is missed.
func TestArchiveJobServiceKilled(t *testing.T) {
	e, _ := start(t)
	e.lustre.SetParam("mdt.*.hsm.max_requests", "8")
	s := e.startService()
	const files = 200
	for i := range files {
		e.write(fmt.Sprintf("many/%03d", i), []byte(strconv.Itoa(i)))
	}
	hold := e.gate.Hold(isCommit)
	s.want(0, "archive", "create", "/many")
	watch := s.command("archive", "watch", "1", "--output", "json")
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	watch.Stdout = w
	watching := testenv.Run(t, watch)
	w.Close()
	lines := bufio.NewReader(out)
	if first, err := lines.ReadString('\n'); err != nil { // it has found the service, which it needs for the first line alone
		t.Fatalf("watch says %q, %v", first, err)
	}
	<-hold.Caught
	s.await("the job has requests out", func(j jobState) bool { return j.Counters.FilesSubmitted > 0 }, "1")
	s.stop(syscall.SIGKILL)
	hold.Release() // the coordinator and the copytool go on meanwhile
	s.start()
	text, err := io.ReadAll(lines)
	if code := watching.Wait(); code != 0 || err != nil {
		t.Errorf("watch: exit %d, %v", code, err)
	}
	j := lastJob(t, string(text))
	if c := j.Counters; j.State != "Completed" || c.FilesExported != files || c.FilesFailed != 0 || c.FilesFound != c.FilesExported+c.FilesSkipped {
		t.Errorf("%+v", j)
	}
	if got := len(e.blobNames()); got != files {
		t.Errorf("%d blobs, want %d", got, files)
	}
}

// TestArchiveJobServiceStopped: a stop in good order ends nothing but the service.
func TestArchiveJobServiceStopped(t *testing.T) {
	e, _ := start(t)
	s := e.startService()
	e.write("a", []byte("a"))
	hold := e.gate.Hold(isCommit)
	s.want(0, "archive", "create")
	<-hold.Caught
	s.stop(syscall.SIGTERM)
	if code := s.process.process.Wait(); code != 0 {
		t.Errorf("the service ended with %d:\n%s", code, strings.Join(s.process.log(), "\n"))
	}
	if _, stderr := s.want(7, "archive", "list"); strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "does not run") {
		t.Errorf("without the service: %q", stderr)
	}
	s.start()
	hold.Release()
	if j := s.job(0, "archive", "watch", "1"); j.Counters.FilesExported != 1 {
		t.Errorf("%+v", j)
	}
}

// TestArchiveJobWithoutCopytool waits, says why, and goes on by itself.
func TestArchiveJobWithoutCopytool(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	s := e.startService()
	e.write("a", []byte("a"))
	s.want(0, "archive", "create")
	j := s.await("it says what it waits for", func(j jobState) bool { return j.WaitsFor != "" }, "1")
	if !strings.Contains(j.WaitsFor, "copytool") {
		t.Errorf("it waits for %q", j.WaitsFor)
	}
	e.startCopytool(e.lustre.Mount())
	if j := s.job(0, "archive", "watch", "1"); j.Counters.FilesExported != 1 {
		t.Errorf("%+v", j)
	}
	e.wantBlob("a", []byte("a"))
}

// TestArchiveJobErrors: each mistake is one line, and its exit status.
func TestArchiveJobErrors(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	s := e.startService()
	for _, tt := range []struct {
		code int
		want string
		args []string
	}{
		{1, "there is no such job", []string{"archive", "show", "99"}},
		{64, `"x" is no job`, []string{"archive", "show", "x"}},
		{1, "there has been no job yet", []string{"archive", "show"}},
		{1, "no job is running", []string{"archive", "cancel"}},
		{64, "there is no command", []string{"archive", "creat"}},
		{64, "not defined: -dryrun", []string{"archive", "create", "--dryrun"}},
		{64, "one is wanted: ID", []string{"archive", "retry"}},
		{64, "prefixes", []string{"archive", "create", "/a/../b"}},
		{64, `prefixes: "" is no path`, []string{"archive", "create", "/a", ""}},
		{64, `prefixes: "" is no path`, []string{"archive", "create", "--filesystem-path", ""}},
		{64, "--archive-id: 4294967297 is not", []string{"archive", "create", "--archive-id", "4294967297"}},
		{64, "--archive: 4294967297 is not", []string{"import", "--archive", "4294967297"}},
		{64, "-archive", []string{"import", "--archive", "-1"}},
		{64, "path", []string{"explain", "/no/such/file"}},
		{64, "neither failures nor all", []string{"archive", "create", "--report", "some"}},
		{64, "neither text nor json", []string{"archive", "list", "--output", "xml"}},
		{64, "give prefixes or --files-from", []string{"archive", "create", "/a", "--files-from", "-"}},
		{1, "no such file", []string{"archive", "create", "--files-from", "/no/such/list"}},
		{7, "does not run", []string{"archive", "list", "--server", "unix:///no/such.sock"}},
		{7, "nothing listens", []string{"archive", "list", "--server", "http://" + closedPort(t)}},
		{64, "https://", []string{"archive", "list", "--server", "http://example.com"}},
		{1, "asks for a token", []string{"archive", "list", "--server", s.url}},
		{1, "not know this token", []string{"archive", "list", "--server", s.url, "--token-file", e.file("wrong", "fedcba9876543210")}},
	} {
		code, stdout, stderr := s.ctl(tt.args...)
		if code != tt.code || !strings.Contains(stderr, tt.want) || strings.Count(stderr, "\n") != 1 || stdout != "" {
			t.Errorf("lhsmctl %q: exit %d, %q, %q; want %d and one line with %q", tt.args, code, stdout, stderr, tt.code, tt.want)
		}
	}
	if code, stdout, _ := s.ctl("archive", "list", "--server", s.url, "--token-file", e.file("token", pageToken), "--output", "json"); code != 0 || strings.TrimSpace(stdout) == "" {
		t.Errorf("with the token: exit %d, %q", code, stdout)
	}
}

// TestArchiveJobSocket: its permissions are who may ask.
func TestArchiveJobSocket(t *testing.T) {
	const gid = 4242
	e := newEnv(t, testenv.Options{})
	s := e.startService("--group", strconv.Itoa(gid))
	st, err := os.Stat(s.socket)
	if err != nil || st.Mode().Perm() != 0o660 || st.Sys().(*syscall.Stat_t).Gid != gid {
		t.Errorf("%v %v", st.Mode(), err)
	}
	s.letIn()
	as := func(gid uint32) (int, string) {
		cmd := s.command("archive", "list")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1001, Gid: gid}}
		code, stdout, stderr := outputs(t, cmd)
		return code, stdout + stderr
	}
	if code, out := as(gid); code != 0 {
		t.Errorf("a member of the group: exit %d, %s", code, out)
	}
	if code, out := as(1001); code != 7 || !strings.Contains(out, "may not be used by you") {
		t.Errorf("anybody: exit %d, %s", code, out)
	}
}

// letIn lets plain users pass the directories above the socket and the program.
func (s *service) letIn() {
	s.e.t.Helper()
	for dir := filepath.Dir(s.socket); dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			s.e.t.Fatal(err)
		}
	}
}

// TestArchiveJobManagedService goes the way of a script for the managed service.
func TestArchiveJobManagedService(t *testing.T) {
	e, _ := start(t)
	s := e.startService()
	e.write("data/x", []byte("x"))
	const at = "/subscriptions/s/resourceGroups/g/providers/Microsoft.StorageCache/amlFilesystems/fs"
	if status, body := s.request("POST", at+"/archive", `{"filesystemPath": "/data"}`); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	s.want(0, "archive", "watch", "1")
	_, body := s.request("GET", at, "")
	var resource struct {
		Properties struct {
			HSM struct {
				ArchiveStatus []struct {
					FilesystemPath string
					Status         struct {
						State           string
						PercentComplete int
					}
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &resource); err != nil {
		t.Fatal(err)
	}
	if st := resource.Properties.HSM.ArchiveStatus; len(st) != 1 || st[0].FilesystemPath != "/data" || st[0].Status.State != "Completed" || st[0].Status.PercentComplete != 100 {
		t.Errorf("%s", body)
	}
	e.wantBlob("data/x", []byte("x"))
}

// request sends a request over TCP, with the token.
func (s *service) request(method, path, body string) (int, string) {
	s.e.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.e.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+pageToken)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.e.t.Fatal(err)
	}
	defer answer.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(answer.Body); err != nil {
		s.e.t.Fatal(err)
	}
	return answer.StatusCode, b.String()
}
