package jobs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite": SQLite in pure Go, since llapi is the product's only cgo
)

// A store keeps jobs in a SQLite database. One connection writes, in
// transactions; others read beside it, which the write-ahead log allows.
//
// A commit is in the log, and so survives the process, not a crash of the
// machine, which may take back the last few. Those the next scan makes again.
type store struct {
	write *sql.DB
	read  *sql.DB
}

// upgrades make each form of the database out of the one before it, the second out of
// the schema. Which one it has is in its user_version.
var upgrades = []string{prefixesInLists, noVersions}

// schema makes an empty database into the first form of ours.
//
// work has what the running job has found, in the order in which it goes to
// the coordinator; it is emptied between jobs. Its key is a FID, or a path in
// quotes where there is none to be had.
const schema = `
CREATE TABLE owner (fsname TEXT NOT NULL);
CREATE TABLE jobs (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	request_id TEXT UNIQUE,
	spec TEXT NOT NULL,
	state TEXT NOT NULL,
	created INTEGER NOT NULL,
	started INTEGER NOT NULL DEFAULT 0,
	finished INTEGER NOT NULL DEFAULT 0,
	counters TEXT NOT NULL DEFAULT '{}',
	error_code TEXT NOT NULL DEFAULT '',
	error_message TEXT NOT NULL DEFAULT '',
	scanned INTEGER NOT NULL DEFAULT 0,
	sent INTEGER NOT NULL DEFAULT 0,
	drain INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX jobs_by_state ON jobs (state);
CREATE TABLE lists (
	job INTEGER NOT NULL,
	n INTEGER NOT NULL,
	path BLOB NOT NULL,
	fid BLOB,
	PRIMARY KEY (job, n)
) WITHOUT ROWID;
CREATE TABLE work (
	id INTEGER PRIMARY KEY,
	key BLOB NOT NULL UNIQUE,
	path BLOB NOT NULL,
	size INTEGER NOT NULL,
	archive INTEGER NOT NULL,
	flags INTEGER NOT NULL,
	version INTEGER NOT NULL,
	status INTEGER NOT NULL,
	attempts INTEGER NOT NULL DEFAULT 0,
	prior BLOB
);
CREATE TABLE results (
	job INTEGER NOT NULL,
	n INTEGER NOT NULL,
	failure INTEGER NOT NULL,
	path BLOB NOT NULL,
	status TEXT NOT NULL,
	code TEXT NOT NULL,
	message TEXT NOT NULL,
	fid BLOB,
	size INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	etag TEXT NOT NULL,
	time INTEGER NOT NULL,
	PRIMARY KEY (job, n)
) WITHOUT ROWID;
CREATE INDEX failures ON results (job, n) WHERE failure = 1;
`

// prefixesInLists makes a place for what is to be scanned again where the failure is
// not a file's. Before it, a retry could only take such a failure for a file. Of the
// failures that are there, it tells by their texts those that are none. A directory that
// could not be read may lie above a prefix of the job: then the whole of it was not asked for.
const prefixesInLists = `
ALTER TABLE lists ADD COLUMN prefix BLOB;
CREATE INDEX prefixes ON lists (job, prefix) WHERE prefix IS NOT NULL;
ALTER TABLE results ADD COLUMN prefix BLOB;
UPDATE results SET prefix = CASE
	WHEN message = 'nothing in the file system begins with it' THEN path
	WHEN message LIKE 'open: %' OR message LIKE 'getdents: %' THEN (
		SELECT dir FROM (SELECT CAST(rtrim(path, '/') || '/' AS BLOB) AS dir) WHERE EXISTS (
			SELECT 1 FROM jobs, json_each(jobs.spec, '$.prefixes') AS p
			WHERE jobs.id = results.job AND substr(dir, 1, length(CAST(p.value AS BLOB))) = CAST(p.value AS BLOB)))
END WHERE failure = 1 AND fid IS NULL AND job IN (SELECT id FROM jobs WHERE json_extract(spec, '$.fileCount') IS NULL);
`

// noVersions takes away the archived data versions of files: a client may have an old
// one, so nothing follows from a change.
const noVersions = `
ALTER TABLE work DROP COLUMN version;
`

// readers is how many queries may read at once.
const readers = 4

// openStore opens the database at path, and makes it if need be. It belongs to
// one file system, since FIDs mean nothing in another.
func openStore(path, fsname string) (*store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("open the database of jobs: %w", err)
	}
	s := &store{}
	var err error
	if s.write, err = openDB(path, 1, "_txlock=immediate", "_pragma=journal_mode(WAL)"); err == nil {
		s.read, err = openDB(path, readers, "_pragma=query_only(1)")
	}
	if err == nil {
		err = s.prepare(fsname)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the database of jobs %s: %w", path, err), s.close())
	}
	return s, nil
}

func openDB(path string, conns int, params ...string) (*sql.DB, error) {
	params = append(params, "_pragma=busy_timeout(10000)", "_pragma=synchronous(NORMAL)", "_pragma=temp_store(MEMORY)")
	name := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: strings.Join(params, "&")}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

func (s *store) close() error {
	var errs []error
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// prepare makes the tables of a new database, and refuses one that is not ours.
func (s *store) prepare(fsname string) error {
	return s.tx(context.Background(), func(t tx) error {
		form, err := formOf(t.ctx, t.tx, fsname)
		if err == nil && form == 0 {
			form, err = 1, t.create(fsname)
		}
		if err != nil {
			return err
		}
		return t.upgrade(form)
	})
}

func (t tx) create(fsname string) error {
	if err := t.exec(schema); err != nil {
		return err
	}
	return t.exec("INSERT INTO owner VALUES (?)", fsname)
}

func (t tx) upgrade(form int) error {
	for ; form <= len(upgrades); form++ {
		if err := t.exec(upgrades[form-1]); err != nil {
			return err
		}
	}
	return t.exec("PRAGMA user_version = " + strconv.Itoa(form))
}

// formOf is the form of a database of ours; 0 of an empty one.
func formOf(ctx context.Context, q querier, fsname string) (int, error) {
	form, err := one[int](ctx, q, "PRAGMA user_version")
	if err != nil || form == 0 {
		return form, err
	}
	if newest := 1 + len(upgrades); form > newest {
		return form, fmt.Errorf("it has form %d, this program knows form %d; a newer one wrote it", form, newest)
	}
	owner, err := one[string](ctx, q, "SELECT fsname FROM owner")
	if err == nil && owner != fsname {
		err = fmt.Errorf("it has the jobs of the file system %s, not of %s; give each a database of its own", owner, fsname)
	}
	return form, err
}
