package jobs

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"lhsm-azblob/llapi"
)

// A progress is what a job needs to go on after its process died.
type progress struct {
	scanned bool  // the scan is over
	sent    int64 // rows of work up to this one may have been sent
	drain   bool  // of a job that is being cancelled
}

const jobColumns = "id, spec, state, created, started, finished, counters, error_code, error_message"

func scanJob(row rowScanner) (Job, error) {
	var j Job
	var spec, counters []byte
	var created, started, finished int64
	err := row.Scan(&j.ID, &spec, &j.State, &created, &started, &finished, &counters, &j.ErrorCode, &j.ErrorMessage)
	if errors.Is(err, sql.ErrNoRows) {
		return Job{}, ErrNotFound
	}
	if err == nil {
		j.Spec, err = decodeSpec(spec)
	}
	if err == nil {
		err = json.Unmarshal(counters, &j.Counters)
	}
	if err != nil {
		return Job{}, fmt.Errorf("read a job: %w", err)
	}
	j.Created, j.Started, j.Finished = stamp(created), stamp(started), stamp(finished)
	return j, nil
}

// stamp and nanos turn times into what is stored, 0 for none.
func stamp(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// A listed is one file of a list: by path, or by FID with the path that it had. Or,
// if prefix is not "", all that begins with it.
type listed struct {
	path   string
	fid    llapi.FID
	prefix string
}

// create adds a job and its list.
func (s *store) create(ctx context.Context, j Job, list iter.Seq2[listed, error]) (id int64, err error) {
	spec, err := encodeSpec(j.Spec)
	if err != nil {
		return 0, err
	}
	err = s.tx(ctx, func(t tx) error {
		id, err = one[int64](t.ctx, t.tx, "INSERT INTO jobs (request_id, spec, state, created) VALUES (?, ?, ?, ?) RETURNING id",
			sql.NullString{String: j.Spec.RequestID, Valid: j.Spec.RequestID != ""}, string(spec), j.State, nanos(j.Created))
		if err != nil {
			return err
		}
		return t.addList(id, list)
	})
	if err != nil {
		return 0, fmt.Errorf("store the job: %w", err)
	}
	return id, nil
}

func (t tx) addList(job int64, list iter.Seq2[listed, error]) error {
	return t.prepared("INSERT INTO lists (job, n, path, fid, prefix) VALUES (?, ?, ?, ?, ?)", func(insert func(...any) (int64, error)) error {
		n := 0
		for l, err := range list {
			if err != nil {
				return err
			}
			n++
			if _, err := insert(job, n, []byte(l.path), fidKey(l.fid), bytesOrNone(l.prefix)); err != nil {
				return err
			}
		}
		return nil
	})
}

// listPage is how many rows of a table are read at once. Reading page by page
// holds no read transaction open, which would keep the log from being emptied.
const listPage = 1000

// list yields the files of a job's list in their order.
func (s *store) list(ctx context.Context, job int64) iter.Seq2[listed, error] {
	return func(yield func(listed, error) bool) {
		for n := int64(0); ; n += listPage {
			page, err := s.listPage(ctx, job, n)
			if err != nil {
				yield(listed{}, fmt.Errorf("read the list of job %d: %w", job, err))
				return
			}
			for _, l := range page {
				if !yield(l, nil) {
					return
				}
			}
			if len(page) < listPage {
				return
			}
		}
	}
}

func (s *store) listPage(ctx context.Context, job, after int64) ([]listed, error) {
	return all(ctx, s.read, func(row rowScanner) (listed, error) {
		var path, fid, prefix []byte
		err := row.Scan(&path, &fid, &prefix)
		return listed{string(path), keyFID(fid), string(prefix)}, err
	}, "SELECT path, fid, prefix FROM lists WHERE job = ? AND n > ? ORDER BY n LIMIT ?", job, after, listPage)
}

func scanBytes(row rowScanner) (b []byte, err error) {
	err = row.Scan(&b)
	return b, err
}

// listedPrefixes yields the prefixes in a job's list, sorted.
func (s *store) listedPrefixes(ctx context.Context, job int64) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for after := []byte{}; ; {
			page, err := all(ctx, s.read, scanBytes,
				"SELECT DISTINCT prefix FROM lists WHERE job = ? AND prefix > ? ORDER BY prefix LIMIT ?", job, after, listPage)
			if err != nil {
				yield("", fmt.Errorf("read the list of job %d: %w", job, err))
				return
			}
			for _, after = range page {
				if !yield(string(after), nil) {
					return
				}
			}
			if len(page) < listPage {
				return
			}
		}
	}
}

func (s *store) job(ctx context.Context, id int64) (Job, error) {
	return scanJob(s.read.QueryRowContext(ctx, "SELECT "+jobColumns+" FROM jobs WHERE id = ?", id))
}

