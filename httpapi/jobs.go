package httpapi

import (
	"fmt"
	"net/http"

	"lhsm-azblob/jobs"
)

// Bounds of a page of jobs.
const (
	defaultPage = 50
	maxPage     = 500
)

func (s *Server) listJobs(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "limit", "before")
	if err != nil {
		return err
	}
	limit, err := number(q, "limit", defaultPage, 1, maxPage)
	if err != nil {
		return err
	}
	before, err := number(q, "before", 0, 1, 1<<62)
	if err != nil {
		return err
	}
	// One more than asked for tells whether there is a next page.
	found, err := s.o.Jobs.Jobs(r.Context(), before, int(limit)+1)
	if err != nil {
		return err
	}
	list := JobList{Jobs: []Job{}}
	for i, j := range found {
		if i == int(limit) {
			list.NextBefore = found[i-1].ID
			break
		}
		list.Jobs = append(list.Jobs, wireJob(j))
	}
	return writeJSON(w, http.StatusOK, list)
}

func (s *Server) createJob(w http.ResponseWriter, r *http.Request) error {
	var body JobRequest
	if err := decode(w, r, filesBody, &body); err != nil {
		return err
	}
	spec, err := body.spec()
	if err != nil {
		return err
	}
	j, created, err := s.o.Jobs.Create(r.Context(), spec)
	if err != nil {
		return refused(j, err)
	}
	w.Header().Set("Location", fmt.Sprintf("/v1/jobs/%d", j.ID))
	if !created {
		return writeJSON(w, http.StatusOK, wireJob(j))
	}
	s.o.Log.Info("job created", "job", j.ID, "prefixes", spec.Prefixes, "files", len(spec.Files), "dry_run", spec.DryRun, "client", r.RemoteAddr)
	return writeJSON(w, http.StatusCreated, wireJob(j))
}

// jobAsked is the job that the path of a request names.
func (s *Server) jobAsked(r *http.Request) (jobs.Job, error) {
	id, err := jobID(r)
	if err != nil {
		return jobs.Job{}, err
	}
	return s.o.Jobs.Job(r.Context(), id)
}

func (s *Server) showJob(w http.ResponseWriter, r *http.Request) error {
	j, err := s.jobAsked(r)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, wireJob(j))
}

func (s *Server) cancelJob(w http.ResponseWriter, r *http.Request) error {
	id, err := jobID(r)
	if err != nil {
		return err
	}
	var body CancelRequest
	if err := decode(w, r, smallBody, &body); err != nil {
		return err
	}
	j, err := s.o.Jobs.Cancel(r.Context(), id, body.Drain)
	if err != nil {
		return refused(j, err)
	}
	s.o.Log.Info("job cancelled", "job", id, "drain", body.Drain, "client", r.RemoteAddr)
	return writeJSON(w, http.StatusAccepted, wireJob(j))
}

func (s *Server) retryJob(w http.ResponseWriter, r *http.Request) error {
	id, err := jobID(r)
	if err != nil {
		return err
	}
	j, err := s.o.Jobs.Retry(r.Context(), id)
	if err != nil {
		return err
	}
	s.o.Log.Info("job created", "job", j.ID, "retry_of", id, "client", r.RemoteAddr)
	w.Header().Set("Location", fmt.Sprintf("/v1/jobs/%d", j.ID))
	return writeJSON(w, http.StatusCreated, wireJob(j))
}
