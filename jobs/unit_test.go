package jobs

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lhsm-azblob/llapi"
)

func TestSkipReason(t *testing.T) {
	for flags, want := range map[llapi.StateFlags]Reason{
		0x00: "", 0x01: "", 0x02: "", 0x03: "", 0x0b: "", 0x4b: "", 0x49: "", 0x11: "", 0x1b: "",
		0x09: SkipArchived, 0x19: SkipArchived, 0x0d: SkipReleased, 0x4d: SkipReleased, 0x1d: SkipReleased,
		0x20: SkipNeverArchive, 0x29: SkipNeverArchive, 0x2b: SkipNeverArchive, 0x2d: SkipNeverArchive,
	} {
		if got := skipReason(flags); got != want {
			t.Errorf("%#x: %q, want %q", flags, got, want)
		}
	}
}

// TestWindow plays a coordinator that completes some requests per second, and
// holds some at once.
func TestWindow(t *testing.T) {
	for _, test := range []struct {
		rate, slots float64
		least, most float64
	}{
		{0, 0, 1, 16},            // nobody works
		{1000, 64, 2000, 10_000}, // small files
		{0.1, 64, 64, 400},       // huge files: all slots are busy, and a queue waits
		{1e6, 1e6, 10_000, 10_000},
	} {
		w := newWindow(10_000)
		if w.room(0) != 1 || w.room(1) != 0 {
			t.Errorf("the first request is not alone: %d", w.room(0))
		}
		for range 1000 { // adjusted ten times a second
			inQueue := w.size - test.slots
			w.adjust(inQueue > 0, min(test.rate, w.size*10))
		}
		if w.size < test.least || w.size > test.most {
			t.Errorf("%+v: the window is %.0f", test, w.size)
		}
	}
	w := window{size: 8000, max: 10_000}
	for range 200 { // the copytools have died
		w.adjust(true, 0)
	}
	if w.size > 2*leastQueue {
		t.Errorf("the window of a dead coordinator is %.0f", w.size)
	}
}

func TestPercentAndETA(t *testing.T) {
	for _, test := range []struct {
		c       Counters
		percent int
		eta     time.Duration // at one file and 10 bytes per second
	}{
		{Counters{}, 0, 0},
		{Counters{FilesFound: 10, FilesSkipped: 10, BytesFound: 5, BytesSkipped: 5}, 0, 0},
		{Counters{FilesFound: 10, BytesFound: 100, FilesExported: 5, BytesExported: 90}, 50, 5 * time.Second},
		{Counters{FilesFound: 10, BytesFound: 100, FilesExported: 9, BytesExported: 10}, 10, 9 * time.Second},
		{Counters{FilesFound: 1000, BytesFound: 0, FilesExported: 999}, 99, time.Second},
		{Counters{FilesFound: 4, BytesFound: 0, FilesExported: 2, FilesFailed: 2}, 99, 0},
		{Counters{FilesFound: 5, FilesSkipped: 1, BytesFound: 50, BytesSkipped: 10, FilesExported: 1, BytesExported: 10, FilesFailed: 1, BytesFailed: 10}, 50, 2 * time.Second},
	} {
		if got := test.c.percent(); got != test.percent {
			t.Errorf("%+v: %d %%, want %d", test.c, got, test.percent)
		}
		if got := test.c.eta(1, 10); got != test.eta {
			t.Errorf("%+v: %v, want %v", test.c, got, test.eta)
		}
	}
	if got := (&Counters{FilesFound: 1}).eta(0, 0); got != 0 {
		t.Errorf("ETA at rate 0: %v, want unknown", got)
	}
}

func TestRate(t *testing.T) {
	var r rate
	start := time.Unix(1000, 0)
	for i := range 100 {
		r.add(start.Add(time.Duration(i)*time.Second), int64(10*i), int64(100*i))
	}
	end := start.Add(99 * time.Second)
	if files, bytes := r.perSecond(end); math.Abs(files-10) > 0.01 || math.Abs(bytes-100) > 0.1 || len(r.samples) > 33 {
		t.Errorf("%f files, %f bytes, %d samples", files, bytes, len(r.samples))
	}
	if files, _ := r.perSecond(end.Add(30 * time.Second)); files > 6 {
		t.Errorf("half a minute after the last: %f", files)
	}
}

