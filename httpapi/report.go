package httpapi

import (
	"fmt"
	"net/http"

	"lhsm-azblob/jobs"
)

// report streams what became of a job's files. An error in the middle breaks
// the connection: a report that ends is complete.
func (s *Server) report(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "format", "all")
	if err != nil {
		return err
	}
	format, err := choice(q, "format", "csv", "jsonl")
	if err != nil {
		return err
	}
	all, err := choice(q, "all", "0", "1")
	if err != nil {
		return err
	}
	j, err := s.jobAsked(r)
	if err != nil {
		return err
	}
	name := "failures"
	if all == "1" {
		name = "files"
		if !j.Spec.ReportAll && !j.Spec.DryRun {
			return problem(http.StatusConflict, NotRecorded, "job %d recorded its failures only; create jobs with reportAll to have every file", j.ID)
		}
	}
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="job-%d-%s.%s"`, j.ID, name, format))
	s.writeReport(w, r, j, format, all == "1")
	return nil
}

func (s *Server) writeReport(w http.ResponseWriter, r *http.Request, j jobs.Job, format string, all bool) {
	results := s.o.Jobs.Results(r.Context(), j.ID, !all)
	var err error
	if format == "jsonl" {
		w.Header().Set("Content-Type", "application/jsonl")
		err = jobs.WriteJSONL(w, results)
	} else {
		w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
		err = jobs.WriteCSV(w, results)
	}
	if err != nil {
		s.o.Log.Warn("a report was cut off", "job", j.ID, "err", err)
		panic(http.ErrAbortHandler) // there is no other way to tell the client
	}
}
