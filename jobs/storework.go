package jobs

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"lhsm-azblob/llapi"
)

// A workStatus is what became of a file of the running job.
type workStatus int

const (
	workOpen     workStatus = iota // not accounted for yet
	workExported                   // in the archive
	workFailed                     // given up
	workChanged                    // given up, since it changed in each attempt
	workVanished                   // unlinked meanwhile
	workLeft                       // not done when the job was cancelled
	workListed                     // would be archived; of a dry run
	workSkipped                    // needs no archive; kept because it has other names that the scan may meet
	workParked                     // open, and put aside: it was not sent
)

// A work is a file that the scan has found.
type work struct {
	id       int64
	fid      llapi.FID // zero: none to be had; then it is a failure already
	path     string
	size     int64
	archive  uint32           // the archive that the file is in, 0: none
	flags    llapi.StateFlags // when it was found
	status   workStatus
	attempts int    // requests that came to an end
	prior    []byte // the error that was on the file before it was asked for
	version  uint64 // the data version that the file's copy was of, then; 0: none that we know
	counted  bool   // among those submitted
}

// key identifies a file within a job: by FID, so that its other names are the same.
func (w *work) key() []byte {
	if w.fid.IsZero() {
		return []byte(`"` + w.path + `"`)
	}
	return fidKey(w.fid)
}

// addWork adds what is not there yet, and returns the indexes of that: it is what
// makes a hard link, or a file that a scan before a crash had found, count once.
func (t tx) addWork(found []work) (added []int, err error) {
	err = t.prepared("INSERT OR IGNORE INTO work (key, path, size, archive, flags, status) VALUES (?, ?, ?, ?, ?, ?)",
		func(insert func(...any) (int64, error)) error {
			for i, w := range found {
				n, err := insert(w.key(), []byte(w.path), w.size, w.archive, w.flags, w.status)
				if err != nil {
					return fmt.Errorf("store a file that was found: %w", err)
				}
				if n == 1 {
					added = append(added, i)
				}
			}
			return nil
		})
	return added, err
}

// setWork stores what became of files.
func (t tx) setWork(files []*work) error {
	return t.prepared("UPDATE work SET status = ?, attempts = ?, prior = ? WHERE id = ?", func(update func(...any) (int64, error)) error {
		for _, w := range files {
			if _, err := update(w.status, w.attempts, w.prior, w.id); err != nil {
				return fmt.Errorf("store the state of a file: %w", err)
			}
		}
		return nil
	})
}

// known tells whether the running job has a file already.
func (s *store) known(ctx context.Context, f llapi.FID) (bool, error) {
	n, err := one[int](ctx, s.read, "SELECT count(*) FROM work WHERE key = ?", fidKey(f))
	return n > 0, err
}

const workColumns = "id, key, path, size, archive, flags, status, attempts, prior"

// openWork returns up to limit files that are not accounted for, of the rows
// after one and up to another, in order.
func (s *store) openWork(ctx context.Context, after, upTo int64, limit int) ([]*work, error) {
	open, err := all(ctx, s.read, scanWork, "SELECT "+workColumns+` FROM work
		WHERE id > ? AND id <= ? AND status = ? ORDER BY id LIMIT ?`, after, upTo, workOpen, limit)
	if err != nil {
		return nil, fmt.Errorf("read the files to archive: %w", err)
	}
	return open, nil
}

// unpark opens up to limit files that were put aside, of an archive and of the rows
// after one, and returns them in order.
func (s *store) unpark(ctx context.Context, archive uint32, after int64, limit int) (works []*work, err error) {
	err = s.tx(ctx, func(t tx) (err error) {
		works, err = all(t.ctx, t.tx, scanWork, `UPDATE work SET status = ? WHERE id IN
			(SELECT id FROM work WHERE id > ? AND archive = ? AND status = ? ORDER BY id LIMIT ?) RETURNING `+workColumns,
			workOpen, after, archive, workParked, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("take up the files that were put aside: %w", err)
	}
	slices.SortFunc(works, func(a, b *work) int { return cmp.Compare(a.id, b.id) })
	return works, nil
}

// parkedArchives are those of which files are put aside.
func (s *store) parkedArchives(ctx context.Context) ([]uint32, error) {
	archives, err := all(ctx, s.read, func(row rowScanner) (a uint32, err error) {
		err = row.Scan(&a)
		return a, err
	}, "SELECT DISTINCT archive FROM work WHERE status = ?", workParked)
	if err != nil {
		return nil, fmt.Errorf("look for files that were put aside: %w", err)
	}
	return archives, nil
}

func scanWork(row rowScanner) (*work, error) {
	var w work
	var key, path []byte
	err := row.Scan(&w.id, &key, &path, &w.size, &w.archive, &w.flags, &w.status, &w.attempts, &w.prior)
	w.fid, w.path = keyFID(key), string(path)
	return &w, err
}

// recount drops what the next scan will find again, and counts the rest: what
// is in the table is true, what a process counted before it died need not be.
// sent is the last row that may have been sent.
func (s *store) recount(ctx context.Context, sent int64) (Counters, error) {
	err := s.tx(ctx, func(t tx) error { return t.exec("DELETE FROM work WHERE status = ?", workSkipped) })
	if err != nil {
		return Counters{}, fmt.Errorf("drop what will be found again: %w", err)
	}
	return s.countWork(ctx, sent)
}

// countWork counts what is in the table. sent is the last row that may have been sent.
func (s *store) countWork(ctx context.Context, sent int64) (Counters, error) {
	c := Counters{SkippedBy: map[Reason]int64{}}
	err := s.tx(ctx, func(t tx) error {
		_, err := all(ctx, t.tx, func(row rowScanner) (struct{}, error) { return struct{}{}, c.recount(row) },
			`SELECT status, attempts > 0 OR (status = ?1 AND id <= ?2) AS submitted, count(*), sum(size),
				sum(CASE status WHEN ?1 THEN attempts ELSE max(attempts - 1, 0) END) FROM work GROUP BY status, submitted`, workOpen, sent)
		return err
	})
	if err != nil {
		return c, fmt.Errorf("count the files of the job: %w", err)
	}
	return c, nil
}

func (c *Counters) recount(row rowScanner) error {
	var status workStatus
	var submitted bool
	var files, bytes, retried int64
	if err := row.Scan(&status, &submitted, &files, &bytes, &retried); err != nil {
		return err
	}
	c.find(status, files, bytes)
	c.FilesRetried += retried
	if submitted {
		c.FilesSubmitted += files
		c.BytesSubmitted += bytes
	}
	return nil
}