func TestMeter(t *testing.T) {
	var m meter
	at := time.Unix(1000, 0)
	for range 100 {
		at = at.Add(100 * time.Millisecond)
		m.add(50, at)
	}
	if v := m.value(at); v < 400 || v > 550 {
		t.Errorf("%f, want about 500", v)
	}
	if v := m.value(at.Add(time.Minute)); v > 1 {
		t.Errorf("a minute later: %f", v)
	}
}

func TestFIDKey(t *testing.T) {
	f := llapi.FID{Seq: 0x200000401, OID: 7, Ver: 9}
	if got := keyFID(fidKey(f)); got != f {
		t.Errorf("%v", got)
	}
	w := work{path: "/sixteen bytes !"} // a path is no FID, whatever its length
	if got := keyFID(w.key()); !got.IsZero() && len(w.key()) == 16 {
		t.Errorf("the key of a path reads as %v", got)
	}
}

// TestPrune keeps what is new, by age and by number, and whatever runs.
func TestPrune(t *testing.T) {
	s, err := openStore(filepath.Join(t.TempDir(), "a%20?#b", "jobs.db"), "lustre")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	now := time.Now()
	for i := range 10 {
		job := Job{State: Queued, Created: now}
		if job.ID, err = s.create(t.Context(), job, func(func(listed, error) bool) {}); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			continue // never ends
		}
		line := int64(0)
		err := s.tx(t.Context(), func(t tx) error {
			return t.addResults(job.ID, &line, []FileResult{{Path: "/a", Status: StatusFailed}, {Path: "/b", Status: StatusExported}})
		})
		if err != nil {
			t.Fatal(err)
		}
		job.State, job.Finished = Completed, now.Add(time.Duration(i-10)*time.Hour)
		if err := s.finish(t.Context(), job); err != nil {
			t.Fatal(err)
		}
	}
	left := func() (ids []int64, results int) {
		jobs, err := s.jobs(t.Context(), math.MaxInt64, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range jobs {
			ids = append(ids, j.ID)
		}
		results, err = one[int](t.Context(), s.read, "SELECT count(*) FROM results")
		if err != nil {
			t.Fatal(err)
		}
		return ids, results
	}
	if err := s.prune(t.Context(), now.Add(-5*time.Hour-time.Minute), 100); err != nil {
		t.Fatal(err)
	}
	if ids, results := left(); len(ids) != 6 || ids[0] != 10 || ids[5] != 1 || results != 10 {
		t.Errorf("by age: %v, %d results", ids, results)
	}
	if err := s.prune(t.Context(), time.Time{}, 2); err != nil {
		t.Fatal(err)
	}
	if ids, results := left(); len(ids) != 3 || results != 4 {
		t.Errorf("by number: %v, %d results", ids, results)
	}
}

