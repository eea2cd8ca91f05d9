package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// A report prints results as they come, or as JSON all at once.
type report struct {
	out    io.Writer
	asJSON bool

	results                 []result
	passed, failed, skipped int
}

func newReport(out io.Writer, asJSON bool) *report { return &report{out: out, asJSON: asJSON} }

func (r *report) add(res result) {
	r.results = append(r.results, res)
	switch res.Outcome {
	case passed:
		r.passed++
	case failed:
		r.failed++
	case skipped:
		r.skipped++
	}
	if r.asJSON {
		return
	}
	if res.Outcome == skipped {
		fmt.Fprintf(r.out, "skipped  %7s    %s: skipped: %s\n", "", res.Name, strings.Join(res.Messages, "; "))
		return
	}
	fmt.Fprintf(r.out, "%s   %7.1f s  %s\n", res.Outcome, res.Seconds, res.Name)
	for _, m := range res.Messages {
		fmt.Fprintf(r.out, "                     %s\n", m)
	}
}

func (r *report) end() {
	if !r.asJSON {
		fmt.Fprintf(r.out, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
		return
	}
	json.NewEncoder(r.out).Encode(map[string]any{"checks": r.results, "passed": r.passed, "failed": r.failed, "skipped": r.skipped})
}
