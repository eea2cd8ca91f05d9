package httpapi

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"lhsm-azblob/jobs"
)

// A probe is a request that has to give one documented response. Id 1 is a
// finished job with a failure and every file recorded, 2 one without, 3 runs.
type probe struct {
	path    string // with values for the parameters; empty: the documented one
	body    string
	headers []string
	idle    bool // while no job runs
	raw     bool // the body is not to be called JSON
	// announced is the length of a body that is not sent before the server agrees.
	announced int64
}

const runningBody = `{"filesystemPath":"/","ifBusy":"fail"}`

var probes = map[string]probe{
	"GET /v1/jobs 200":              {path: "/v1/jobs?limit=2"},
	"GET /v1/jobs 400":              {path: "/v1/jobs?limit=0"},
	"POST /v1/jobs 200":             {body: `{"requestId":"known"}`},
	"POST /v1/jobs 201":             {body: `{"prefixes":["/a"],"archiveId":2,"dryRun":true,"requestId":"new","ifBusy":"queue","reportAll":true,"retries":1}`},
	"POST /v1/jobs 400":             {body: `{"prefixes":["/outside"]}`},
	"POST /v1/jobs 409":             {body: runningBody},
	"POST /v1/jobs 413":             {announced: filesBody + 1},
	"POST /v1/jobs 415":             {body: `{}`, raw: true},
	"GET /v1/jobs/{id} 200":         {path: "/v1/jobs/1"},
	"GET /v1/jobs/{id} 404":         {path: "/v1/jobs/99"},
	"POST /v1/jobs/{id}/cancel 202": {path: "/v1/jobs/3/cancel", body: `{"drain":true}`},
	"POST /v1/jobs/{id}/cancel 400": {path: "/v1/jobs/3/cancel", body: `{"drain":1}`},
	"POST /v1/jobs/{id}/cancel 404": {path: "/v1/jobs/99/cancel"},
	"POST /v1/jobs/{id}/cancel 409": {path: "/v1/jobs/1/cancel"},
	"POST /v1/jobs/{id}/cancel 415": {path: "/v1/jobs/3/cancel", body: `{}`, raw: true},
	"POST /v1/jobs/{id}/retry 201":  {path: "/v1/jobs/1/retry"},
	"POST /v1/jobs/{id}/retry 400":  {path: "/v1/jobs/2/retry"},
	"POST /v1/jobs/{id}/retry 404":  {path: "/v1/jobs/99/retry"},
	"GET /v1/jobs/{id}/report 200":  {path: "/v1/jobs/1/report?all=1"},
	"GET /v1/jobs/{id}/report 400":  {path: "/v1/jobs/1/report?format=xml"},
	"GET /v1/jobs/{id}/report 404":  {path: "/v1/jobs/99/report"},
	"GET /v1/jobs/{id}/report 409":  {path: "/v1/jobs/2/report?all=1"},
	"GET /v1/jobs/{id}/events 200":  {path: "/v1/jobs/1/events"},
	"GET /v1/jobs/{id}/events 204":  {path: "/v1/jobs/1/events", headers: []string{"Last-Event-ID", "LAST"}},
	"GET /v1/jobs/{id}/events 404":  {path: "/v1/jobs/99/events"},
	"GET /v1/events 200":            {},
	"GET /metrics 200":              {},
	"GET /v1/status 200":            {},
	"GET /v1/status 400":            {path: "/v1/status?verbose=1"},
	"GET /v1/movers 200":            {},
	"GET /v1/movers 400":            {path: "/v1/movers?verbose=1"},
	"GET /v1/explain 200":           {path: "/v1/explain?path=/f"},
	"GET /v1/explain 400":           {path: "/v1/explain"},
	"GET /v1/openapi.json 200":      {},
	"POST /v1/session 204":          {body: `{"token":"` + testToken + `"}`},
	"POST /v1/session 400":          {body: `{"tokn":"x"}`},
	"POST /v1/session 401":          {body: `{"token":"wrong"}`},
	"POST /v1/session 415":          {body: `{}`, raw: true},
	"DELETE /v1/session 204":        {},
	"GET /amlFilesystem 200":        {},
	"POST /archive 200":             {idle: true},
	"POST /archive 400":             {body: `{"path":"/"}`},
	"POST /archive 409":             {},
	"POST /archive 415":             {body: `{}`, raw: true},
	"POST /cancelArchive 200":       {},
	"POST /cancelArchive 409":       {idle: true},
}

