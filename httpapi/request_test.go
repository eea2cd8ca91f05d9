package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"lhsm-azblob/jobs"
)

// TestStopping: a request that the end of the service cuts off may be repeated.
func TestStopping(t *testing.T) {
	if p := problemOf(fmt.Errorf("list the jobs: %w", context.Canceled)); p.Status != 503 || p.Code != Stopping {
		t.Errorf("%+v", p)
	}
}

// TestRefusals: each mistake is told in one sentence, with code and field.
func TestRefusals(t *testing.T) {
	f := newFake()
	f.put(jobs.InProgress)
	f.put(jobs.Completed)
	server := serve(t, f, Access{})
	for _, tt := range []struct {
		method, path, body string
		status             int
		code               Code
		field, detail      string
	}{
		{"POST", "/v1/jobs", `{"prefxes":["/"]}`, 400, UnknownField, "prefxes", `there is no field "prefxes" here`},
		{"POST", "/v1/jobs", `{"prefixes":"/"}`, 400, InvalidRequest, "prefixes", "prefixes cannot be a string"},
		{"POST", "/v1/jobs", `{"archiveId":-1}`, 400, InvalidRequest, "archiveId", "archiveId cannot be a number -1"},
		{"POST", "/v1/jobs", `{"prefixes":["/a"],"filesystemPath":"/b"}`, 400, InvalidRequest, "filesystemPath", "give filesystemPath or prefixes"},
		{"POST", "/v1/jobs", `{"prefixes":["/a",""]}`, 400, InvalidRequest, "prefixes", "\"\" is no path"},
		{"POST", "/v1/jobs", `{"filesystemPath":""}`, 400, InvalidRequest, "prefixes", "\"\" is no path"},
		{"POST", "/v1/jobs", `{"filesystemPath":"","prefixes":["/a"]}`, 400, InvalidRequest, "filesystemPath", "give filesystemPath or prefixes"},
		{"POST", "/v1/jobs", `{"prefixes":["/%zz"],"pathsEscaped":true}`, 400, InvalidRequest, "prefixes", "not escaped right"},
		{"POST", "/v1/jobs", `{"prefixes":["/outside"]}`, 400, InvalidRequest, "prefixes", "it is outside the mount"},
		{"POST", "/v1/jobs", `{} {}`, 400, InvalidRequest, "", "goes on after"},
		{"POST", "/v1/jobs", `{`, 400, InvalidRequest, "", "no JSON that fits"},
		{"POST", "/v1/jobs/1/cancel", `{"drain":` + strings.Repeat(" ", smallBody) + `true}`, 413, TooLarge, "", "longer than 65536 bytes"},
		{"GET", "/v1/jobs?limit=501", "", 400, InvalidRequest, "limit", "limit has to be a number from 1 to 500"},
		{"GET", "/v1/jobs?limt=5", "", 400, UnknownField, "limt", `there is no parameter "limt" here`},
		{"GET", "/v1/jobs?before=x", "", 400, InvalidRequest, "before", "before has to be a number"},
		{"GET", "/v1/jobs/x", "", 404, JobNotFound, "", `"x" is no job`},
		{"GET", "/v1/jobs/0", "", 404, JobNotFound, "", `"0" is no job`},
		{"GET", "/v1/jobs/7", "", 404, JobNotFound, "", "there is no such job"},
		{"POST", "/v1/jobs/2/cancel", "", 409, JobFinished, "", "job 2 is over: it is Completed"},
		{"POST", "/v1/jobs", `{"ifBusy":"fail"}`, 409, Busy, "", "job 1 has the file system, and is InProgress"},
		{"GET", "/v1/nothing", "", 404, NotFound, "", "there is nothing at /v1/nothing"},
		{"PUT", "/v1/jobs/1", `{}`, 405, MethodNotAllowed, "", "/v1/jobs/1 does not do PUT; it does GET, HEAD"},
		{"DELETE", "/v1/jobs", "", 405, MethodNotAllowed, "", "it does GET, HEAD, POST"},
		{"POST", "/", "", 405, MethodNotAllowed, "", "it does GET, HEAD"},
	} {
		status, header, body := ask(t, tt.method, server.URL+tt.path, tt.body)
		var p Problem
		if err := json.Unmarshal([]byte(body), &p); err != nil {
			t.Errorf("%s %s: %v: %s", tt.method, tt.path, err, body)
			continue
		}
		if status != tt.status || p.Status != tt.status || p.Code != tt.code || p.Field != tt.field || !strings.Contains(p.Detail, tt.detail) {
			t.Errorf("%s %s %.40s: %d %+v, want %d %s, field %q, %q", tt.method, tt.path, tt.body, status, p, tt.status, tt.code, tt.field, tt.detail)
		}
		if header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: Content-Type %q", tt.method, tt.path, header.Get("Content-Type"))
		}
	}
	if len(f.jobs) != 2 {
		t.Errorf("a refused request made a job: %+v", f.jobs)
	}
}

