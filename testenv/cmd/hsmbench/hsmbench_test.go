package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lhsm-azblob/testenv/blobsink"
	"lhsm-azblob/testenv/meter"
)

func TestCasesAreChosenByName(t *testing.T) {
	for _, tt := range []struct {
		cases, who string
		want       string // names of the cases, then who of the first
	}{
		{"large/http", "*", "large/http: copytool defaults blobstore sdk nethttp sendfile rclone"},
		{"large/https*", "sdk,copytool", "large/https large/https+20ms large/https+5ms large/https+50ms: copytool sdk"},
		{"small-*/http,medium/https", "s*", "medium/https small-64KiB/http small-4KiB/http: sdk sendfile"},
		{"sparse*", "*", "sparse/http: copytool blobstore sdk"},
		{"large", "*", ""},
		{"sparse*", "rclone", ""},
		{"[", "*", ""},
		{"*", "[", ""},
	} {
		cases, err := choose(tt.cases, tt.who)
		var names []string
		for _, c := range cases {
			names = append(names, c.name)
		}
		got := strings.Join(names, " ")
		if len(cases) > 0 {
			got += ": " + strings.Join(cases[0].who, " ")
		}
		if got != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("%q, %q: %q, %v; want %q", tt.cases, tt.who, got, err, tt.want)
		}
	}
	if all, err := choose("*", "*"); err != nil || len(all) != len(allCases) {
		t.Errorf("%d of %d cases, %v", len(all), len(allCases), err)
	}
}

func TestCaseNamesAreDistinct(t *testing.T) {
	var names []string
	for _, c := range allCases {
		names = append(names, c.name)
	}
	slices.Sort(names)
	if n := len(slices.Compact(names)); n != len(allCases) {
		t.Errorf("%d names for %d cases", n, len(allCases))
	}
}

func TestScale(t *testing.T) {
	for _, tt := range []struct {
		workload
		part  float64
		files int
		size  int64
	}{
		{large, 1, 1, 8 * gib},
		{large, 1. / 16, 1, 512 * mib},
		{large, 1e-9, 1, 8 * mib},
		{sparse, 0.01, 1, 10 * blobsink.SparsePeriod},
		{small64, 0.1, 2000, 64 * kib},
		{medium, 0.001, 1, 256 * mib},
	} {
		if c := (benchCase{workload: tt.workload}).scaled(tt.part); c.files != tt.files || c.size != tt.size {
			t.Errorf("%s at %g: %d files of %d", tt.name, tt.part, c.files, c.size)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 100}, 3}} {
		if got := median(tt.values); got != tt.want {
			t.Errorf("median of %v is %v, want %v", tt.values, got, tt.want)
		}
	}
}

func TestQuantiles(t *testing.T) {
	var times []time.Duration
	for i := range 200 {
		times = append(times, time.Duration(200-i)*time.Second)
	}
	if q := *quantilesOf(times); q != (quantiles{200, 100, 198}) {
		t.Errorf("quantiles of 1 to 200 are %+v", q)
	}
	if q := *quantilesOf(times[:1]); q != (quantiles{1, 200, 200}) {
		t.Errorf("quantiles of one are %+v", q)
	}
	if q := *quantilesOf(nil); q != (quantiles{}) {
		t.Errorf("quantiles of none are %+v", q)
	}
}

// results are of one large file and of many small ones.
func results() *report {
	r := new(report)
	figures := func(seconds, cpu float64) sample {
		return sample{Figures: meter.Figures{Seconds: seconds, CPU: cpu, Peak: 100 * mib, Requests: map[string]int64{"put-block": 128, "put-block-list": 1}}}
	}
	big := r.newCase(benchCase{name: "large/http", workload: workload{name: "large", files: 1, size: 2 * gib}, transfers: 16})
	for _, s := range []sample{figures(4, 1.2), figures(40, 9), figures(4, 1.1)} {
		big.add(archive, copytool, s)
	}
	big.add(archive, sdkLoop, figures(2, 1))
	many := r.newCase(benchCase{name: "small/http", workload: workload{name: "small", files: 1000, size: 64 * kib}, transfers: 16})
	many.add(restore, copytool, figures(0.5, 0.25))
	return r
}

