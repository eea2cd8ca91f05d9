package jobs

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"

	"lhsm-azblob/llapi"
)

// fidKey is a FID as it is stored: 16 bytes, nothing for the zero FID. Files
// that were made one after the other are neighbours in the index.
func fidKey(f llapi.FID) []byte {
	if f.IsZero() {
		return nil
	}
	b := make([]byte, 0, 16)
	b = binary.BigEndian.AppendUint64(b, f.Seq)
	b = binary.BigEndian.AppendUint32(b, f.OID)
	return binary.BigEndian.AppendUint32(b, f.Ver)
}

// keyFID is the FID of a key, the zero FID where the key is a path.
func keyFID(b []byte) llapi.FID {
	if len(b) != 16 {
		return llapi.FID{}
	}
	return llapi.FID{Seq: binary.BigEndian.Uint64(b), OID: binary.BigEndian.Uint32(b[8:]), Ver: binary.BigEndian.Uint32(b[12:])}
}

// bytesOrNone is text that need not be UTF-8 as it is stored, nothing for "".
func bytesOrNone(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

// addResults appends to a job's report; n is the number of its last line so far.
func (t tx) addResults(job int64, n *int64, results []FileResult) error {
	if len(results) == 0 {
		return nil
	}
	return t.prepared("INSERT INTO results (job, n, failure, path, status, code, message, fid, size, attempts, etag, time, prefix) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		func(insert func(...any) (int64, error)) error {
			for _, r := range results {
				*n++
				fid, _ := llapi.ParseFID(r.FID) // empty where there is none
				_, err := insert(job, *n, r.Status.failure(), []byte(r.Path), r.Status, r.ErrorCode, r.Message, fidKey(fid), r.Size, r.Attempts, r.ETag, nanos(r.Time), bytesOrNone(r.prefix))
				if err != nil {
					return fmt.Errorf("store a result: %w", err)
				}
			}
			return nil
		})
}

// lastResult is the number of the last line of a job's report.
func (s *store) lastResult(ctx context.Context, job int64) (int64, error) {
	return one[int64](ctx, s.read, "SELECT coalesce(max(n), 0) FROM results WHERE job = ?", job)
}

// results yields a job's report page by page, in the order in which files were done.
func (s *store) results(ctx context.Context, job int64, onlyFailures bool) iter.Seq2[FileResult, error] {
	return func(yield func(FileResult, error) bool) {
		for n := int64(0); ; {
			page, last, err := s.resultPage(ctx, job, n, onlyFailures, listPage)
			if err != nil {
				yield(FileResult{}, fmt.Errorf("read the results of job %d: %w", job, err))
				return
			}
			for _, r := range page {
				if !yield(r, nil) {
					return
				}
			}
			if len(page) < listPage {
				return
			}
			n = last
		}
	}
}

// resultPage returns up to limit results after line n, and the number of the last.
func (s *store) resultPage(ctx context.Context, job, n int64, onlyFailures bool, limit int) (page []FileResult, last int64, err error) {
	query := "SELECT n, path, status, code, message, fid, size, attempts, etag, time, prefix FROM results WHERE job = ? AND n > ?"
	if onlyFailures {
		query += " AND failure = 1"
	}
	page, err = all(ctx, s.read, func(row rowScanner) (FileResult, error) { return scanResult(row, &last) },
		query+" ORDER BY n LIMIT ?", job, n, limit)
	return page, last, err
}

func scanResult(row rowScanner, n *int64) (r FileResult, err error) {
	var path, fid, prefix []byte
	var at int64
	err = row.Scan(n, &path, &r.Status, &r.ErrorCode, &r.Message, &fid, &r.Size, &r.Attempts, &r.ETag, &at, &prefix)
	r.Path, r.Time, r.prefix = string(path), stamp(at), string(prefix)
	if f := keyFID(fid); !f.IsZero() {
		r.FID = f.String()
	}
	return r, err
}
