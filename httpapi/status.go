package httpapi

import (
	"net/http"
	"time"
)

// Status is the service at a glance.
type Status struct {
	FileSystem  string      `json:"fileSystem"`
	Mount       string      `json:"mount"`
	Version     string      `json:"version"`
	StartedTime time.Time   `json:"startedTime"`
	Coordinator Coordinator `json:"coordinator"`
	Movers      []Mover     `json:"movers"`
	Session     bool        `json:"session"` // the client has one, and can end it
}

// Coordinator is what is known of the HSM coordinator. It tells no client which
// copytools are registered, so this is what our jobs and copytools have seen.
type Coordinator struct {
	JobRequests int64 `json:"jobRequests"` // of the current job, sent and not ended
	Running     int64 `json:"running"`     // actions that the movers run
	Waiting     int64 `json:"waiting"`     // actions that wait at the movers
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	st := Status{
		FileSystem: s.o.FileSystem, Mount: s.o.Mount, Version: s.o.Version, StartedTime: s.started.UTC(),
		Movers: s.movers.look(r.Context()),
	}
	for _, m := range st.Movers {
		st.Coordinator.Running += m.Running.total()
		st.Coordinator.Waiting += m.Waiting.total()
	}
	_, err := r.Cookie(sessionCookie)
	st.Session = err == nil
	j, ok, err := s.o.Jobs.Current(r.Context())
	if err != nil {
		return err
	}
	if c := j.Counters; ok {
		st.Coordinator.JobRequests = max(0, c.FilesSubmitted-c.FilesExported-c.FilesFailed-c.FilesLeft)
	}
	return writeJSON(w, http.StatusOK, st)
}

func (s *Server) explain(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "path")
	if err != nil {
		return err
	}
	path := q.Get("path")
	if path == "" {
		return invalid("path", "path is missing: give the path of a file, as it is under the mount")
	}
	e, err := s.o.Jobs.Explain(r.Context(), path)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, wireExplanation(e))
}