func TestTable(t *testing.T) {
	r := results()
	got := r.Cases[0].table().markdown() + r.Cases[1].table().markdown()
	want := `|  |  | s | GiB/s | CPU s/GiB | peak MiB | requests/file | CPU : sdk | time : sdk |
|---|---|---:|---:|---:|---:|---:|---:|---:|
| archive | copytool | 4.00 | 0.50 | 0.60 | 100 | 129 | 1.20 | 2.00 |
| archive | sdk | 2.00 | 1.00 | 0.50 | 100 | 129 | 1.00 | 1.00 |
|  |  | s | files/s | CPU µs/file | peak MiB | requests/file |
|---|---|---:|---:|---:|---:|---:|
| restore | copytool | 0.50 | 2000 | 250 | 100 | 0.129 |
`
	if got != want {
		t.Errorf("tables are\n%s\nwant\n%s", got, want)
	}
}

func TestReportsAreKept(t *testing.T) {
	path := t.TempDir() + "/report.json"
	before := results()
	if err := before.write(path); err != nil {
		t.Fatal(err)
	}
	after, err := readReport(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := after.Cases[0].text(), before.Cases[0].text(); got != want {
		t.Errorf("read\n%s\nwritten\n%s", got, want)
	}
	if _, err := readReport("hsmbench_test.go"); err == nil || !strings.Contains(err.Error(), "is no report of hsmbench") {
		t.Errorf("a file that is no report: %v", err)
	}
}

func TestTablesOfOtherCases(t *testing.T) {
	r := new(report)
	behind := r.newCase(benchCase{
		name: "mixed/http", transfers: 16,
		workload: workload{files: 1000, size: 4 * kib, behind: 4, behindSize: 2 * gib},
	})
	behind.add(archive, copytool, sample{
		Figures: meter.Figures{Seconds: 2, Peak: 50 * mib}, Latencies: &quantiles{Count: 400, P50: 0.0123, P99: 0.9},
	})
	want := `mixed/http: 1000 x 4 KiB behind 4 x 2 GiB, 16 transfers
                     s     small files  p50 ms  p99 ms  peak MiB
  archive  copytool  2.00  400          12      900     50
`
	if got := behind.text(); got != want {
		t.Errorf("\n%s\nwant\n%s", got, want)
	}
	queue := r.newCase(benchCase{name: "queue/http", transfers: 16, workload: workload{files: 5000, size: 4 * kib, batch: 100}})
	if got := queue.title(); got != "queue/http: 5000 x 4 KiB, 100 waiting at a time, 16 transfers" {
		t.Error(got)
	}
}

func TestMarks(t *testing.T) {
	r := results()
	r.Cases[1].Name = "small-64KiB/http"
	r.Cases[1].add(restore, httpLoop, sample{Figures: meter.Figures{Seconds: 0.1, CPU: 0.1}})
	got := r.marks().markdown()
	want := `|  |  | wanted | measured |  |
|---|---|---:|---:|---:|
| large file, HTTP, archive | CPU s/GiB | ≤ 0.65 | 0.60 | reached |
| files of 64 KiB, restore | CPU µs/file | ≤ 250 | 250 | reached |
| files of 64 KiB, restore | x the CPU of net/http's loop | ≤ 5 | 2.50 | reached |
| files of 64 KiB, restore | files/s | ≥ 3000 | 2000 | missed |
| memory, the most in any case | MiB | ≤ 1088 | 100 | reached |
`
	if got != want {
		t.Errorf("marks are\n%s\nwant\n%s", got, want)
	}
}

// TestMarksAreOfCases: a mark of a case that is called otherwise by now would
// never be looked at again.
func TestMarksAreOfCases(t *testing.T) {
	r := new(report)
	for _, c := range allCases {
		found := r.newCase(c)
		for _, op := range []string{archive, restore} {
			for _, who := range c.who {
				s := sample{Figures: meter.Figures{Seconds: 1, CPU: 1, Peak: 1, Requests: map[string]int64{"put-blob": 1}}}
				s.Latencies = &quantiles{1, 1, 1}
				found.add(op, who, s)
			}
		}
	}
	if n := len(r.marks()) - 1; n != len(marks) {
		t.Errorf("%d of %d marks have a case", n, len(marks))
	}
	for name, p := range r.plots() {
		for _, s := range p.series {
			if len(s.points) < 4 {
				t.Errorf("%s: %s has %d points", name, s.name, len(s.points))
			}
		}
	}
}

func TestDocument(t *testing.T) {
	r := results()
	r.Date, r.Machine = time.Date(2026, 2, 3, 0, 0, 0, 0, time.UTC), machine{2, "Z80", "6.1", "go1.26"}
	for _, c := range r.Cases {
		c.Scale, c.Rounds = 0.5, 3
	}
	got, err := r.fill("a\n<!-- hsmbench machine -->\nold\n<!-- /hsmbench -->\nb\n<!-- hsmbench cases small/* -->\n<!-- /hsmbench -->\nc\n")
	want := `a
<!-- hsmbench machine -->

Measured on 3 February 2026: 2 cores of Z80, Linux 6.1, go1.26; medians of so many rounds, and files of such a scale, as the command of each table says.

<!-- /hsmbench -->
b
<!-- hsmbench cases small/* -->

**small/http: 1000 x 64 KiB, 16 transfers**. ` + "`make bench CASES=small/http SCALE=0.5 ROUNDS=3`" + `

|  |  | s | files/s | CPU µs/file | peak MiB | requests/file |
|---|---|---:|---:|---:|---:|---:|
| restore | copytool | 0.50 | 2000 | 250 | 100 | 0.129 |

<!-- /hsmbench -->
c
`
	if err != nil || got != want {
		t.Errorf("%v, document is\n%s\nwant\n%s", err, got, want)
	}
	if again, err := r.fill(got); err != nil || again != got {
		t.Errorf("%v, the second time it is\n%s", err, again)
	}
	for text, want := range map[string]string{
		"nothing": "no place for figures",
		"<!-- hsmbench pictures -->\n<!-- /hsmbench -->":      `no place is called "pictures"`,
		"<!-- hsmbench cases medium* -->\n<!-- /hsmbench -->": "no case",
	} {
		if _, err := r.fill(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestKeep: a run of some cases leaves the others in the file, unless those are of
// another machine.
func TestKeep(t *testing.T) {
	file := filepath.Join(t.TempDir(), "results.json")
	names := func(r *report) (names []string) {
		for _, c := range r.Cases {
			names = append(names, fmt.Sprint(c.Name, c.Scale))
		}
		return names
	}
	run := func(scale float64, m machine, cases ...string) *report {
		t.Helper()
		r := &report{Machine: m, Scale: scale}
		for _, name := range cases {
			r.newCase(benchCase{name: name})
		}
		if err := errors.Join(r.keep(file), r.write(file)); err != nil {
			t.Fatal(err)
		}
		return r
	}
	run(0.5, machine{Cores: 2}, "large/http", "mixed/http", "sparse/http")
	got := names(run(1, machine{Cores: 2}, "mixed/http", "large/https"))
	if want := []string{"large/http0.5", "large/https1", "mixed/http1", "sparse/http0.5"}; !slices.Equal(got, want) {
		t.Errorf("the report has %q, want %q", got, want)
	}
	if got := names(run(1, machine{Cores: 4}, "mixed/http")); len(got) != 1 {
		t.Errorf("the report of another machine has %q", got)
	}
	if err := os.WriteFile(file, []byte("no JSON"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := new(report).keep(file); err == nil {
		t.Error("a file that is no report would be replaced")
	}
}

// TestPlot: pictures are XML, and a value ten times as large is a decade higher.
func TestPlot(t *testing.T) {
	p := plot{
		title: "a < b", ticks: []tick{{1, "one"}, {100, "hundred"}},
		series: []series{{name: "full", color: blue, points: []point{{1, 1}, {10, 10}, {100, 100}}}, {name: "empty"}},
	}
	text := p.svg()
	var all struct{}
	if err := xml.Unmarshal([]byte(text), &all); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if !strings.Contains(text, `points="70.0,370.0 315.0,205.0 560.0,40.0"`) || strings.Contains(text, "empty") || !strings.Contains(text, "a &lt; b") {
		t.Errorf("plot is\n%s", text)
	}
	if err := xml.Unmarshal([]byte(plot{ticks: p.ticks}.svg()), &all); err != nil {
		t.Errorf("plot of nothing: %v", err)
	}
}
