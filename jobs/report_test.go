package jobs

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var someResults = []FileResult{
	{Path: "/plain", Status: StatusExported, Size: 7, Attempts: 1, ETag: `"0x8D"`, FID: "[0x200000401:0x1:0x0]", Time: time.Unix(1_700_000_000, 0).UTC()},
	{Path: "/a,b \"c\"\nd", Status: StatusFailed, ErrorCode: "BlobLeased", Message: "a lease,\r\nheld by \"x\"", Time: time.Unix(1_700_000_001, 0).UTC()},
	{Path: "/x\xff%41", Status: StatusChanged, ErrorCode: CodeFileChanged, Time: time.Unix(1_700_000_002, 0).UTC()},
}

func sequence(results []FileResult, end error) iter.Seq2[FileResult, error] {
	return func(yield func(FileResult, error) bool) {
		for _, r := range results {
			if !yield(r, nil) {
				return
			}
		}
		if end != nil {
			yield(FileResult{}, end)
		}
	}
}

func TestWriteCSV(t *testing.T) {
	var b bytes.Buffer
	if err := WriteCSV(&b, sequence(someResults, nil)); err != nil {
		t.Fatal(err)
	}
	want := "FilePath,FileStatus,ErrorCode,Message,Fid,Size,Attempts,ETag,Time\r\n" +
		`/plain,Exported,,,[0x200000401:0x1:0x0],7,1,"""0x8D""",2023-11-14T22:13:20Z` + "\r\n" +
		`"/a,b ""c""%0Ad",Failed,BlobLeased,"a lease, held by ""x""",,0,0,,2023-11-14T22:13:21Z` + "\r\n" +
		"/x%FF%2541,ChangedDuringCopy,FileChanged,,,0,0,,2023-11-14T22:13:22Z\r\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	if err := WriteCSV(&b, sequence(someResults, errors.New("disk"))); err == nil || !strings.Contains(err.Error(), "disk") {
		t.Errorf("an error in the middle: %v", err)
	}
}

func TestWriteJSONL(t *testing.T) {
	var b bytes.Buffer
	if err := WriteJSONL(&b, sequence(someResults, nil)); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) != len(someResults) {
		t.Fatalf("%d lines:\n%s", len(lines), b.String())
	}
	want := `{"filePath":"/plain","fileStatus":"Exported","fid":"[0x200000401:0x1:0x0]","size":7,"attempts":1,"etag":"\"0x8D\"","time":"2023-11-14T22:13:20Z"}`
	if lines[0] != want {
		t.Errorf("got  %s\nwant %s", lines[0], want)
	}
	if err := WriteJSONL(&b, sequence(nil, errors.New("disk"))); err == nil {
		t.Error("an error was lost")
	}
}

func FuzzReport(f *testing.F) {
	for _, r := range someResults {
		f.Add(r.Path, r.Message)
	}
	f.Fuzz(func(t *testing.T, path, message string) {
		results := []FileResult{{Path: path, Message: message, Status: StatusFailed}}
		var text, lines bytes.Buffer
		if err := errors.Join(WriteCSV(&text, sequence(results, nil)), WriteJSONL(&lines, sequence(results, nil))); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(text.String(), "\n"); n != 2 || !utf8.Valid(text.Bytes()) {
			t.Errorf("%d lines of CSV:\n%q", n, text.String())
		}
		records, err := csv.NewReader(&text).ReadAll()
		if err != nil || !slices.Equal(records[0], reportColumns) || records[1][0] != EscapePath(path) {
			t.Errorf("read back: %q, %v", records, err)
		}
		var back FileResult
		if err := json.Unmarshal(lines.Bytes(), &back); err != nil || back.Path != EscapePath(path) || bytes.Count(lines.Bytes(), []byte{'\n'}) != 1 {
			t.Errorf("read back: %+v, %v", back, err)
		}
	})
}
