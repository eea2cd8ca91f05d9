package httpapi

import (
	"net/http"
	"time"

	"lhsm-azblob/jobs"
)

// This file is the managed service's own face: the operations, fields and enums
// of Azure Managed Lustre, under its resource path and without it. It has one
// archive at a time, no job ids and fewer states.

const armPath = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.StorageCache/amlFilesystems/{name}"

// amlFilesystem is the part of the resource that is about archives.
type amlFilesystem struct {
	Name       string        `json:"name"`
	Type       string        `json:"type"`
	Properties amlProperties `json:"properties"`
}

type amlProperties struct {
	HSM amlHSM `json:"hsm"`
}

type amlHSM struct {
	ArchiveStatus []amlArchive `json:"archiveStatus"`
}

type amlArchive struct {
	FilesystemPath string    `json:"filesystemPath"`
	Status         amlStatus `json:"status"`
}

type amlStatus struct {
	State              string     `json:"state"`
	LastStartedTime    *time.Time `json:"lastStartedTime,omitempty"`
	LastCompletionTime *time.Time `json:"lastCompletionTime,omitempty"`
	PercentComplete    int        `json:"percentComplete"`
	ErrorCode          jobs.Code  `json:"errorCode,omitempty"`
	ErrorMessage       string     `json:"errorMessage,omitempty"`
}

// partialFailure is the error code of a job that left files behind: the managed
// service has no state for it but Failed.
const partialFailure jobs.Code = "PartialFailure"

func managedJob(j jobs.Job) amlStatus {
	st := amlStatus{
		State: string(j.State), LastStartedTime: moment(j.Started), LastCompletionTime: moment(j.Finished),
		PercentComplete: j.PercentComplete, ErrorCode: j.ErrorCode, ErrorMessage: j.ErrorMessage,
	}
	switch j.State {
	case jobs.Queued:
		st.State = string(jobs.InProgress)
	case jobs.CompletedPartial:
		st.State, st.ErrorCode = string(jobs.Failed), partialFailure
	}
	return st
}

// managedHistory is how many jobs are looked at for the last one of each path.
const managedHistory = 100

func (s *Server) managedStatus(w http.ResponseWriter, r *http.Request) error {
	recent, err := s.o.Jobs.Jobs(r.Context(), 0, managedHistory)
	if err != nil {
		return err
	}
	list := []amlArchive{}
	seen := map[string]bool{}
	for _, j := range recent {
		path := firstPrefix(j)
		if !seen[path] && !j.Spec.DryRun && j.Spec.FileCount == 0 {
			seen[path] = true
			list = append(list, amlArchive{path, managedJob(j)})
		}
	}
	if len(list) == 0 {
		list = append(list, amlArchive{"/", amlStatus{State: "Idle"}})
	}
	return writeJSON(w, http.StatusOK, amlFilesystem{
		Name: s.o.FileSystem, Type: "Microsoft.StorageCache/amlFilesystems", Properties: amlProperties{amlHSM{list}},
	})
}

func (s *Server) managedArchive(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		FilesystemPath *string `json:"filesystemPath"`
	}
	if err := decode(w, r, smallBody, &body); err != nil {
		return err
	}
	request := JobRequest{FilesystemPath: body.FilesystemPath, IfBusy: jobs.BusyFail}
	spec, err := request.spec()
	if err != nil {
		return err
	}
	j, _, err := s.o.Jobs.Create(r.Context(), spec)
	if err != nil {
		return refused(j, err)
	}
	s.o.Log.Info("job created", "job", j.ID, "prefixes", spec.Prefixes, "client", r.RemoteAddr)
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *Server) managedCancel(w http.ResponseWriter, r *http.Request) error {
	j, ok, err := s.o.Jobs.Current(r.Context())
	if err != nil {
		return err
	}
	if !ok {
		return problem(http.StatusConflict, NoJob, "no archive job is running")
	}
	if j, err := s.o.Jobs.Cancel(r.Context(), j.ID, false); err != nil {
		return refused(j, err)
	}
	s.o.Log.Info("job cancelled", "job", j.ID, "client", r.RemoteAddr)
	w.WriteHeader(http.StatusOK)
	return nil
}

// armStyle is the error body of Azure Resource Manager.
func armStyle(w http.ResponseWriter, p *Problem) {
	type armError struct {
		Code    Code   `json:"code"`
		Message string `json:"message"`
	}
	writeBody(w, p.Status, "application/json", map[string]armError{"error": {p.Code, p.Detail}})
}