// probeFor also knows the managed service's long paths, and refusals that every
// operation has.
func probeFor(method, path, status string) (probe, bool) {
	filled := strings.NewReplacer("{id}", "1", "{subscription}", "s", "{group}", "g", "{name}", "n").Replace(path)
	p, ok := probes[method+" "+path+" "+status]
	if suffix, long := strings.CutPrefix(path, armPath); long {
		p, ok = probes[method+" "+cmpOr(suffix, "/amlFilesystem")+" "+status]
	}
	switch {
	case ok:
	case status == "401":
		p, ok = probe{headers: []string{"Authorization", "Bearer wrong"}}, true
	case status == "403":
		p, ok = probe{headers: []string{"Sec-Fetch-Site", "cross-site"}}, true
	}
	if p.path == "" {
		p.path = filled
	}
	return p, ok
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// prepare makes the jobs that the probes speak of.
func prepare(idle bool) *fakeJobs {
	f := newFake()
	failure := jobs.FileResult{Path: "/data/\xff", Status: jobs.StatusFailed, ErrorCode: jobs.CodeFileChanged, Message: "it changed", FID: "[1:2:3]", Attempts: 4, Time: moment2026}
	f.results = []jobs.FileResult{failure, {Path: "/data/ok", Status: jobs.StatusExported, Size: 5, Attempts: 1, ETag: "e", Time: moment2026}}
	f.put(jobs.CompletedPartial, func(j *jobs.Job) {
		j.Spec.ReportAll, j.Spec.RequestID, j.Counters.FilesFailed, j.FirstErrors = true, "known", 1, []jobs.FileResult{failure}
		j.ErrorCode, j.ErrorMessage = "PartialFailure", "1 file failed"
	})
	f.put(jobs.Completed)
	if !idle {
		f.put(jobs.InProgress, func(j *jobs.Job) {
			j.WaitsFor, j.BytesPerSecond, j.Counters.SkippedBy = "no copytool", 1.5, map[jobs.Reason]int64{jobs.SkipArchived: 3}
		})
	}
	return f
}

// TestDocument asks for every response that openapi.json promises, and checks
// that each is what it says.
func TestDocument(t *testing.T) {
	d, err := parseDocument(openapiDocument)
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range d.root["paths"].(object) {
		for method, operation := range item.(object) {
			for status, response := range operation.(object)["responses"].(object) {
				method := strings.ToUpper(method)
				t.Run(fmt.Sprintf("%s %s %s", method, path, status), func(t *testing.T) {
					p, ok := probeFor(method, path, status)
					if !ok {
						t.Fatal("no probe asks for this response")
					}
					p.check(t, d, method, status, d.follow(response))
				})
			}
		}
	}
}

func (p probe) check(t *testing.T, d *document, method, status string, response object) {
	f := prepare(p.idle)
	server := serve(t, f, Access{Token: testToken})
	headers := append([]string{"Authorization", "Bearer " + testToken}, p.headers...)
	if p.raw {
		headers = append(headers, "Content-Type", "text/plain")
	}
	if i := slices.Index(headers, "LAST"); i >= 0 {
		j, _, _ := f.get(1)
		_, headers[i] = event(wireJob(j))
	}
	var got int
	var header http.Header
	var body string
	switch {
	case p.announced > 0:
		got, header, body = announce(t, server.URL+p.path, p.announced, headers...)
	case strings.HasSuffix(p.path, "/v1/events"):
		got, header, body = firstEvent(t, server.URL+p.path, headers...)
	default:
		got, header, body = ask(t, method, server.URL+p.path, p.body, headers...)
	}
	if fmt.Sprint(got) != status {
		t.Fatalf("%s %s: %d, want %s\n%s", method, p.path, got, status, body)
	}
	for name := range objectAt(response, "headers") {
		if header.Get(name) == "" {
			t.Errorf("the header %s is missing", name)
		}
	}
	p.checkBody(t, d, header.Get("Content-Type"), body, objectAt(response, "content"))
}

func (p probe) checkBody(t *testing.T, d *document, contentType, body string, content object) {
	t.Helper()
	if content == nil {
		if body != "" {
			t.Errorf("a body where the document has none: %s", body)
		}
		return
	}
	kind, _, _ := strings.Cut(contentType, ";")
	media, ok := content[kind].(object)
	if !ok {
		t.Fatalf("Content-Type %q, and the document has %v", contentType, slices.Collect(maps.Keys(content)))
	}
	if !strings.HasSuffix(kind, "json") {
		return
	}
	var value any
	if err := json.Unmarshal([]byte(body), &value); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if err := d.validate(media["schema"].(object), value, "body"); err != nil {
		t.Errorf("%v\n%s", err, body)
	}
}

// announce asks whether a body of that length may be sent.
func announce(t *testing.T, url string, length int64, headers ...string) (int, http.Header, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("never sent"))
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = length
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	request.Header.Set("Expect", "100-continue")
	patient := &http.Transport{ExpectContinueTimeout: patience}
	defer patient.CloseIdleConnections()
	answer, err := patient.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(b)
}

