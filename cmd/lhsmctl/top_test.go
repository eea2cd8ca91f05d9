package main

import (
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"lhsm-azblob/httpapi"
	"lhsm-azblob/jobs"
)

func sampleView() topView {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	return topView{
		Time: at,
		Job:  &httpapi.Job{ID: 7, State: jobs.InProgress, PercentComplete: 43},
		Movers: []httpapi.MoverActivity{
			{
				URL: "http://mover1:9090/metrics", Reachable: true, FileSystem: "scratch", Serving: true,
				MemoryInUse: 1 << 29, MemoryLimit: 1 << 30, RequestsInFlight: 40, RequestsLimit: 96,
				SentPerSecond: 3 << 29, ReceivedPerSecond: 1 << 20, EndedPerSecond: 12.3,
				Lanes: []httpapi.MoverLane{
					{Op: "RESTORE", Running: 1, Limit: 64, Parked: 3}, {Op: "ARCHIVE", Running: 2, Limit: 64, Waiting: 1200, OldestSeconds: 75}, {Op: "REMOVE", Limit: 16},
				},
				Actions: []httpapi.RunningAction{
					{Op: "ARCHIVE", FID: "[0x1:0x2:0x0]", Path: "proj/a long way down/文件.dat", State: "running", Bytes: 3 << 30, Size: 4 << 30, BytesPerSecond: 600 << 20, Seconds: 5},
					{Op: "ARCHIVE", FID: "[0x1:0x3:0x0]", State: "ending", Bytes: 10, Size: 10, Seconds: 60},
					{Op: "RESTORE", FID: "[0x1:0x4:0x0]", Path: "evil\x1b[2J\u009b31m\u202egnp.exe", State: "running", Urgent: true},
					{Op: "RESTORE", FID: "[0x1:0x5:0x0]", Path: "big", State: "parked", Size: 1 << 40, Seconds: 90},
				},
				Failures: []httpapi.FailedAction{{Time: at, Op: "ARCHIVE", FID: "[0x1:0x6:0x0]", Path: "taken", Code: "BlobExists", Message: "the blob \"taken\" is not ours\n"}},
			},
			{URL: "http://mover2:9090/metrics", Error: "connection refused"},
		},
	}
}

// TestTopLines is what people see.
func TestTopLines(t *testing.T) {
	want := []string{
		"lhsmctl top  scratch  1 of 2 movers  12:00:00",
		"job 7: InProgress, 43 %, 0 of 0 files, 0 B of 0 B",
		"",
		"MOVER        STATE    ARCHIVE  RESTORE  REMOVE  WAITING  OLDEST  SENT       RECEIVED   ENDED  REQUESTS  MEMORY",
		"mover1:9090  serving  2/64     1/64+3   0/16    1,200    1m15s   1.5 GiB/s  1.0 MiB/s  12/s   40/96     50 %",
		"mover2:9090 is not reached: connection refused",
		"",
		"MOVER        ACTION    PROGRESS                      SIZE     RATE         FOR    FILE",
		`mover1:9090  RESTORE!  [--------------------]  -     -        0 B/s        0s     evil\x1b[2J\u009b31m\u202egnp.exe`,
		"mover1:9090  RESTORE   no room yet          0 %   1.0 TiB  0 B/s        1m30s  big",
		"mover1:9090  ARCHIVE   reporting       100 %  10 B     0 B/s        1m0s   [0x1:0x3:0x0]",
		"mover1:9090  ARCHIVE   [###############-----]  75 %  4.0 GiB  600.0 MiB/s  5s     proj/a long way down/文件.dat",
		"",
		"TIME      MOVER        ACTION   CODE        FILE",
		`12:00:00  mover1:9090  ARCHIVE  BlobExists  taken: the blob "taken" is not ours\n`,
	}
	got := sampleView().lines(0, 0)
	squeeze := func(lines []string) (out []string) {
		for _, l := range lines {
			out = append(out, strings.Join(strings.Fields(l), " "))
		}
		return out
	}
	if !slices.Equal(squeeze(got), squeeze(want)) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// FILE begins in the same column everywhere.
	column := func(line, word string) int { return textWidth(line[:strings.Index(line, word)]) }
	if a, b := column(got[7], "FILE"), column(got[11], "proj/"); a != b {
		t.Errorf("columns %d and %d:\n%s", a, b, strings.Join(got, "\n"))
	}
}

