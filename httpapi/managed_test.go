package httpapi

import (
	"encoding/json"
	"strings"
	"testing"

	"lhsm-azblob/jobs"
)

func archiveStatus(t *testing.T, url string) []amlArchive {
	t.Helper()
	status, _, body := ask(t, "GET", url, "")
	var fs amlFilesystem
	if err := json.Unmarshal([]byte(body), &fs); err != nil || status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	return fs.Properties.HSM.ArchiveStatus
}

func TestManagedStates(t *testing.T) {
	for _, tt := range []struct {
		state jobs.State
		want  string
		code  jobs.Code
	}{
		{jobs.Queued, "InProgress", ""},
		{jobs.FSScanInProgress, "FSScanInProgress", ""},
		{jobs.InProgress, "InProgress", ""},
		{jobs.Cancelling, "Cancelling", ""},
		{jobs.Canceled, "Canceled", ""},
		{jobs.Completed, "Completed", ""},
		{jobs.CompletedPartial, "Failed", "PartialFailure"},
		{jobs.Failed, "Failed", "HsmDisabled"},
	} {
		f := newFake()
		f.put(tt.state, func(j *jobs.Job) {
			if j.State == jobs.Failed {
				j.ErrorCode = jobs.CodeHsmDisabled
			}
		})
		got := archiveStatus(t, serve(t, f, Access{}).URL+"/amlFilesystem")
		if len(got) != 1 || got[0].FilesystemPath != "/data" || got[0].Status.State != tt.want || got[0].Status.ErrorCode != tt.code {
			t.Errorf("%s: %+v, want %s %s", tt.state, got, tt.want, tt.code)
		}
	}
}

// TestManagedService goes the way of a script that was made for the managed service.
func TestManagedService(t *testing.T) {
	f := newFake()
	at := serve(t, f, Access{}).URL + strings.NewReplacer("{subscription}", "s", "{group}", "g", "{name}", "n").Replace(armPath)
	version := "?api-version=2024-03-01"
	if got := archiveStatus(t, at+version); got[0] != (amlArchive{"/", amlStatus{State: "Idle"}}) {
		t.Errorf("before any job: %+v", got)
	}
	if status, _, body := ask(t, "POST", at+"/archive"+version, `{"filesystemPath":"/x"}`); status != 200 || body != "" {
		t.Errorf("archive: %d %s", status, body)
	}
	if status, _, body := ask(t, "POST", at+"/archive"+version, `{"filesystemPath":""}`); status != 400 || !strings.Contains(body, "is no path") {
		t.Errorf("archive nothing: %d %s", status, body)
	}
	if j, _, _ := f.get(1); j.Spec.Prefixes[0] != "/x" {
		t.Errorf("the engine got %+v", j.Spec)
	}
	status, _, body := ask(t, "POST", at+"/archive"+version, `{"filesystemPath":"/y"}`)
	if want := `{"error":{"code":"Busy","message":"job 1 has the file system, and is Queued: wait for its end, or cancel it"}}`; status != 409 || strings.TrimSpace(body) != want {
		t.Errorf("a second one: %d %s, want %s", status, body, want)
	}
	if status, _, _ := ask(t, "POST", at+"/cancelArchive"+version, ""); status != 200 {
		t.Errorf("cancel: %d", status)
	}
	if got := archiveStatus(t, at); got[0].FilesystemPath != "/x" || got[0].Status.State != "Cancelling" {
		t.Errorf("after the cancel: %+v", got)
	}
	f.change(1, func(j *jobs.Job) { j.State = jobs.Canceled })
	if status, _, body := ask(t, "POST", at+"/cancelArchive"+version, ""); status != 409 || !strings.Contains(body, `"code":"NoJob"`) {
		t.Errorf("cancel of nothing: %d %s", status, body)
	}
	// The last job of each path, and no previews.
	f.put(jobs.Completed)
	f.put(jobs.Completed, func(j *jobs.Job) { j.Spec = jobs.Spec{DryRun: true} })
	f.put(jobs.Failed, func(j *jobs.Job) { j.Spec.Prefixes = []string{"/x"} })
	got := archiveStatus(t, at)
	if len(got) != 2 || got[0].FilesystemPath != "/x" || got[0].Status.State != "Failed" || got[1].FilesystemPath != "/data" {
		t.Errorf("of several jobs: %+v", got)
	}
}
