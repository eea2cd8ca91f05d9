package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// perGiB is the size from which figures are per GiB. Below it they are per file.
const perGiB = 8 * mib

// cells is a table: the first line is its head.
type cells [][]string

// table has a line for each result of a case: medians, and the ratios to the loop
// of the SDK.
func (c *caseResult) table() cells {
	rate, cost := "files/s", "CPU µs/file"
	if c.Size >= perGiB {
		rate, cost = "GiB/s", "CPU s/GiB"
	}
	t := cells{{"", "", "s", rate, cost, "peak MiB", "requests/file", "CPU : sdk", "time : sdk"}}
	for _, op := range []string{archive, restore} {
		for _, r := range c.Results {
			if r.Op == op {
				t = append(t, c.line(r))
			}
		}
	}
	return t
}

func (c *caseResult) line(r *result) []string {
	sdk := c.find(r.Op, sdkLoop)
	return []string{
		r.Op, r.Who,
		fmt.Sprintf("%.2f", r.median(seconds)),
		number(c.rate(r)),
		number(c.cost(r)),
		fmt.Sprintf("%.0f", r.median(peak)/mib),
		fmt.Sprintf("%.4g", r.median(requests)/float64(c.Files)),
		ratio(r.median(cpu), sdk.median(cpu)),
		ratio(r.median(seconds), sdk.median(seconds)),
	}
}

// rate is GiB or files per second.
func (c *caseResult) rate(r *result) float64 { return c.units() / r.median(seconds) }

// cost is CPU seconds per GiB, or microseconds per file.
func (c *caseResult) cost(r *result) float64 {
	each := r.median(cpu) / c.units()
	if c.Size < perGiB {
		each *= 1e6
	}
	return each
}

// units is the number of GiB, or of files.
func (c *caseResult) units() float64 {
	if c.Size >= perGiB {
		return float64(c.Files) * float64(c.Size) / gib
	}
	return float64(c.Files)
}

func number(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func ratio(a, b float64) string {
	if b <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", a/b)
}

// text is a case for a terminal.
func (c *caseResult) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, %d transfers\n", c.Name, describe(c.Files, c.Size), c.Transfers)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, line := range c.table() {
		fmt.Fprintln(w, "  "+strings.Join(line, "\t"))
	}
	w.Flush() //nolint:errcheck // a Builder takes everything
	return b.String()
}

// markdown is a table for a document. Numbers are to the right.
func (t cells) markdown() string {
	var b strings.Builder
	for i, line := range t {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(line, " | "))
		if i == 0 {
			b.WriteString("|---|---|" + strings.Repeat("---:|", len(line)-2) + "\n")
		}
	}
	return b.String()
}