// TestTopFits: a line too many, or too long, scrolls the screen away.
func TestTopFits(t *testing.T) {
	v := sampleView()
	for range 100 {
		v.Movers[0].Actions = append(v.Movers[0].Actions, v.Movers[0].Actions[0])
		v.Movers[0].Failures = append(v.Movers[0].Failures, v.Movers[0].Failures[0])
	}
	v.Movers[0].ActionsLeftOut = 1000
	lines := v.lines(100, 24)
	if len(lines) > 24 {
		t.Errorf("%d lines for 24 rows", len(lines))
	}
	text := strings.Join(lines, "\n")
	for _, want := range []string{"and 1,0", "BlobExists", "…j/a long way down/文件.dat"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for i, l := range lines {
		if i > 5 && textWidth(l) > 100 {
			t.Errorf("line %d takes %d columns: %s", i, textWidth(l), l)
		}
	}
}

func TestCut(t *testing.T) {
	for _, tt := range []struct {
		text        string
		columns     int
		back, front string
	}{
		{"abcdef", 6, "abcdef", "abcdef"},
		{"abcdef", 4, "abc…", "…def"},
		{"文件文件", 5, "文件…", "…文件"},
		{"文件文件", 4, "文…", "…件"},
		{"e\u0301e\u0301", 2, "e\u0301e\u0301", "e\u0301e\u0301"},
		{"abc", 1, "…", "…"},
		{"abc", 0, "abc", "abc"},
	} {
		if back, front := cut(tt.text, tt.columns), cutFront(tt.text, tt.columns); back != tt.back || front != tt.front {
			t.Errorf("%q in %d columns: %q and %q, want %q and %q", tt.text, tt.columns, back, front, tt.back, tt.front)
		}
	}
}

// FuzzTop: whatever a mover says, and however small the terminal is, nothing reaches
// it that could steer it.
func FuzzTop(f *testing.F) {
	b, err := json.Marshal(sampleView())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(b), 80, 24)
	f.Add(`{"movers":[{"url":"\u001b[2J","reachable":true,"actions":[{"bytes":-5,"size":1,"seconds":1e300,"bytesPerSecond":-1e300,"path":"\u009b"}]}]}`, 1, 1)
	f.Add(`{"movers":[{"url":"http://\u0007/","error":"\u001b]0;title\u0007"}]}`, 0, 0)
	f.Fuzz(func(t *testing.T, said string, columns, rows int) {
		var v topView
		if json.Unmarshal([]byte(said), &v) != nil {
			return
		}
		v.Job = nil // of the service
		for _, line := range v.lines(columns, rows) {
			if i := strings.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
				t.Errorf("%q goes to the terminal", line)
			}
			if line = cut(line, columns); columns > 0 && textWidth(line) > columns {
				t.Errorf("%q takes %d of %d columns", line, textWidth(line), columns)
			}
		}
	})
}

// TestTopOnce asks movers directly, and by way of the service.
func TestTopOnce(t *testing.T) {
	var asked []string
	at := answers(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path+" "+r.Header.Get("Authorization"))
		v := sampleView()
		switch r.URL.Path {
		case "/v1/movers":
			json.NewEncoder(w).Encode(httpapi.MoverList{Movers: v.Movers})
		case "/v1/jobs":
			json.NewEncoder(w).Encode(httpapi.JobList{Jobs: []httpapi.Job{{ID: 8, State: jobs.Queued}, {ID: 7, State: jobs.InProgress, StartedTime: &v.Time}}})
		default:
			json.NewEncoder(w).Encode(v.Movers[0])
		}
	})
	for _, args := range [][]string{{"--server", at}, {"--mover", at + "/metrics"}} {
		code, stdout, stderr := lhsmctl(t, append([]string{"top", "--once"}, args...)...)
		if code != exitOK || stderr != "" || !strings.Contains(stdout, "RESTORE!") || !strings.Contains(stdout, "BlobExists") || strings.Contains(stdout, "\x1b") {
			t.Errorf("top %q: exit %d, %q\n%s", args, code, stderr, stdout)
		}
		if has := strings.Contains(stdout, "job 7: InProgress"); has != (args[0] == "--server") {
			t.Errorf("top %q: the job is shown: %t", args, has)
		}
		code, stdout, _ = lhsmctl(t, append([]string{"top", "--json"}, args...)...)
		var v topView
		if err := json.Unmarshal([]byte(stdout), &v); err != nil || code != exitOK || len(v.Movers[0].Actions) != 4 {
			t.Errorf("top --json %q: exit %d, %v\n%s", args, code, err, stdout)
		}
	}
	if want := "/status "; !slices.Contains(asked, want) {
		t.Errorf("asked were %q", asked)
	}
	token := t.TempDir() + "/token"
	if err := os.WriteFile(token, []byte("0123456789abcdef"), 0o600); err != nil {
		t.Fatal(err)
	}
	lhsmctl(t, "top", "--once", "--mover", at, "--mover-token-file", token)
	if want := "/status Bearer 0123456789abcdef"; asked[len(asked)-1] != want {
		t.Errorf("asked was %q, want %q", asked[len(asked)-1], want)
	}
}

func TestTopRefusals(t *testing.T) {
	none := answers(t, func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(httpapi.MoverList{}) })
	for _, tt := range []struct {
		code int
		want string
		args []string
	}{
		{exitUsage, `"mover1:9090" is no address`, []string{"--mover", "mover1:9090"}},
		{exitUsage, "--interval 1ms is too short; the least is 200ms", []string{"--interval", "1ms"}},
		{exitUsage, "1 arguments, and none is wanted", []string{"x"}},
		{exitFailure, "the service knows no movers; name them with --mover", []string{"--server", none}},
		{exitUnreachable, "the service does not run", []string{"--server", "unix:///no/such/socket"}},
	} {
		code, stdout, stderr := lhsmctl(t, append([]string{"top"}, tt.args...)...)
		if code != tt.code || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, tt.want) {
			t.Errorf("top %q: exit %d, %q, %q; want %d, %q", tt.args, code, stdout, stderr, tt.code, tt.want)
		}
	}
	// A mover that is away is part of the picture.
	if code, stdout, _ := lhsmctl(t, "top", "--once", "--mover", "http://127.0.0.1:1"); code != exitOK || !strings.Contains(stdout, "127.0.0.1:1 is not reached: ") {
		t.Errorf("exit %d\n%s", code, stdout)
	}
}
