package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"lhsm-azblob/httpapi"
	"lhsm-azblob/jobs"
)

// print prints v as JSON if that is wanted, and else lets text do it.
func (s *session) print(v any, text func()) error {
	if !s.json {
		text()
		return nil
	}
	e := json.NewEncoder(s.stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// printable keeps what came from files and servers from steering the terminal,
// or from looking like another text.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

func pathText(j httpapi.Job) string {
	text := printable(strings.Join(j.Prefixes, " "))
	if j.FilesGiven > 0 {
		text = fmt.Sprintf("list of %s files", countText(j.FilesGiven))
	}
	if j.RetryOf > 0 {
		text = fmt.Sprintf("failures of job %d", j.RetryOf)
	}
	if j.DryRun {
		text += " (dry run)"
	}
	return text
}

func countText(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func rateText(r float64) string {
	if r < 10 {
		return strconv.FormatFloat(r, 'f', 1, 64)
	}
	return countText(int64(r))
}

func sizeText(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, i := float64(n)/1024, 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	return fmt.Sprintf("%.1f %ciB", v, units[i])
}

func secondsText(n int64) string { return (time.Duration(n) * time.Second).String() }

func timeText(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func tookText(j httpapi.Job) string {
	if j.StartedTime == nil {
		return "-"
	}
	end := time.Now()
	if j.FinishedTime != nil {
		end = *j.FinishedTime
	}
	return end.Sub(*j.StartedTime).Round(time.Second).String()
}

// toGo is what a job has to export, as far as it has looked.
func toGo(j httpapi.Job) (files, bytes int64) {
	return j.Counters.FilesFound - j.Counters.FilesSkipped, j.Counters.BytesFound - j.Counters.BytesSkipped
}

func printList(w io.Writer, list []httpapi.Job) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "JOB\tSTATE\tSTARTED\tTOOK\tEXPORTED\tFAILED\tDATA\tPATH")
	for _, j := range list {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", j.ID, j.State, timeText(j.StartedTime), tookText(j),
			countText(j.Counters.FilesExported), countText(j.Counters.FilesFailed), sizeText(j.Counters.BytesExported), pathText(j))
	}
	t.Flush() //nolint:errcheck // who listens no more needs no list
}

// printJob prints all there is to know of a job.
func printJob(w io.Writer, j httpapi.Job) {
	c := j.Counters
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(t, "%s:\t%s\n", name, fmt.Sprintf(format, args...))
	}
	line("job", "%d", j.ID)
	line("path", "%s", pathText(j))
	line("state", "%s, %d %%", j.State, j.PercentComplete)
	if j.WaitsFor != "" {
		line("waits for", "%s", printable(j.WaitsFor))
	}
	if j.ErrorCode != "" || j.ErrorMessage != "" {
		line("error", "%s: %s", j.ErrorCode, printable(j.ErrorMessage))
	}
	line("created", "%s", timeText(j.CreatedTime))
	line("started", "%s", timeText(j.StartedTime))
	line("ended", "%s", timeText(j.FinishedTime))
	line("took", "%s", tookText(j))
	line("found", "%s files, %s", countText(c.FilesFound), sizeText(c.BytesFound))
	line("skipped", "%s files, %s%s", countText(c.FilesSkipped), sizeText(c.BytesSkipped), skippedText(c))
	line("exported", "%s files, %s", countText(c.FilesExported), sizeText(c.BytesExported))
	line("failed", "%s files, %s; %s of them changed meanwhile", countText(c.FilesFailed), sizeText(c.BytesFailed), countText(c.FilesChangedDuringCopy))
	line("retried", "%s requests", countText(c.FilesRetried))
	line("left", "%s files", countText(c.FilesLeft))
	line("rate", "%s files/s, %s/s", rateText(j.FilesPerSecond), sizeText(int64(j.BytesPerSecond)))
	if j.ETASeconds > 0 {
		line("time left", "%s", secondsText(j.ETASeconds))
	}
	t.Flush() //nolint:errcheck // who listens no more needs no job
	printFailures(w, j)
}

func skippedText(c jobs.Counters) string {
	var parts []string
	for why, n := range c.SkippedBy {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", countText(n), why))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	slices.Sort(parts)
	return " (" + strings.Join(parts, ", ") + ")"
}

func printFailures(w io.Writer, j httpapi.Job) {
	for _, f := range j.FirstErrors {
		fmt.Fprintf(w, "  %s: %s: %s\n", printable(f.FilePath), cmp.Or(string(f.ErrorCode), string(f.FileStatus)), printable(f.Message))
	}
	if more := j.Counters.FilesFailed - int64(len(j.FirstErrors)); more > 0 && len(j.FirstErrors) > 0 {
		fmt.Fprintf(w, "  and %s more: %s archive report %d\n", countText(more), programName, j.ID)
	}
}

// progressLine is a job in one line.
func progressLine(j httpapi.Job) string {
	files, bytes := toGo(j)
	c := j.Counters
	line := fmt.Sprintf("job %d: %s, %d %%, %s of %s files, %s of %s", j.ID, j.State, j.PercentComplete,
		countText(c.FilesExported), countText(files), sizeText(c.BytesExported), sizeText(bytes))
	if j.FilesPerSecond > 0 {
		line += fmt.Sprintf(", %s files/s, %s/s", rateText(j.FilesPerSecond), sizeText(int64(j.BytesPerSecond)))
	}
	if j.ETASeconds > 0 {
		line += ", " + secondsText(j.ETASeconds) + " left"
	}
	if j.WaitsFor != "" {
		line += "; waiting: " + printable(j.WaitsFor)
	}
	return line
}

// printEnd is the last word on a job that was watched.
func printEnd(w io.Writer, j httpapi.Job) {
	c := j.Counters
	if j.DryRun {
		files, bytes := toGo(j)
		fmt.Fprintf(w, "job %d: %s; %s files, %s, would be exported, %s skipped%s; %s archive report --all %d lists them\n", j.ID, j.State,
			countText(files), sizeText(bytes), countText(c.FilesSkipped), skippedText(c), programName, j.ID)
		return
	}
	fmt.Fprintf(w, "job %d: %s in %s; %s files exported, %s, %s skipped%s, %s failed", j.ID, j.State, tookText(j),
		countText(c.FilesExported), sizeText(c.BytesExported), countText(c.FilesSkipped), skippedText(c), countText(c.FilesFailed))
	if c.FilesLeft > 0 {
		fmt.Fprintf(w, ", %s left", countText(c.FilesLeft))
	}
	fmt.Fprintln(w)
	if j.ErrorMessage != "" {
		fmt.Fprintf(w, "  %s: %s\n", j.ErrorCode, printable(j.ErrorMessage))
	}
	printFailures(w, j)
}