func TestPages(t *testing.T) {
	f := newFake()
	for range 5 {
		f.put(jobs.Completed)
	}
	server := serve(t, f, Access{})
	var ids []int64
	before := ""
	for pages := 0; pages < 4; pages++ {
		_, _, body := ask(t, "GET", server.URL+"/v1/jobs?limit=2"+before, "")
		var list JobList
		if err := json.Unmarshal([]byte(body), &list); err != nil {
			t.Fatal(err)
		}
		for _, j := range list.Jobs {
			ids = append(ids, j.ID)
		}
		if list.NextBefore == 0 {
			break
		}
		before = "&before=" + jsonText(list.NextBefore)
	}
	if want := []int64{5, 4, 3, 2, 1}; !reflect.DeepEqual(ids, want) {
		t.Errorf("the pages have jobs %v, want %v", ids, want)
	}
	_, _, body := ask(t, "GET", serve(t, newFake(), Access{}).URL+"/v1/jobs", "")
	if want := `{"jobs":[]}`; strings.TrimSpace(body) != want {
		t.Errorf("without jobs: %s, want %s", body, want)
	}
}

func jsonText(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

func TestCreate(t *testing.T) {
	f := newFake()
	server := serve(t, f, Access{})
	status, header, _ := ask(t, "POST", server.URL+"/v1/jobs",
		`{"prefixes":["/a%FF%25"],"pathsEscaped":true,"archiveId":3,"dryRun":true,"reportAll":true,"retries":0,"requestId":"x"}`)
	j, _, _ := f.get(1)
	if status != 201 || header.Get("Location") != "/v1/jobs/1" {
		t.Errorf("%d, Location %q", status, header.Get("Location"))
	}
	retries := 0
	want := jobs.Spec{Prefixes: []string{"/a\xff%"}, ArchiveID: 3, DryRun: true, ReportAll: true, Retries: &retries, RequestID: "x"}
	if !reflect.DeepEqual(j.Spec, want) {
		t.Errorf("the engine got %+v, want %+v", j.Spec, want)
	}
	if status, _, _ := ask(t, "POST", server.URL+"/v1/jobs", ""); status != 201 {
		t.Errorf("without a body: %d", status)
	}
	if j, _, _ := f.get(2); j.Spec.Prefixes != nil {
		t.Errorf("without a body: %+v, want what the engine does by itself", j.Spec)
	}
}

// FuzzEscapePaths: any path comes through JSON as it was.
func FuzzEscapePaths(f *testing.F) {
	for _, p := range []string{"/a", "/\xff", "/100%", "/%41\xfe", "/é\n\"\\", ""} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, path string) {
		texts, escaped := EscapePaths([]string{path})
		b, err := json.Marshal(texts)
		if err != nil {
			t.Fatal(err)
		}
		var sent []string
		if err := json.Unmarshal(b, &sent); err != nil {
			t.Fatal(err)
		}
		back, err := unescapePaths("f", sent, escaped)
		if err != nil || len(back) != 1 || back[0] != path {
			t.Errorf("%q came back as %q, %v", path, back, err)
		}
		if escaped {
			if _, err := url.PathUnescape(texts[0]); err != nil {
				t.Errorf("%q: %v", texts[0], err)
			}
		}
	})
}
