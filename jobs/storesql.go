package jobs

import (
	"context"
	"database/sql"
	"errors"
)

// A tx is a transaction and its context.
type tx struct {
	ctx context.Context
	tx  *sql.Tx
}

// tx runs f in a transaction that is all or nothing.
func (s *store) tx(ctx context.Context, f func(tx) error) error {
	t, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx{ctx, t}); err != nil {
		return errors.Join(err, t.Rollback())
	}
	return t.Commit()
}

func (t tx) exec(query string, args ...any) error {
	_, err := t.tx.ExecContext(t.ctx, query, args...)
	return err
}

// prepared gives f a statement to execute many times; it returns how many rows
// it changed.
func (t tx) prepared(query string, f func(exec func(args ...any) (int64, error)) error) error {
	stmt, err := t.tx.PrepareContext(t.ctx, query)
	if err != nil {
		return err
	}
	err = f(func(args ...any) (int64, error) {
		r, err := stmt.ExecContext(t.ctx, args...)
		if err != nil {
			return 0, err
		}
		return r.RowsAffected()
	})
	return errors.Join(err, stmt.Close())
}

// querier is *sql.DB or *sql.Tx.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// one reads a single value.
func one[T any](ctx context.Context, q querier, query string, args ...any) (v T, err error) {
	err = q.QueryRowContext(ctx, query, args...).Scan(&v)
	return v, err
}

// rowScanner is *sql.Row or *sql.Rows.
type rowScanner interface{ Scan(dest ...any) error }

// all reads every row with scan.
func all[T any](ctx context.Context, q querier, scan func(rowScanner) (T, error), query string, args ...any) (list []T, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}
