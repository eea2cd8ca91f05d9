package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// perGiB is the size from which figures are per GiB. Below it they are per file.
const perGiB = 8 * mib

// A column of a table shows one figure of a result: its median.
type column struct {
	head  string
	value func(*caseResult, *result) string
}

var (
	colSeconds  = column{"s", func(_ *caseResult, r *result) string { return fmt.Sprintf("%.2f", r.median(seconds)) }}
	colGiBRate  = column{"GiB/s", func(c *caseResult, r *result) string { return number(c.rate(r)) }}
	colGiBCost  = column{"CPU s/GiB", func(c *caseResult, r *result) string { return number(c.cost(r)) }}
	colFileRate = column{"files/s", colGiBRate.value}
	colFileCost = column{"CPU µs/file", colGiBCost.value}
	colPeak     = column{"peak MiB", func(_ *caseResult, r *result) string { return fmt.Sprintf("%.0f", r.median(peak)/mib) }}
	colRequests = column{"requests/file", func(c *caseResult, r *result) string {
		return fmt.Sprintf("%.4g", r.median(requests)/float64(c.Files))
	}}
	// Ratios to the loop of the SDK.
	colCPURatio = column{"CPU : sdk", func(c *caseResult, r *result) string {
		return ratio(r.median(cpu), c.find(r.Op, sdkLoop).median(cpu))
	}}
	colTimeRatio = column{"time : sdk", func(c *caseResult, r *result) string {
		return ratio(r.median(seconds), c.find(r.Op, sdkLoop).median(seconds))
	}}
	// Of the small files behind large ones.
	colCount = column{"small files", func(_ *caseResult, r *result) string { return fmt.Sprintf("%.0f", r.median(count)) }}
	colP50   = column{"p50 ms", func(_ *caseResult, r *result) string { return fmt.Sprintf("%.0f", r.median(p50)*1e3) }}
	colP99   = column{"p99 ms", func(_ *caseResult, r *result) string { return fmt.Sprintf("%.0f", r.median(p99)*1e3) }}
)

// columns are those that have something to say in this case.
func (c *caseResult) columns() []column {
	columns := []column{colSeconds}
	switch {
	case c.Behind > 0:
		return append(columns, colCount, colP50, colP99, colPeak)
	case c.Size >= perGiB:
		columns = append(columns, colGiBRate, colGiBCost)
	default:
		columns = append(columns, colFileRate, colFileCost)
	}
	columns = append(columns, colPeak, colRequests)
	if c.find(archive, sdkLoop) != nil {
		columns = append(columns, colCPURatio, colTimeRatio)
	}
	return columns
}

// cells is a table: the first line is its head.
type cells [][]string

// table has a line for each result of a case.
func (c *caseResult) table() cells {
	columns := c.columns()
	head := []string{"", ""}
	for _, col := range columns {
		head = append(head, col.head)
	}
	t := cells{head}
	for _, op := range []string{archive, restore} {
		for _, r := range c.Results {
			if r.Op != op {
				continue
			}
			line := []string{op, r.Who}
			for _, col := range columns {
				line = append(line, col.value(c, r))
			}
			t = append(t, line)
		}
	}
	return t
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

// title says what was moved, and how.
func (c *caseResult) title() string {
	title := describe(c.Files, c.Size)
	if c.Batch > 0 {
		title += fmt.Sprintf(", %d waiting at a time", c.Batch)
	}
	if c.Behind > 0 {
		title += " behind " + describe(c.Behind, c.BehindSize)
	}
	return fmt.Sprintf("%s: %s, %d transfers", c.Name, title, c.Transfers)
}

// text is a case for a terminal.
func (c *caseResult) text() string {
	var b strings.Builder
	fmt.Fprintln(&b, c.title())
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