// TestUpgrade reads the failures that the first form of the database had.
func TestUpgrade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jobs.db")
	s, err := openStore(path, "lustre")
	if err != nil {
		t.Fatal(err)
	}
	results := []FileResult{
		{Path: "/nothing\xff", Message: errNoMatch.Error()},
		{Path: "/", Message: "open: input/output error"},
		{Path: "/secret\xff", Message: "getdents: input/output error"},
		{Path: "/secret", Message: "getdents: input/output error"},
		{Path: "/file", Message: "lgetxattr trusted.hsm: input/output error"},
		{Path: "/asked", Message: "open: it cannot be", FID: fakeFID(1).String()},
	}
	for _, spec := range []Spec{{Prefixes: []string{"/"}}, {FileCount: 5}, {Prefixes: []string{"/other", "/secret"}}, {Prefixes: []string{"/secret/deep", "/sec/"}}} {
		line, job := int64(0), Job{Spec: spec, State: CompletedPartial}
		if job.ID, err = s.create(t.Context(), job, func(func(listed, error) bool) {}); err != nil {
			t.Fatal(err)
		}
		err := s.tx(t.Context(), func(t tx) error {
			for i := range results {
				results[i].Status = StatusFailed
			}
			return t.addResults(job.ID, &line, results)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	const back = "DROP INDEX prefixes; ALTER TABLE lists DROP COLUMN prefix; ALTER TABLE results DROP COLUMN prefix; ALTER TABLE work ADD COLUMN version INTEGER NOT NULL DEFAULT 0; PRAGMA user_version = 1"
	if err := errors.Join(s.tx(t.Context(), func(t tx) error { return t.exec(back) }), s.close()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a check leaves it to be upgraded
		if what, err := checkStore(path, "lustre"); err != nil || what != "will be upgraded" {
			t.Errorf("a check says %q, %v", what, err)
		}
	}
	if s, err = openStore(path, "lustre"); err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for job, want := range map[int64][]string{
		1: {"/nothing\xff", "/", "/secret\xff/", "/secret/", "", ""},
		2: {"", "", "", "", "", ""},
		3: {"/nothing\xff", "", "/secret\xff/", "/secret/", "", ""}, // a prefix is a string
		4: {"/nothing\xff", "", "", "", "", ""},
	} {
		page, _, err := s.resultPage(t.Context(), job, 0, true, 10)
		var got []string
		for _, r := range page {
			got = append(got, r.prefix)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("job %d: %q, %v; want %q", job, got, err, want)
		}
	}
}

// TestListedPrefixes come sorted, each once, over more than a page.
func TestListedPrefixes(t *testing.T) {
	s, err := openStore(filepath.Join(t.TempDir(), "jobs.db"), "lustre")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	const count = 2*listPage + 1
	id, err := s.create(t.Context(), Job{State: Queued}, func(yield func(listed, error) bool) {
		for i := range 2 * count {
			yield(listed{path: "/p", prefix: fmt.Sprintf("/%06d", (i*7)%count)}, nil)
			yield(listed{path: "/file"}, nil)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for p, err := range s.listedPrefixes(t.Context(), id) {
		if want := fmt.Sprintf("/%06d", n); err != nil || p != want {
			t.Fatalf("%q, %v, want %q", p, err, want)
		}
		n++
	}
	if n != count {
		t.Errorf("%d prefixes, want %d", n, count)
	}
}

const (
	someError    = `{"v":1,"t":"2026-11-28T00:00:00Z","op":"ARCHIVE","code":"BlobLeased","msg":"leased","host":"mover1"}`
	someIdentity = `{"v":1,"acct":"acc","ctr":"c","name":"dir/f","etag":"\"0x8D\"","size":7,"crc":"00ff","dv":12,"t":"2026-11-28T00:00:00Z","lov":"AAAA"}`
)

func FuzzParseNotes(f *testing.F) {
	f.Add([]byte(someError))
	f.Add([]byte(someIdentity))
	f.Add([]byte(`{"v":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if last, err := parseLastError(b); err == nil && last.Code == "" {
			t.Errorf("an error without a code: %+v", last)
		}
		if id, err := parseIdentity(b); err == nil && (id.Blob == "" || id.Size < 0) {
			t.Errorf("an identity without a blob: %+v", id)
		}
	})
}

func TestParseNotes(t *testing.T) {
	last, err := parseLastError([]byte(someError))
	if err != nil || last.Code != "BlobLeased" || last.Message != "leased" || last.Host != "mover1" || last.Op != "ARCHIVE" || last.Time.IsZero() {
		t.Errorf("%+v, %v", last, err)
	}
	id, err := parseIdentity([]byte(someIdentity))
	if err != nil || id.Account != "acc" || id.Container != "c" || id.Blob != "dir/f" || id.ETag != `"0x8D"` || id.Size != 7 || id.CRC64 != "00ff" {
		t.Errorf("%+v, %v", id, err)
	}
	for _, bad := range []string{"", "{}", `{"v":9,"code":"X"}`, `{"v":9,"name":"x"}`, strings.Replace(someIdentity, `"size":7`, `"size":-7`, 1)} {
		if _, err := parseLastError([]byte(bad)); err == nil {
			t.Errorf("parsed as an error: %s", bad)
		}
		if _, err := parseIdentity([]byte(bad)); err == nil {
			t.Errorf("parsed as an identity: %s", bad)
		}
	}
}
