package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A report is everything that was measured on a machine. What a run does not measure is
// in it as an earlier one did.
type report struct {
	Date    time.Time     `json:"date"`
	Machine machine       `json:"machine"`
	Scale   float64       `json:"scale"` // of the last run
	Rounds  int           `json:"rounds"`
	Cases   []*caseResult `json:"cases"`
}

type machine struct {
	Cores     int    `json:"cores"`
	Processor string `json:"processor"`
	Kernel    string `json:"kernel"`
	Go        string `json:"go"`
}

// A caseResult has the samples of one case.
type caseResult struct {
	Name      string  `json:"name"`
	Files     int     `json:"files"`
	Size      int64   `json:"size"` // bytes of each file
	Workload  string  `json:"workload"`
	Secure    bool    `json:"secure"`
	LatencyMS float64 `json:"latency_ms"`
	Transfers int     `json:"transfers"`
	Scale     float64 `json:"scale"`
	Rounds    int     `json:"rounds"`
	// Of some cases: files asked for together, and the large files that those
	// above are behind.
	Batch      int       `json:"batch,omitempty"`
	Behind     int       `json:"behind,omitempty"`
	BehindSize int64     `json:"behind_size,omitempty"` // bytes of each
	Results    []*result `json:"results"`
}

// A result is what one of those who are measured did, round by round.
type result struct {
	Op      string   `json:"op"`
	Who     string   `json:"who"`
	Samples []sample `json:"samples"`
}

func newReport(o options) *report {
	return &report{Date: time.Now().UTC().Truncate(time.Second), Machine: thisMachine(), Scale: o.scale, Rounds: o.rounds}
}

func thisMachine() machine {
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version()}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	info, _ := os.ReadFile("/proc/cpuinfo") // nothing is as good as an error
	for line := range strings.Lines(string(info)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			m.Processor = strings.TrimSpace(value)
			break
		}
	}
	return m
}

func (r *report) newCase(c benchCase) *caseResult {
	found := &caseResult{
		Name: c.name, Files: c.files, Size: c.size, Workload: c.workload.name, Secure: c.secure,
		LatencyMS: float64(c.latency) / float64(time.Millisecond), Transfers: c.transfers,
		Scale: r.Scale, Rounds: r.Rounds, Batch: c.batch, Behind: c.behind, BehindSize: c.behindSize,
	}
	r.Cases = append(r.Cases, found)
	return found
}

// find gives a case by its name; nil: it was not measured.
func (r *report) find(name string) *caseResult {
	i := slices.IndexFunc(r.Cases, func(c *caseResult) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return r.Cases[i]
}

func (c *caseResult) add(op, who string, s sample) {
	found := c.find(op, who)
	if found == nil {
		found = &result{Op: op, Who: who}
		c.Results = append(c.Results, found)
	}
	found.Samples = append(found.Samples, s)
}

// find gives the result of one; nil: there is none.
func (c *caseResult) find(op, who string) *result {
	for _, r := range c.Results {
		if r.Op == op && r.Who == who {
			return r
		}
	}
	return nil
}

// median is that of a figure of all rounds. No result has a median of 0.
func (r *result) median(of func(sample) float64) float64 {
	if r == nil {
		return 0
	}
	values := make([]float64, len(r.Samples))
	for i, s := range r.Samples {
		values[i] = of(s)
	}
	return median(values)
}

// The figures that tables and plots are made of.

func seconds(s sample) float64  { return s.Seconds }
func cpu(s sample) float64      { return s.CPU }
func peak(s sample) float64     { return float64(s.Peak) }
func requests(s sample) float64 { return float64(s.Total()) }
func count(s sample) float64    { return float64(s.Latencies.Count) }
func p50(s sample) float64      { return s.Latencies.P50 }
func p99(s sample) float64      { return s.Latencies.P99 }

// keep takes over from an earlier report of this machine what was not measured again.
// It fails for a file that is there and is none.
func (r *report) keep(path string) error {
	old, err := readReport(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && old.Machine != r.Machine {
		return nil
	}
	if err != nil {
		return err
	}
	for _, c := range old.Cases {
		if r.find(c.Name) == nil {
			r.Cases = append(r.Cases, c)
		}
	}
	order := func(c *caseResult) int {
		return slices.IndexFunc(allCases, func(b benchCase) bool { return b.name == c.Name })
	}
	slices.SortStableFunc(r.Cases, func(a, b *caseResult) int { return order(a) - order(b) })
	return nil
}

func (r *report) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// print shows the tables of all cases.
func (r *report) print() {
	for _, c := range r.Cases {
		fmt.Println(c.text())
	}
}

func readReport(path string) (*report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(report)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s is no report of hsmbench: %w", path, err)
	}
	return r, nil
}
