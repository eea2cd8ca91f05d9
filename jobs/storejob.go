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

func scanJob(row scanner) (Job, error) {
	var j Job
	var spec, counters []byte
	var created, started, finished int64
	err := row.Scan(&j.ID, &spec, &j.State, &created, &started, &finished, &counters, &j.ErrorCode, &j.ErrorMessage)
	if errors.Is(err, sql.ErrNoRows) {
		return Job{}, ErrNotFound
	}
	if err == nil {
		err = json.Unmarshal(spec, &j.Spec)
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

// A listed is one file of a list: by path, or by FID with the path that it had.
type listed struct {
	path string
	fid  llapi.FID
}

// create adds a job and its list.
func (s *store) create(ctx context.Context, j Job, list iter.Seq2[listed, error]) (id int64, err error) {
	spec, err := json.Marshal(j.Spec)
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
	return t.prepared("INSERT INTO lists (job, n, path, fid) VALUES (?, ?, ?, ?)", func(insert func(...any) (int64, error)) error {
		n := 0
		for l, err := range list {
			if err != nil {
				return err
			}
			n++
			if _, err := insert(job, n, []byte(l.path), fidKey(l.fid)); err != nil {
				return err
			}
		}
		return nil
	})
}

// listPage is how many rows of a table are read at once. Reading page by page
// holds no read transaction open, which would keep the log from being emptied.
const listPage = 1000

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

func (t tx) saveJob(j Job, p progress) error {
	counters, err := json.Marshal(j.Counters)
	if err != nil {
		return err
	}
	err = t.exec("UPDATE jobs SET state = ?, started = ?, finished = ?, counters = ?, error_code = ?, error_message = ?, scanned = ?, sent = ?, drain = ? WHERE id = ?",
		j.State, nanos(j.Started), nanos(j.Finished), string(counters), j.ErrorCode, j.ErrorMessage, p.scanned, p.sent, p.drain, j.ID)
	if err != nil {
		return fmt.Errorf("store job %d: %w", j.ID, err)
	}
	return nil
}

// finish stores the end of a job, and drops its list.
func (s *store) finish(ctx context.Context, j Job, p progress) error {
	return s.tx(ctx, func(t tx) error {
		if err := t.saveJob(j, p); err != nil {
			return err
		}
		return t.exec("DELETE FROM lists WHERE job = ?", j.ID)
	})
}

// prune drops finished jobs, with their results: those that ended before
// oldest, and all but the newest keep. A little at a time, so that nobody waits long.
func (s *store) prune(ctx context.Context, oldest time.Time, keep int) error {
	ids, err := all(ctx, s.read, func(row scanner) (id int64, err error) { return id, row.Scan(&id) },
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