func (s *store) jobByRequest(ctx context.Context, requestID string) (Job, error) {
	return scanJob(s.read.QueryRowContext(ctx, "SELECT "+jobColumns+" FROM jobs WHERE request_id = ?", requestID))
}

// jobs returns up to limit jobs older than before, the newest first.
func (s *store) jobs(ctx context.Context, before int64, limit int) ([]Job, error) {
	return s.queryJobs(ctx, "SELECT "+jobColumns+" FROM jobs WHERE id < ? ORDER BY id DESC LIMIT ?", before, limit)
}

// unfinished returns the jobs that are not over, the oldest first.
func (s *store) unfinished(ctx context.Context) ([]Job, error) {
	return s.queryJobs(ctx, "SELECT "+jobColumns+" FROM jobs WHERE state IN (?, ?, ?, ?) ORDER BY id",
		Queued, FSScanInProgress, InProgress, Cancelling)
}

func (s *store) queryJobs(ctx context.Context, query string, args ...any) ([]Job, error) {
	jobs, err := all(ctx, s.read, scanJob, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read the jobs: %w", err)
	}
	return jobs, nil
}

// progress returns how far a job has come.
func (s *store) progress(ctx context.Context, id int64) (progress, error) {
	var p progress
	err := s.read.QueryRowContext(ctx, "SELECT scanned, sent, drain FROM jobs WHERE id = ?", id).Scan(&p.scanned, &p.sent, &p.drain)
	if err != nil {
		return progress{}, fmt.Errorf("read the progress of job %d: %w", id, err)
	}
	return p, nil
}

// begin stores that a job has started. It starts with an empty table.
func (s *store) begin(ctx context.Context, j Job) error {
	return s.tx(ctx, func(t tx) error {
		if err := t.exec("DELETE FROM work"); err != nil {
			return err
		}
		return t.exec("UPDATE jobs SET state = ?, started = ? WHERE id = ?", j.State, nanos(j.Started), j.ID)
	})
}

// saveState stores the state of a job that runs.
func (s *store) saveState(ctx context.Context, j Job, p progress) error {
	return s.tx(ctx, func(t tx) error {
		return t.exec("UPDATE jobs SET state = ?, drain = ? WHERE id = ?", j.State, p.drain, j.ID)
	})
}

// saveCounters stores how far a job has come.
func (t tx) saveCounters(id int64, c Counters, p progress) error {
	counters, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return t.exec("UPDATE jobs SET counters = ?, scanned = ?, sent = ? WHERE id = ?", string(counters), p.scanned, p.sent, id)
}

// finish stores the end of a job, and drops its list.
func (s *store) finish(ctx context.Context, j Job) error {
	counters, err := json.Marshal(j.Counters)
	if err != nil {
		return err
	}
	err = s.tx(ctx, func(t tx) error {
		err := t.exec("UPDATE jobs SET state = ?, finished = ?, counters = ?, error_code = ?, error_message = ? WHERE id = ?",
			j.State, nanos(j.Finished), string(counters), j.ErrorCode, j.ErrorMessage, j.ID)
		if err != nil {
			return err
		}
		return t.exec("DELETE FROM lists WHERE job = ?", j.ID)
	})
	if err != nil {
		return fmt.Errorf("store the end of job %d: %w", j.ID, err)
	}
	return nil
}

// clearWork empties the table of work, which is cheap whatever is in it.
func (s *store) clearWork(ctx context.Context) error {
	return s.tx(ctx, func(t tx) error { return t.exec("DELETE FROM work") })
}

// prune drops finished jobs, with their results: those that ended before
// oldest, and all but the newest keep. A little at a time, so that nobody waits long.
func (s *store) prune(ctx context.Context, oldest time.Time, keep int) error {
	ids, err := all(ctx, s.read, func(row rowScanner) (id int64, err error) { return id, row.Scan(&id) },
		`SELECT id FROM jobs WHERE finished > 0 AND (finished < ? OR id NOT IN
			(SELECT id FROM jobs WHERE finished > 0 ORDER BY id DESC LIMIT ?)) ORDER BY id`, nanos(oldest), keep)
	for _, id := range ids {
		if err = s.drop(ctx, id); err != nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("prune old jobs: %w", err)
	}
	return nil
}

// dropPage is how many results go in one transaction.
const dropPage = 10_000

func (s *store) drop(ctx context.Context, id int64) error {
	for {
		r, err := s.write.ExecContext(ctx, "DELETE FROM results WHERE job = ? AND n IN (SELECT n FROM results WHERE job = ? LIMIT ?)", id, id, dropPage)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil {
			return err
		} else if n < dropPage {
			break
		}
	}
	_, err := s.write.ExecContext(ctx, "DELETE FROM jobs WHERE id = ?", id)
	return err
}
