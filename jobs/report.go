package jobs

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// reportColumns head a CSV report. The first three are those of other services.
var reportColumns = []string{"FilePath", "FileStatus", "ErrorCode", "Message", "Fid", "Size", "Attempts", "ETag", "Time"}

// WriteCSV writes results as CSV (RFC 4180) with a head. A path is as
// [EscapePath] gives it. It writes while it reads, and keeps nothing.
func WriteCSV(w io.Writer, results iter.Seq2[FileResult, error]) error {
	c := csv.NewWriter(w)
	c.UseCRLF = true
	if err := c.Write(reportColumns); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	for r, err := range results {
		if err == nil {
			err = c.Write([]string{
				EscapePath(r.Path), string(r.Status), string(r.ErrorCode), oneLine(r.Message), r.FID,
				strconv.FormatInt(r.Size, 10), strconv.Itoa(r.Attempts), r.ETag, r.Time.Format(time.RFC3339),
			})
		}
		if err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	c.Flush()
	if err := c.Error(); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// oneLine keeps a report at a line a file: encoding/csv would keep line ends,
// which readers that split by lines do not expect.
func oneLine(s string) string {
	return strings.ToValidUTF8(strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), " "), "\uFFFD")
}

// WriteJSONL writes results as JSON, one object a line, with the same names as
// the CSV in camel case and the path escaped in the same way.
func WriteJSONL(w io.Writer, results iter.Seq2[FileResult, error]) error {
	b := bufio.NewWriter(w)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	for r, err := range results {
		if err == nil {
			r.Path = EscapePath(r.Path)
			err = e.Encode(r)
		}
		if err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// EscapePath writes a path so that a report can hold it: a byte that is not
// part of a UTF-8 character, a control character, and in such a path "%", as
// %XX. Any other path is left as it is. So one with a %XX in it is ambiguous, which
// [FileResult].FID is not.
func EscapePath(path string) string {
	if utf8.ValidString(path) && strings.IndexFunc(path, isControl) < 0 {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); {
		r, size := utf8.DecodeRuneInString(path[i:])
		if r == utf8.RuneError && size == 1 || isControl(r) || r == '%' {
			for _, c := range []byte(path[i : i+size]) {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		} else {
			b.WriteString(path[i : i+size])
		}
		i += size
	}
	return b.String()
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }
