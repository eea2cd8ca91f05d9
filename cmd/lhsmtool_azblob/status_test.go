package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/copytool"
	"lhsm-azblob/httpapi"
)

func busyActivity() copytool.Activity {
	return copytool.Activity{
		Serving: true, Draining: true, SentPerSecond: 1, ReceivedPerSecond: 2, EndedPerSecond: 3, ActionsLeftOut: 4,
		Lanes:    []copytool.LaneActivity{{Op: "ARCHIVE", Running: 1, Limit: 2, Waiting: 3, Parked: 4, Unreported: 5, OldestSeconds: 6}},
		Actions:  []copytool.ActionActivity{{Op: "ARCHIVE", FID: "[0x1:0x2:0x0]", Cookie: "0x1", Path: "dir/f", State: "running", Bytes: 1, Size: 2, BytesPerSecond: 3, Seconds: 4, Urgent: true, Adopted: true}},
		Failures: []copytool.FailedAction{{Time: time.Unix(1, 0).UTC(), Op: "ARCHIVE", FID: "[0x1:0x3:0x0]", Path: "dir/g", Code: copytool.BlobExists, Message: "the blob dir/g is not ours"}},
	}
}

// busy is an agent that always does the same.
type busy struct{}

func (busy) Status() copytool.Status     { return copytool.Status{} }
func (busy) Activity() copytool.Activity { return busyActivity() }

// TestStatusIsUnderstood: the service and lhsmctl top know all that the copytool says.
func TestStatusIsUnderstood(t *testing.T) {
	said := statusReport{Version: "v", FileSystem: "f", Mount: "/m", MemoryInUse: 1, MemoryLimit: 2, RequestsInFlight: 3, RequestsLimit: 4, Activity: busyActivity()}
	for i, v := 0, reflect.ValueOf(said.Activity); i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			t.Fatalf("%s is not in the example", v.Type().Field(i).Name)
		}
	}
	b, err := json.Marshal(said)
	if err != nil {
		t.Fatal(err)
	}
	strict := json.NewDecoder(bytes.NewReader(b))
	strict.DisallowUnknownFields()
	var heard httpapi.MoverActivity
	if err := strict.Decode(&heard); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(heard)
	if err != nil {
		t.Fatal(err)
	}
	var first, second map[string]any
	if err := json.Unmarshal(b, &first); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(again, &second); err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(second, func(name string, _ any) bool { return name == "url" || name == "reachable" })
	if !reflect.DeepEqual(first, second) {
		t.Errorf("said was\n%v\nheard\n%v", first, second)
	}
}

// TestWhoSeesPaths: who is on this machine, and who has the token.
func TestWhoSeesPaths(t *testing.T) {
	const token = "0123456789abcdef"
	pool := blobstore.NewPool(blobstore.PoolOptions{})
	defer pool.Close()
	for _, tt := range []struct {
		token, from, bearer string
		status              int
		paths               bool
	}{
		{"", "127.0.0.1:1000", "", 200, true},
		{"", "[::1]:1000", "", 200, true},
		{"", "10.0.0.1:1000", "", 200, false},
		{"", "10.0.0.1:1000", "anything", 401, false},
		{"", "10.0.0.1:1000", " ", 401, false},
		{token, "10.0.0.1:1000", token, 200, true},
		{token, "10.0.0.1:1000", "", 200, false},
		{token, "10.0.0.1:1000", "wrong", 401, false},
		{token, "127.0.0.1:1000", "wrong", 401, false},
		{token, "nonsense", "", 200, false},
	} {
		f := &face{agent: busy{}, pool: pool, mount: &copytool.Mount{FSName: "lustre", Root: "/m"}, token: tt.token}
		r := httptest.NewRequest(http.MethodGet, "/status", nil)
		r.RemoteAddr = tt.from
		if tt.bearer != "" {
			r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(tt.bearer))
		}
		w := httptest.NewRecorder()
		f.status(w, r)
		body := w.Body.String()
		if w.Code != tt.status || strings.Contains(body, "dir/f") != tt.paths || strings.Contains(body, "dir/g") != tt.paths {
			t.Errorf("%+v: %d\n%s", tt, w.Code, body)
		}
		if tt.status == 200 && !strings.Contains(body, "[0x1:0x2:0x0]") {
			t.Errorf("%+v: no FID in %s", tt, body)
		}
	}
}
