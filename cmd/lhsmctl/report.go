package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"lhsm-azblob/cmd/internal/options"
)

// report copies a report to standard output or into a file.
func (s *session) report() error {
	id, err := s.given()
	if err != nil {
		return err
	}
	byDefault := "csv"
	if s.json {
		byDefault = "jsonl"
	}
	format := cmp.Or(s.c.String("format"), byDefault)
	if format != "csv" && format != "jsonl" {
		return options.Usagef("--format: %q is neither csv nor jsonl", format)
	}
	path := fmt.Sprintf("/v1/jobs/%d/report?format=%s", id, format)
	if s.c.Bool("all") {
		path += "&all=1"
	}
	answer, err := s.do(s.ctx, "GET", path, nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if file := s.c.String("o"); file != "" {
		return writeWhole(file, answer.Body)
	}
	return copyReport(s.stdout, answer.Body)
}

func copyReport(w io.Writer, r io.Reader) error {
	if _, err := io.Copy(w, r); err != nil {
		return fmt.Errorf("the report is not complete: %w", err)
	}
	return nil
}

// writeWhole lets the file appear when it is complete: half a report looks like
// few failures.
func writeWhole(path string, r io.Reader) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".lhsmctl-report-*")
	if err != nil {
		return fmt.Errorf("-o: %w", err)
	}
	defer os.Remove(f.Name()) //nolint:errcheck // it is gone where all went well
	err = copyReport(f, r)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}
