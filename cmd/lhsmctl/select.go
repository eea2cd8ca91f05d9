package main

import (
	"errors"
	"fmt"
	"strconv"

	"lhsm-azblob/cmd/internal/options"
	"lhsm-azblob/httpapi"
)

// This file finds the job that a command is about.

// one makes sure that there is exactly one argument.
func (s *session) one(name string) (string, error) {
	if s.c.NArg() != 1 {
		return "", options.Usagef("%d arguments, and one is wanted: %s", s.c.NArg(), name)
	}
	return s.c.Args().First(), nil
}

func jobNumber(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, options.Usagef("%q is no job: ids are numbers from 1; see %s archive list", text, programName)
	}
	return id, nil
}

// given is the id that must be given.
func (s *session) given() (int64, error) {
	text, err := s.one("ID")
	if err != nil {
		return 0, err
	}
	return jobNumber(text)
}

// optional is the id that may be given; without one, it is the job that has the
// file system.
func (s *session) optional() (int64, error) {
	if s.c.NArg() > 0 {
		return s.given()
	}
	current, ok, err := s.current()
	if err == nil && !ok {
		err = errors.New("no job is running")
	}
	return current.ID, err
}

// optionalOrLast is the same, but for the newest job where none is running.
func (s *session) optionalOrLast() (int64, error) {
	if s.c.NArg() > 0 {
		return s.given()
	}
	current, ok, err := s.current()
	if err != nil || ok {
		return current.ID, err
	}
	var newest httpapi.JobList
	if err := s.call("GET", "/v1/jobs?limit=1", nil, &newest); err != nil {
		return 0, err
	}
	if len(newest.Jobs) == 0 {
		return 0, fmt.Errorf("there has been no job yet; make one with %s archive create", programName)
	}
	return newest.Jobs[0].ID, nil
}

// current is the job that has the file system.
func (s *session) current() (job httpapi.Job, ok bool, err error) {
	events, err := s.listen(s.ctx, "/v1/events", "")
	if err != nil {
		return job, false, err
	}
	defer events.close()
	e, err := events.next()
	if err != nil || e.kind != jobEvent {
		return job, false, err
	}
	return e.job, true, nil
}

// eachJob yields jobs, the newest first, page by page. limit 0 is all.
func (s *session) eachJob(limit int, yield func(httpapi.Job) bool) error {
	path := "/v1/jobs?limit=100"
	for n := 0; ; {
		var page httpapi.JobList
		if err := s.call("GET", path, nil, &page); err != nil {
			return err
		}
		for _, j := range page.Jobs {
			if n++; limit > 0 && n > limit || !yield(j) {
				return nil
			}
		}
		if page.NextBefore == 0 {
			return nil
		}
		path = fmt.Sprintf("/v1/jobs?limit=100&before=%d", page.NextBefore)
	}
}