func objectAt(o object, name string) object {
	v, _ := o[name].(object)
	return v
}

// TestRoutesAreDocumented is the other direction.
func TestRoutesAreDocumented(t *testing.T) {
	d, err := parseDocument(openapiDocument)
	if err != nil {
		t.Fatal(err)
	}
	routes := slices.Concat(New(Options{}).routes, Access{}.gate().routes())
	for _, r := range routes {
		method, path, _ := strings.Cut(r.pattern, " ")
		operation := objectAt(objectAt(d.root["paths"].(object), path), strings.ToLower(method))
		if operation == nil {
			t.Errorf("%s is not in the document", r.pattern)
			continue
		}
		_, open := operation["security"]
		if open != r.open {
			t.Errorf("%s: open to everybody %v, and the document says %v", r.pattern, r.open, open)
		}
	}
	documented := 0
	for _, item := range d.root["paths"].(object) {
		documented += len(item.(object))
	}
	if documented != len(routes) {
		t.Errorf("%d operations in the document, %d routes", documented, len(routes))
	}
}

// TestRequestFields: every field of the Go type is in the document, and none else.
func TestRequestFields(t *testing.T) {
	d, err := parseDocument(openapiDocument)
	if err != nil {
		t.Fatal(err)
	}
	path, retries := "/", 1
	full := JobRequest{&path, []string{"/"}, []string{"/f"}, true, 1, true, "r", "queue", true, &retries}
	b, err := json.Marshal(full)
	if err != nil {
		t.Fatal(err)
	}
	var fields object
	if err := json.Unmarshal(b, &fields); err != nil {
		t.Fatal(err)
	}
	documented := objectAt(d.resolve("#/components/schemas/JobRequest"), "properties")
	if got, want := slices.Sorted(maps.Keys(fields)), slices.Sorted(maps.Keys(documented)); !slices.Equal(got, want) {
		t.Errorf("fields %v, documented %v", got, want)
	}
	if err := d.validate(object{"$ref": "#/components/schemas/JobRequest"}, fields, "request"); err != nil {
		t.Error(err)
	}
}
